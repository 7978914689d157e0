"""Processes that multiprocessing starts afresh (spawn, forkserver, loky) know `prefect` as well."""

from __future__ import annotations

import functools
import sys
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

# Their `get_preparation_data` makes what a new process reads before it imports anything of the program's.
_MODULES = frozenset(("multiprocessing.spawn", "loky.backend.spawn", "joblib.externals.loky.backend.spawn"))
# The process that forks the others, by the name that multiprocessing gives to it.
_FORKSERVER = "ignore"


class _Arguments(list[str]):
    """`sys.argv` for a new process: to read it there is to install the import hook there."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _arguments_of_parent, (list(self),)


def _arguments_of_parent(values: list[str]) -> list[str]:
    from runyard.compat import imports

    imports.install(deployed=True)
    return values


def _with_hook(module: ModuleType) -> None:
    original: Any = module.get_preparation_data

    @functools.wraps(original)
    def get_preparation_data(name: str, *args: Any, **options: Any) -> dict[str, Any]:
        data: dict[str, Any] = original(name, *args, **options)
        data["sys_argv"] = _Arguments(data["sys_argv"])
        if name == _FORKSERVER:
            # It reads no arguments, so that it must not import the program either: its children do.
            data.pop("init_main_from_path", None)
        return data

    module.get_preparation_data = get_preparation_data  # type: ignore[attr-defined]  # a module is open


def prepare_loaded() -> None:
    """Prepare the modules that are imported already; the others are when they are."""
    for name in _MODULES & set(sys.modules):
        _with_hook(sys.modules[name])


def restore() -> None:
    """Undo it."""
    for name in _MODULES & set(sys.modules):
        module: Any = sys.modules[name]
        module.get_preparation_data = getattr(
            module.get_preparation_data, "__wrapped__", module.get_preparation_data
        )


class _Preparing:
    """A loader that prepares the module it has loaded.

    Args:
        loader: the module's own, which it gets back.
    """

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the module's own loader does."""
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        """Load it, and prepare it."""
        spec: Any = module.__spec__
        spec.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        _with_hook(module)


def spec_of(name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    """The spec of a module that is to be prepared; None for any other."""
    if name not in _MODULES:
        return None
    spec = PathFinder.find_spec(name, path)
    if spec is not None and spec.loader is not None:
        spec.loader = _Preparing(spec.loader)  # type: ignore[assignment]  # duck-typed loader
    return spec
