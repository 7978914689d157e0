"""Profiles as Prefect's scripts know them: `load_profiles()["dev"].settings`, `use_profile("dev")`."""

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
    """A profile: what it is called, and the settings it gives by the names of their variables."""

    name: str
    settings: dict[str, Any]


class ProfilesCollection(dict[str, Profile]):
    """The profiles of the file by their names, and which one is active.

    Args:
        found: them.
        active: the name.
    """

    def __init__(self, found: list[Profile], active: str | None = None) -> None:
        super().__init__({profile.name: profile for profile in found})
        self.active_name = active

    @property
    def names(self) -> set[str]:
        """What they are called."""
        return set(self)

    @property
    def active_profile(self) -> Profile | None:
        """The one that is in use."""
        return self.get(self.active_name or "")


def load_profiles(include_defaults: bool = True) -> ProfilesCollection:
    """The profiles.

    Args:
        include_defaults: those that need not stand in the file too.

    Raises:
        SettingError: the file cannot be read.
    """
    read = profiles.read()
    names = profiles.names(read) if include_defaults else sorted(read.tables)
    return ProfilesCollection([Profile(name, dict(profiles.find(read, name))) for name in names], read.active)


def load_profile(name: str) -> Profile:
    """One profile.

    Raises:
        NotFound: there is none of this name.
    """
    return Profile(name, dict(profiles.find(profiles.read(), name)))


def load_current_profile() -> Profile:
    """The profile that is in use."""
    return load_profile(settings.profile())


def update_current_profile(values: dict[Any, Any]) -> Profile:
    """Set settings in the profile that is in use.

    Args:
        values: by the settings, or the names of their variables; None takes one out.

    Raises:
        SettingError: there is no such setting, or it cannot have the value.
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
        raise SettingError(f"there is no setting {key!r}; see: runyard config view --show-defaults")
    return name


@contextmanager
def use_profile(
    profile: Profile | str, override_environment_variables: bool = False, include_current_context: bool = True
) -> Iterator[Profile]:
    """A block in which another profile is in use.

    Args:
        profile: it, or its name.
        override_environment_variables: let it count for more than the environment.
        include_current_context: accepted for compatibility.

    Raises:
        NotFound: there is none of this name.
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
