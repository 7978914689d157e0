"""The names of `prefect.settings` that scripts use:

`PREFECT_API_URL.value()`, `temporary_settings` and so on.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from runyard import settings
from runyard.compat.settings_names import is_without_effect
from runyard.engine.logging import get_logger
from runyard.prefect_names.profile_names import (
    Profile,
    ProfilesCollection,
    load_current_profile,
    load_profile,
    load_profiles,
    update_current_profile,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "Profile",
    "ProfilesCollection",
    "load_current_profile",
    "load_profile",
    "load_profiles",
    "update_current_profile",
]

_BY_NAME = {
    name: setting
    for setting in settings.SETTINGS
    for name in (f"PREFECT_{setting.upper()}", *settings.variables(setting)[1:])
}
# Settings of Prefect Cloud.
_OF_CLOUD = frozenset(("PREFECT_API_KEY", "PREFECT_CLOUD_API_URL", "PREFECT_CLOUD_UI_URL"))

# Prefect's module is a package, and the import hook finds its submodules, such as `prefect.settings.context`.
__path__: list[str] = []


class Setting:
    """One setting by Prefect's name.

    Args:
        name: such as `PREFECT_API_URL`.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def value(self) -> Any:
        """Its current value; a text setting that is not set is None, as in Prefect."""
        if self.name in _OF_CLOUD:
            return None
        if self.name not in _BY_NAME:
            return os.environ.get(self.name)
        found = settings.get(_BY_NAME[self.name])
        return None if found == "" else found

    def __repr__(self) -> str:
        return f"<setting {self.name}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Setting) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)


class Settings:
    """All settings, as attributes with our names and Prefect's."""

    def __getattr__(self, name: str) -> Any:
        key = _BY_NAME.get(name.upper(), name)
        if key not in settings.SETTINGS:
            raise AttributeError(f"unknown setting {name!r}; see: runyard config view")
        return settings.get(key)


def get_current_settings() -> Settings:
    """The current settings."""
    return Settings()


@contextmanager
def temporary_settings(
    updates: Mapping[Any, Any] | None = None, set_defaults: Mapping[Any, Any] | None = None
) -> Iterator[Settings]:
    """Context manager: give some settings other values.

    Args:
        updates: by setting or name; None resets a setting to its default.
        set_defaults: the same, for settings that are not set.
    """
    before = dict(os.environ)
    try:
        for key, value in (updates or {}).items():
            _change(_name(key), value)
        for key, value in (set_defaults or {}).items():
            name = _name(key)
            if not any(each in os.environ for each in _variables(name)):
                _change(name, value)
        yield Settings()
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


def _name(key: Any) -> str:
    return key.name if isinstance(key, Setting) else str(key)


def _variables(name: str) -> tuple[str, ...]:
    return settings.variables(_BY_NAME[name]) if name in _BY_NAME else (name,)


def _change(name: str, value: Any) -> None:
    if name not in _BY_NAME and (name in _OF_CLOUD or is_without_effect(name)):
        _tell_without_effect(name)
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = str(value)
        return
    if name not in _BY_NAME:
        raise AttributeError(f"unknown setting {name!r}; see: runyard config view")
    for variable in _variables(name):
        os.environ.pop(variable, None)
    if value is not None:
        os.environ[f"RUNYARD_{_BY_NAME[name].upper()}"] = str(value)


@cache
def _tell_without_effect(name: str) -> None:
    get_logger("settings").warning("%s is a setting of Prefect without effect in Runyard", name)


def __getattr__(name: str) -> Any:
    if name in _BY_NAME or name in _OF_CLOUD or is_without_effect(name):
        return Setting(name)
    raise AttributeError(f"unknown setting {name!r}; see: runyard config view")
