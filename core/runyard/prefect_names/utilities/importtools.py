"""The names of `prefect.utilities.importtools` that scripts use."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import Any

from runyard.base.errors import EntrypointError
from runyard.deployments.loading.loading import load_file

__all__ = [
    "ScriptError",
    "from_qualified_name",
    "import_object",
    "lazy_import",
    "load_module",
    "load_script_as_module",
    "to_qualified_name",
]

ScriptError = EntrypointError


def to_qualified_name(obj: Any) -> str:
    """The module and the name of a class or function: `datetime.datetime`."""
    if isinstance(obj, ModuleType):
        return obj.__name__
    return f"{obj.__module__}.{obj.__qualname__}"


def from_qualified_name(name: str) -> Any:
    """The object of a dotted name: a module, or an attribute of one.

    Raises:
        ImportError: the module does not exist.
        AttributeError: the module does not have the attribute.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        module, _, attribute = name.rpartition(".")
        if not module:
            raise
    return getattr(importlib.import_module(module), attribute)


def load_module(module_name: str) -> ModuleType:
    """Import a module, also from the current folder.

    Raises:
        ImportError: it does not exist.
    """
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        return importlib.import_module(module_name)
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def load_script_as_module(path: str) -> ModuleType:
    """Run a file, and return its definitions as a module.

    Raises:
        ScriptError: the file is missing, or its code fails.
    """
    return load_file(path, None)


def import_object(import_path: str) -> Any:
    """The object of `path/file.py:name`, `package.module:name` or `package.module.name`.

    Raises:
        ValueError: the path has another form.
        ImportError: the module does not exist.
        AttributeError: the module does not have the name.
    """
    place, colon, name = import_path.rpartition(":" if ":" in import_path else ".")
    if not place or not name:
        raise ValueError(f"invalid import path {import_path!r}; write module.name or path/file.py:name")
    module = load_script_as_module(place) if colon and place.endswith(".py") else load_module(place)
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part)
    return found


class _Later(ModuleType):
    """A module that is imported at the first access to one of its attributes.

    Args:
        help_message: the error if it is not installed.
    """

    def __init__(self, name: str, help_message: str | None) -> None:
        super().__init__(name)
        self.__dict__["_help_message"] = help_message

    def __getattr__(self, name: str) -> Any:
        return getattr(_import(self.__name__, self.__dict__["_help_message"]), name)


def _import(name: str, help_message: str | None) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if help_message is None:
            raise
        raise ModuleNotFoundError(f"{error}; {help_message}", name=error.name) from None


def lazy_import(name: str, error_on_import: bool = False, help_message: str | None = None) -> ModuleType:
    """A module that is imported at the first access to one of its attributes.

    Args:
        error_on_import: raise at once if the module is not installed.
        help_message: added to the error.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    if name in sys.modules:
        return sys.modules[name]
    if error_on_import:
        from importlib.util import find_spec

        if find_spec(name) is None:
            _import(name, help_message)
    return _Later(name, help_message)
