"""Profiles with Prefect's names: `load_profiles()["dev"].settings`, `use_profile("dev")`."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from runyard import settings
from runyard.base.errors import SettingError
from runyard.settings import profiles

if TYPE_CHECKING:
    from collections.abc import Iterator


class Profile(NamedTuple):
    """A profile: its name, and its settings by the names of their variables."""

    name: str
    settings: dict[str, Any]


class ProfilesCollection(dict[str, Profile]):
    """The profiles of the file by name, and the name of the active one.

    Args:
        found: the profiles.
        active: the name of the active one.
    """

    def __init__(self, found: list[Profile], active: str | None = None) -> None:
        super().__init__({profile.name: profile for profile in found})
        self.active_name = active

    @property
    def names(self) -> set[str]:
        """The names of the profiles."""
        return set(self)

    @property
    def active_profile(self) -> Profile | None:
        """The active profile."""
        return self.get(self.active_name or "")


def load_profiles(include_defaults: bool = True) -> ProfilesCollection:
    """Read the profiles.

    Args:
        include_defaults: also the built-in ones.

    Raises:
        SettingError: the file cannot be read.
    """
    read = profiles.read()
    names = profiles.names(read) if include_defaults else sorted(read.tables)
    return ProfilesCollection([Profile(name, dict(profiles.find(read, name))) for name in names], read.active)


def load_profile(name: str) -> Profile:
    """Read one profile.

    Raises:
        NotFound: it does not exist.
    """
    return Profile(name, dict(profiles.find(profiles.read(), name)))


def load_current_profile() -> Profile:
    """The active profile."""
    return load_profile(settings.profile())


def update_current_profile(values: dict[Any, Any]) -> Profile:
    """Change settings of the active profile.

    Args:
        values: by setting, or by the name of its variable; None removes one.

    Raises:
        SettingError: a setting is unknown, or a value is invalid.
    """
    name = settings.profile()
    wanted = {_setting(str(getattr(key, "name", key))): value for key, value in values.items()}
    for key, value in wanted.items():
        if value is not None:
            settings.parse(key, str(value), key)
    profiles.set_values(name, {key: str(value) for key, value in wanted.items() if value is not None})
    gone = [key for key, value in wanted.items() if value is None]
    if gone:
        profiles.unset_values(name, gone)
    settings.reload()
    return load_profile(name)


def _setting(key: str) -> str:
    name = settings.name_of(key)
    if name is None:
        raise SettingError(f"unknown setting {key!r}; see: runyard config view --show-defaults")
    return name


@contextmanager
def use_profile(
    profile: Profile | str, override_environment_variables: bool = False, include_current_context: bool = True
) -> Iterator[Profile]:
    """Context manager: activate another profile.

    Args:
        profile: the profile, or its name.
        override_environment_variables: give it priority over the environment.
        include_current_context: accepted for compatibility.

    Raises:
        NotFound: it does not exist.
    """
    found = load_profile(profile) if isinstance(profile, str) else profile
    before = dict(os.environ)
    try:
        for key, value in found.settings.items():
            name = settings.name_of(key)
            known = settings.variables(name) if name is not None else (key,)
            if override_environment_variables:
                for variable in known:
                    os.environ.pop(variable, None)
            if not any(variable in os.environ for variable in known):
                os.environ[known[0]] = str(value)
        yield found
    finally:
        for key in set(os.environ) - set(before):
            del os.environ[key]
        os.environ.update(before)
