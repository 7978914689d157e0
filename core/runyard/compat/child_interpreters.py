"""Makes `prefect` importable in child processes.

In those of multiprocessing (spawn, forkserver, loky) and, through PYTHONPATH, in any other Python process.
"""

from __future__ import annotations

import functools
import os
import sys
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    ReadArguments = Callable[[list[str]], list[str]]

# Their `get_preparation_data` returns what a new process reads before it imports the program.
_MODULES = frozenset(("multiprocessing.spawn", "loky.backend.spawn", "joblib.externals.loky.backend.spawn"))
# multiprocessing's name of the process that forks the others.
_FORKSERVER = "ignore"
# The folder contains only a module `prefect`.
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "for_children")
_PATH = "PYTHONPATH"


class _Arguments(list[str]):
    """A pickle for the arguments of a new process; unpickling it calls `read`."""

    def __init__(self, values: list[str], read: ReadArguments) -> None:
        super().__init__(values)
        self._read = read

    def __reduce__(self) -> tuple[Any, ...]:
        return self._read, (list(self),)


def _with_hook(module: ModuleType, read: ReadArguments) -> None:
    original: Any = module.get_preparation_data

    @functools.wraps(original)
    def get_preparation_data(name: str, *args: Any, **options: Any) -> dict[str, Any]:
        data: dict[str, Any] = original(name, *args, **options)
        data["sys_argv"] = _Arguments(data["sys_argv"], read)
        if name == _FORKSERVER:
            # This process must not import the program: its children do.
            data.pop("init_main_from_path", None)
        return data

    module.get_preparation_data = get_preparation_data  # type: ignore[attr-defined]  # a module is open


def prepare_loaded(read: ReadArguments) -> None:
    """Prepare the modules that are already imported; `spec_of` prepares the others.

    Args:
        read: called in a new process with its arguments, before it imports the program.
    """
    for name in _loaded():
        _with_hook(sys.modules[name], read)


def _loaded() -> list[str]:
    # Looked up one by one: a set of all module names would copy the memory that a fork shares.
    return [name for name in _MODULES if name in sys.modules]


def tell_programs() -> None:
    """Make `prefect` importable in every Python that this process starts from now on."""
    others = os.environ.get(_PATH)
    if FOLDER not in (others or "").split(os.pathsep):
        # Last, so that the folders of the program and its user have priority.
        os.environ[_PATH] = f"{others}{os.pathsep}{FOLDER}" if others else FOLDER


def _tell_no_program() -> None:
    places = [place for place in os.environ.get(_PATH, "").split(os.pathsep) if place != FOLDER]
    if any(places):
        os.environ[_PATH] = os.pathsep.join(places)
    else:
        os.environ.pop(_PATH, None)


def restore() -> None:
    """Undo it."""
    _tell_no_program()
    for name in _loaded():
        module: Any = sys.modules[name]
        module.get_preparation_data = getattr(
            module.get_preparation_data, "__wrapped__", module.get_preparation_data
        )


class _Preparing:
    """A loader that prepares the module after loading it.

    Args:
        loader: the module's own loader, which is restored.
        read: see `prepare_loaded`.
    """

    def __init__(self, loader: Any, read: ReadArguments) -> None:
        self._loader = loader
        self._read = read

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Delegate to the module's own loader."""
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        """Load and prepare the module."""
        spec: Any = module.__spec__
        spec.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        _with_hook(module, self._read)


def spec_of(name: str, path: Sequence[str] | None, read: ReadArguments) -> ModuleSpec | None:
    """The spec of a module that needs preparation (see `prepare_loaded`); None for others."""
    if name not in _MODULES:
        return None
    spec = PathFinder.find_spec(name, path)
    if spec is not None and spec.loader is not None:
        spec.loader = _Preparing(spec.loader, read)  # type: ignore[assignment]  # duck-typed loader
    return spec
