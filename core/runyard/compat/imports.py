"""The import hook: while it is installed, `import prefect...` imports Runyard's modules."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from typing import TYPE_CHECKING, Any

from runyard import settings
from runyard.compat import child_interpreters, module_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

_NO_NAME = re.compile(r"cannot import name '(\w+)' from '((?:runyard|prefect)[\w.]*)'")
_NO_ATTRIBUTE = re.compile(r"module '(runyard[\w.]*)' has no attribute '(\w+)'")


class _Alias:
    """A loader that imports another module, under that module's name, and uses it."""

    def __init__(self, target: str) -> None:
        self.target = target

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Let the import system create its usual empty module; `exec_module` replaces it."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Replace the module being imported by its target.

        `prefect` itself is only a proxy of `runyard`: Python sets imported modules as attributes of their
        parent, and `prefect.settings` in place of `runyard.settings` would break Runyard.
        """
        target = import_module(self.target)
        if module.__name__ != "prefect":
            sys.modules[module.__name__] = target
            return
        shown: Any = module
        shown.__getattr__ = lambda name: _attribute(target, name)
        shown.__version__ = module_table.PREFECT_VERSION
        shown.__dir__ = lambda: dir(target)
        shown.__all__ = target.__all__
        shown.__doc__ = target.__doc__


def _attribute(target: ModuleType, name: str) -> Any:
    """An attribute of `prefect`: a submodule that was imported there, or an attribute of `runyard`."""
    if f"prefect.{name}" in module_table.MODULES:
        return import_module(f"prefect.{name}")
    return getattr(target, name)


class Finder:
    """Finds `prefect`, its integrations and their submodules, before any other finder."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a Prefect module that Runyard has.

        Raises:
            ModuleNotFoundError: Runyard has no such module; the message says what to use instead.
        """
        if name.partition(".")[0] not in module_table.ROOTS:
            return child_interpreters.spec_of(name, path, arguments_of_parent)
        if name not in module_table.MODULES:
            raise ModuleNotFoundError(_missing(name), name=name)
        return ModuleSpec(name, _Alias(module_table.MODULES[name]), is_package=True)  # type: ignore[arg-type]  # duck-typed loader


def install(deployed: bool = False) -> bool:
    """Make `import prefect` import Runyard, if the setting `prefect_imports` allows it.

    Args:
        deployed: whether a deployment's flow is about to be loaded, not a plain script.

    Returns:
        Whether the hook is installed now.

    Raises:
        SettingError: the setting is not one of always, never, auto.
    """
    if any(isinstance(finder, Finder) for finder in sys.meta_path):
        return True
    wanted = settings.get("prefect_imports").lower()
    if wanted == "never" or (wanted == "auto" and not deployed and _is_installed()):
        return False
    sys.meta_path.insert(0, Finder())
    child_interpreters.prepare_loaded(arguments_of_parent)
    child_interpreters.tell_programs()
    return True


def arguments_of_parent(values: list[str]) -> list[str]:
    """Install the hook in a child process of a program with the hook; `values` are its arguments."""
    install(deployed=True)
    return values


def is_alias(module: ModuleType) -> bool:
    """Whether a module is Runyard's module under a Prefect name."""
    return isinstance(getattr(module, "__loader__", None), _Alias) or module.__name__.startswith("runyard")


def _is_installed() -> bool:
    """Whether Prefect is installed; a folder of that name in the working directory does not count."""
    found = PathFinder.find_spec(
        "prefect", [place for place in sys.path if place != child_interpreters.FOLDER]
    )
    return found is not None and found.origin is not None


def uninstall() -> None:
    """Remove the hook and the modules imported through it."""
    if any(isinstance(finder, Finder) for finder in sys.meta_path):
        child_interpreters.restore()
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, Finder)]
    for name in list(sys.modules):
        is_ours = name in module_table.MODULES and sys.modules[name] is sys.modules.get(
            module_table.MODULES[name]
        )
        if is_ours or (name == "prefect" and isinstance(sys.modules[name].__loader__, _Alias)):
            del sys.modules[name]


def explain(error: BaseException) -> str | None:
    """A hint for an import that failed because Runyard does not have one of Prefect's names, or None."""
    if isinstance(error, ModuleNotFoundError) and module_table.is_integration(error.name or ""):
        instead = module_table.advice(error.name or "") or "call the library that it wraps from a task"
        return f"{error.name} is an integration of Prefect, which Runyard does not have: {instead}"
    text = str(error)
    match = _NO_NAME.search(text)
    if match:
        name, module = match.groups()
    else:
        match = _NO_ATTRIBUTE.search(text)
        if not match:
            return None
        module, name = match.groups()
    if module == "prefect":
        module = "runyard"
    names = [f"{theirs}.{name}" for theirs, ours in module_table.MODULES.items() if ours == module]
    known = [each for each in names if module_table.advice(each)]
    return _missing((known or names or [f"prefect{module.removeprefix('runyard')}.{name}"])[0])


def _missing(name: str) -> str:
    hint = module_table.advice(name)
    return f"Runyard has no {name}" + (f": {hint}" if hint else "; remove it, or use what Runyard offers")
