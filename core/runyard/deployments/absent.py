"""Loading a flow where packages that its code imports are missing, as on a machine that only deploys.

What a deployment keeps of a flow is its name, its parameters and their types. A package that is missing is
stood in for by modules whose every attribute is there and does nothing, until the flow is loaded.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import packages_distributions
from types import ModuleType
from typing import TYPE_CHECKING, Any

from runyard.deployments import loading
from runyard.errors import EntrypointError

if TYPE_CHECKING:
    from runyard.flows import Flow

_MOST = 100  # packages of one file


class StandIn:
    """Any attribute of a missing package: it can be called, subclassed, used as a type or a decorator."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> StandIn:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return StandIn(f"{self._name}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and not kwargs and isinstance(args[0], (type, _FUNCTION)):
            return args[0]  # it decorates
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


_FUNCTION = type(lambda: None)


class _StandInModule(ModuleType):
    __path__: list[str] = []  # noqa: RUF012  # a package: its submodules are stood in for as well

    def __getattr__(self, name: str) -> StandIn:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return StandIn(f"{self.__name__}.{name}")


class _Finder(MetaPathFinder, Loader):
    """Finds the modules of the packages that are stood in for, after all others have found nothing."""

    def __init__(self) -> None:
        self.packages: list[str] = []

    def find_spec(self, fullname: str, _path: Any = None, _target: Any = None) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in self.packages:
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandInModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        return None

    def forget(self) -> None:
        """Take the stand-ins away again; what was loaded keeps those it has."""
        for name in [name for name, module in sys.modules.items() if isinstance(module, _StandInModule)]:
            del sys.modules[name]


def load_flow(
    entrypoint: str, directory: str, modules: dict[str, ModuleType], say: Callable[[str], None]
) -> Flow:
    """Load a flow to deploy it; otherwise as `loading.load_flow`.

    Args:
        entrypoint: of the flow.
        directory: the folder that it starts from.
        modules: files loaded already.
        say: told which packages are missing.

    Raises:
        EntrypointError: as `loading.load_flow`; also for a missing module that is spelled like one of the
            project.
    """
    finder = _Finder()
    sys.meta_path.append(finder)
    try:
        while True:
            try:
                flow = loading.load_flow(entrypoint, directory, modules)
                break
            except EntrypointError as error:
                package = _missing(error, directory)
                if package is None or package in finder.packages or len(finder.packages) >= _MOST:
                    raise
                finder.packages.append(package)
    finally:
        sys.meta_path.remove(finder)
        finder.forget()
    if finder.packages:
        say(
            f"{entrypoint}: not installed here: {', '.join(finder.packages)}; its runs need it, and "
            "parameters of types from there are not checked"
        )
    return flow


def _missing(error: EntrypointError, directory: str) -> str | None:
    """The package that an import did not find; None where something else is wrong."""
    cause = error.__cause__
    if not isinstance(cause, ModuleNotFoundError) or not cause.name:
        return None
    package = cause.name.partition(".")[0]
    if package != cause.name and importlib.util.find_spec(package) is not None:
        return None
    own = {os.path.splitext(name)[0] for name in os.listdir(directory)}
    known = own | set(packages_distributions())
    # Spelled almost like one that is there, it is a mistake and not a package of elsewhere.
    return None if get_close_matches(package, known, 1, cutoff=0.85) else package
