"""Finds the flows of a folder by parsing its files; imports nothing."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_SKIPPED = frozenset(("__pycache__", "site-packages", "node_modules", "venv", "env", "build", "dist"))
_MODULES = frozenset(("prefect", "runyard"))
_MAX_BYTES = 1_000_000


class FoundFlow(NamedTuple):
    """A function decorated with @flow.

    Args:
        path: its file, relative to the folder, with forward slashes.
        function: its name in the file, such as `etl` or `Jobs.etl`.
        name: the flow's name.
        line: where the function starts, counted from 1.
    """

    path: str
    function: str
    name: str
    line: int

    @property
    def entrypoint(self) -> str:
        """`path/file.py:function`."""
        return f"{self.path}:{self.function}"


def find_flows(folder: str) -> list[FoundFlow]:
    """The flows in the Python files of a folder and its subfolders, by file and line.

    Skips hidden folders, virtual environments, installed packages, and files that do not parse.
    """
    found: list[FoundFlow] = []
    for base, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_skipped(os.path.join(base, name), name))
        for name in sorted(files):
            if name.endswith(".py"):
                file = os.path.join(base, name)
                found += _flows_of(file, os.path.relpath(file, folder).replace(os.sep, "/"))
    return found


def deployment_names(flows: Sequence[FoundFlow]) -> list[str]:
    """A name for a deployment of each flow; flows of the same name get the name of their file too.

    Args:
        flows: the flows.

    Returns:
        Different names, in the order of the flows, with letters, digits, dots, `_` and `-`.
    """
    names: list[str] = []
    plain = [_plain(flow.name) for flow in flows]
    for flow, name in zip(flows, plain, strict=True):
        if plain.count(name) > 1:
            name = _plain(f"{name}-{os.path.splitext(os.path.basename(flow.path))[0]}")
        number, unique = 1, name
        while unique in names:
            number += 1
            unique = f"{name}-{number}"
        names.append(unique)
    return names


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-.") or "flow"


def _is_skipped(path: str, name: str) -> bool:
    return name[0] == "." or name in _SKIPPED or os.path.exists(os.path.join(path, "pyvenv.cfg"))


def _flows_of(file: str, shown: str) -> list[FoundFlow]:
    try:
        if os.path.getsize(file) > _MAX_BYTES:
            return []
        with open(file, "rb") as stream:
            source = stream.read()
        if b"flow" not in source:
            return []
        tree = ast.parse(source)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return []
    return [FoundFlow(shown, function, name, line) for function, name, line in _decorated(tree.body, "")]


def _decorated(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, str, int]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _decorated(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                if _is_flow(decorator):
                    name = _literal_name(decorator) or node.name.replace("_", "-")
                    yield prefix + node.name, name, node.lineno


def _is_flow(decorator: ast.expr) -> bool:
    if isinstance(decorator, ast.Call):
        decorator = decorator.func
    if isinstance(decorator, ast.Attribute):
        return (
            decorator.attr == "flow"
            and isinstance(decorator.value, ast.Name)
            and decorator.value.id in _MODULES
        )
    return isinstance(decorator, ast.Name) and decorator.id == "flow"


def _literal_name(decorator: ast.expr) -> str | None:
    for keyword in getattr(decorator, "keywords", ()):
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value)
    return None
