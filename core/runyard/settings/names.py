"""The names of settings: their environment variables, and the files that can set them."""

from __future__ import annotations

from typing import Any, NamedTuple

from runyard.settings.table import SETTINGS

# Files with settings, in the folder where the process works when it first reads a setting.
FOLDER_FILES = (".env", "runyard.toml", "prefect.toml", "pyproject.toml")
PROFILES_FILE = "profiles.toml"
PROFILE_VARIABLES = ("RUNYARD_PROFILE", "PREFECT_PROFILE")
DEFAULT_PROFILE = "default"


class Given(NamedTuple):
    """A value from a source.

    `source` describes the source, `place` is its exact location, `key` the name as written.
    """

    value: Any
    source: str
    place: str
    key: str


_variables: dict[str, tuple[str, ...]] = {
    name: (f"RUNYARD_{name.upper()}", *((row.alias, *row.also) if row.alias else ()))
    for name, row in SETTINGS.items()
}


def variables(name: str) -> tuple[str, ...]:
    """The environment variables of a setting, in order of priority."""
    return _variables[name]


def name_of(text: str) -> str | None:
    """The setting that `RUNYARD_X`, `PREFECT_X` or `x` names, in any case; None if unknown."""
    lower = text.strip().lower()
    own = lower.removeprefix("runyard_")
    if own in SETTINGS:
        return own
    upper = lower.upper()
    return next((name for name, known in _variables.items() if upper in known), None)
