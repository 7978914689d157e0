"""Reads a flow from its source code if importing it failed: its function, its parameters, its name."""

from __future__ import annotations
import __future__

import ast
import copy
import os
import traceback
from contextlib import suppress
from typing import Any

from runyard.base.errors import EntrypointError
from runyard.deployments.loading import loading
from runyard.deployments.loading.stand_ins import StandIn
from runyard.engine.flow_definition import FlowDefinition

# The arguments of a decorator that a deployment stores.
_KEPT = ("name", "description", "version")
# Statements that only define names.
_HARMLESS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Source:
    """A module whose import failed: its names until then, and the definitions after that line.

    Args:
        file: its file.
        namespace: what was defined before the import failed.
        line: the line at which it failed; 0 if it did not start.
    """

    def __init__(self, file: str, namespace: dict[str, Any], line: int) -> None:
        self.file = file
        self.line = line
        self._namespace = namespace
        namespace.setdefault("__name__", os.path.splitext(os.path.basename(file))[0])
        with open(file, "rb") as stream:
            self._tree = ast.parse(stream.read(), file)
        for node in self._tree.body:
            if (node.end_lineno or node.lineno) >= line:
                self._take(node, failed=line > 0 and _begin(node) <= line)

    def flow(self, attribute: str) -> FlowDefinition | None:
        """The flow of a name, or None."""
        value: Any = self._namespace.get(attribute.partition(".")[0])
        for name in attribute.split(".")[1:]:
            value = getattr(value, name, None)
        return value if isinstance(value, FlowDefinition) else None

    def _take(self, node: ast.stmt, failed: bool) -> None:
        """Execute a statement for its names; one that failed is not executed again."""
        if not failed and _only_defines(node):
            # Any code may raise anything; stand-ins replace its names.
            with suppress(Exception, SystemExit):
                self._execute(node)
                return
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self._define(node)
        else:
            for name in _names(node):
                self._namespace.setdefault(name, StandIn(name))

    def _execute(self, node: ast.stmt, flags: int = 0) -> None:
        code = compile(ast.Module([node], []), self.file, "exec", flags, dont_inherit=True)
        exec(code, self._namespace)  # noqa: S102  # the code that is deployed

    def _define(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """A function without its decorators; of a flow's decorator, the plain values."""
        bare = copy.deepcopy(node)
        bare.decorator_list = []
        arguments = bare.args
        arguments.defaults = [self._known(each) for each in arguments.defaults]
        arguments.kw_defaults = [each and self._known(each) for each in arguments.kw_defaults]
        self._execute(ast.fix_missing_locations(bare), __future__.annotations.compiler_flag)
        decorator = next(filter(self._is_flow, node.decorator_list), None)
        if decorator is not None:
            said: dict[str, Any] = {}
            for keyword in getattr(decorator, "keywords", ()):
                if keyword.arg in _KEPT and isinstance(keyword.value, ast.Constant):
                    said[keyword.arg] = keyword.value.value
            self._namespace[node.name] = FlowDefinition(self._namespace[node.name], **said)

    def _known(self, expression: ast.expr) -> ast.expr:
        """The value of an expression, or a stand-in if it cannot be evaluated."""
        try:
            code = compile(ast.Expression(expression), self.file, "eval", dont_inherit=True)
            eval(code, self._namespace)  # noqa: S307  # the code that is deployed
        except (Exception, SystemExit):  # any code may raise anything; a stand-in replaces it
            self._namespace.setdefault("_not_known", StandIn("default"))
            return ast.copy_location(ast.Name("_not_known", ast.Load()), expression)
        return expression

    def _is_flow(self, decorator: ast.expr) -> bool:
        function = decorator.func if isinstance(decorator, ast.Call) else decorator
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        return name == "flow" or getattr(self._namespace.get(name), "makes", None) is FlowDefinition


def after_failure(error: EntrypointError, found: loading.Entrypoint, directory: str) -> Source | None:
    """The source of a module that could not be imported; None if it is missing or not valid Python.

    Args:
        error: the error of `loading.load_flow`.
        found: the entrypoint.
        directory: the folder to which it is relative.
    """
    cause = error.__cause__
    if cause is None or isinstance(cause, SyntaxError):
        return None
    file = _file(found, directory)
    if file is None:
        return None
    for frame, line in traceback.walk_tb(cause.__traceback__):
        code = frame.f_code
        if code.co_name == "<module>" and os.path.realpath(code.co_filename) == os.path.realpath(file):
            return Source(file, frame.f_globals, line)
    return Source(file, {}, 0)


def describe(error: EntrypointError, read: Source) -> str:
    """Why an import failed, with the line of the flow's file."""
    cause = error.__cause__
    problem = "".join(traceback.format_exception_only(cause)).strip().splitlines()[-1] if cause else ""
    where = f" at line {read.line}" if read.line else ""
    return f"the import fails here{where}: {problem}"


def _file(found: loading.Entrypoint, directory: str) -> str | None:
    if found.file:
        return loading.file_of(found.file, directory)
    base = os.path.join(directory, *(found.module or "").split("."))
    return next(filter(os.path.isfile, (f"{base}.py", os.path.join(base, "__init__.py"))), None)


def _begin(node: ast.stmt) -> int:
    return min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])


def _only_defines(node: ast.stmt) -> bool:
    if isinstance(node, _HARMLESS):
        return True
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return not any(isinstance(each, ast.Call | ast.Subscript | ast.Await) for each in ast.walk(node))
    if isinstance(node, ast.Try | ast.If):
        inner = [each for each in ast.iter_child_nodes(node) if isinstance(each, ast.stmt)]
        inner += [each for handler in getattr(node, "handlers", ()) for each in handler.body]
        return all(isinstance(each, ast.Pass) or _only_defines(each) for each in inner)
    return False


def _names(node: ast.stmt) -> list[str]:
    """The names that a statement would have defined."""
    found = []
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            found.append(each.id)
        elif isinstance(each, ast.alias):
            found.append(each.asname or each.name.partition(".")[0])
        elif isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.append(each.name)
    return found
