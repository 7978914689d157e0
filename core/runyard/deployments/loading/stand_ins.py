"""Stand-ins for missing packages while a flow is loaded to be deployed."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import FrameType, ModuleType
from typing import Any


class StandIn:
    """Any attribute of a missing package: it can be called, subclassed, used as a type or a decorator."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> StandIn:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return StandIn(f"{self._name}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        decorates = len(args) == 1 and not kwargs and callable(args[0])
        if decorates and not isinstance(args[0], StandIn):
            return args[0]
        return StandIn(f"{self._name}()")

    def __mro_entries__(self, _bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (object,)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.any_schema()

    def __or__(self, _other: Any) -> Any:
        return Any

    __ror__ = __or__

    def _same(self, *_args: Any) -> StandIn:
        return self

    __getitem__ = __enter__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _same
    __truediv__ = __rtruediv__ = __mod__ = __pow__ = __neg__ = __and__ = __rand__ = __invert__ = _same

    def __exit__(self, *_error: object) -> None:
        return None

    def __setitem__(self, key: Any, value: Any) -> None:
        return None

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return self._name


class StandInModule(ModuleType):
    __path__: list[str] = []  # noqa: RUF012  # a package, so that its submodules get stand-ins too

    def __getattr__(self, name: str) -> StandIn:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return StandIn(f"{self.__name__}.{name}")


class Finder(MetaPathFinder, Loader):
    """Finds packages that no other finder finds, if code of the project needs them.

    It ignores an import inside `try: ... except ImportError`, and imports by installed packages: those handle
    a missing package.

    Args:
        directory: the project's folder.
    """

    def __init__(self, directory: str) -> None:
        self._directory = os.path.realpath(directory) + os.sep
        self.missing: list[str] = []

    def find_spec(self, fullname: str, _path: Any = None, _target: Any = None) -> ModuleSpec | None:
        """A stand-in, or None to let the import fail."""
        parent = sys.modules.get(fullname.rpartition(".")[0])
        if not isinstance(parent, StandInModule):
            if parent is not None and getattr(parent, "__file__", None) is not None:
                return None  # a part of an installed package
            if fullname.partition(".")[0] in sys.stdlib_module_names or not self._is_wanted():
                return None
            if fullname not in self.missing:
                self.missing.append(fullname)
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """A module that has every attribute."""
        return StandInModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Does nothing: a stand-in has no code."""

    def forget(self) -> None:
        """Remove the stand-ins; loaded code keeps those it has."""
        for name in [name for name, module in sys.modules.items() if isinstance(module, StandInModule)]:
            del sys.modules[name]
            parent, _, child = name.rpartition(".")
            vars(sys.modules.get(parent, self)).pop(child, None)

    def _is_wanted(self) -> bool:
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and frame.f_code.co_filename.startswith("<frozen"):
            frame = frame.f_back
        if frame is None:
            return False
        file = os.path.realpath(frame.f_code.co_filename)
        inside = file.startswith(self._directory) and f"{os.sep}site-packages{os.sep}" not in file
        return inside and (file, frame.f_lineno) not in _tried_lines(file) and _imports(file, frame.f_lineno)


@lru_cache(maxsize=64)
def _tree(file: str) -> ast.Module:
    try:
        with open(file, "rb") as stream:
            return ast.parse(stream.read())
    except (OSError, SyntaxError, ValueError):
        return ast.Module([], [])


def _imports(file: str, line: int) -> bool:
    """Whether a line has an import statement."""
    return any(
        isinstance(node, ast.Import | ast.ImportFrom) and node.lineno <= line <= (node.end_lineno or line)
        for node in ast.walk(_tree(file))
    )


@lru_cache(maxsize=64)
def _tried_lines(file: str) -> frozenset[tuple[str, int]]:
    """The lines of a file at which an import may fail, because the code handles it."""
    found = set()
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.Try) and any(map(_catches_imports, node.handlers)):
            for each in node.body:
                found |= {(file, line) for line in range(each.lineno, (each.end_lineno or each.lineno) + 1)}
        elif isinstance(node, ast.With) and "suppress" in ast.dump(node.items[0].context_expr):
            found |= {(file, line) for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    return frozenset(found)


def _catches_imports(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    names = {getattr(node, "id", getattr(node, "attr", "")) for node in ast.walk(handler.type)}
    return bool(names & {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
