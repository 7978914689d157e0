"""Reads settings: the value of each, and its source.

The setting `lease` has the environment variable `RUNYARD_LEASE`, and also Prefect's variable if Prefect has
the same setting; ours has priority. The environment is read at each access, so a test or a run may change
it. Files (`.env`, `runyard.toml`, `prefect.toml`, `pyproject.toml`, the active profile: see `sources`) are
read once, when the first value is read.
"""

from __future__ import annotations

import os
from typing import Any

from runyard.base.errors import SettingError
from runyard.settings.names import (
    DEFAULT_PROFILE,
    FOLDER_FILES,
    PROFILE_VARIABLES,
    PROFILES_FILE,
    Given,
    name_of,
    variables,
)
from runyard.settings.table import SETTINGS, Setting
from runyard.settings.text_values import converted

# An empty text means: not set. It never means a folder, least of all the current one.
_NEVER_EMPTY = frozenset(("home",))
_WANTED = {bool: "true or false", int: "a whole number", float: "a number"}

# The values from files, and the active profile; None until the first value is read.
_files: dict[str, Given] | None = None
_profile = DEFAULT_PROFILE


def get(name: str) -> Any:
    """The value of a setting.

    Args:
        name: a key of SETTINGS.

    Raises:
        SettingError: the value is invalid, or a settings file cannot be read.
    """
    for variable in variables(name):
        text = os.environ.get(variable)
        if text is not None and (text.strip() or name not in _NEVER_EMPTY):
            return parse(name, text, variable)
    if _files is None:
        _load()
    if _files:
        given = _files.get(name)
        if given is not None:
            return parse(name, given.value, given.key, given.place)
    return SETTINGS[name].default


def given(name: str) -> Given | None:
    """The source of a setting's value; None if it has its default.

    Raises:
        SettingError: a settings file cannot be read.
    """
    for variable in variables(name):
        text = os.environ.get(variable)
        if text is not None and (text.strip() or name not in _NEVER_EMPTY):
            return Given(text, "environment", variable, variable)
    if _files is None:
        _load()
    return (_files or {}).get(name)


def place_of(name: str) -> str:
    """Where to correct a setting: a variable, or a key and its file.

    Raises:
        SettingError: a settings file cannot be read.
    """
    found = given(name)
    if found is None:
        return variables(name)[0]
    return found.key if found.source == "environment" else f"{found.key} in {found.place}"


def profile() -> str:
    """The name of the active profile.

    Raises:
        SettingError: a settings file cannot be read, or the profile does not exist.
    """
    if _files is None:
        _load()
    return _profile


def reload() -> None:
    """Forget the values from files; the next access reads them again."""
    global _files
    _files = None


def check() -> None:
    """Check all values, so that an invalid one is an error before any work starts.

    Raises:
        SettingError: for the first invalid value.
    """
    for variable in os.environ:
        if variable.startswith(("RUNYARD_", "PREFECT_")):
            name = name_of(variable)
            if name is not None:
                get(name)
    profile()
    for name in _files or ():
        get(name)


def home() -> str:
    """The absolute path of the home folder, which may not exist yet."""
    return os.path.abspath(os.path.expanduser(get("home")))


def database_url() -> str:
    """The URL of the database: the setting, or the file `runyard.db` in the home."""
    return get("database_url") or sqlite_url(os.path.join(home(), "runyard.db"))


def sqlite_url(path: str) -> str:
    """The URL of a database file; characters with a meaning in URLs are escaped."""
    return f"sqlite:///{path.replace('%', '%25').replace('?', '%3F').replace('#', '%23')}"


def parse(name: str, value: Any, key: str, place: str = "") -> Any:
    """Convert a written value to the value of a setting.

    Args:
        name: a key of SETTINGS.
        value: text, or a value of a TOML file.
        key: the variable or key, for the error.
        place: the file and line, for the error.

    Raises:
        SettingError: it is invalid.
    """
    parsed = converted(value, SETTINGS[name].kind)
    wanted = _wanted(SETTINGS[name], parsed)
    if not wanted:
        return parsed
    shown = "********" if SETTINGS[name].secret else repr(value)
    raise SettingError(f"{place}{': ' if place else ''}{key}={shown} is not {wanted}")


def _wanted(setting: Setting, parsed: Any) -> str:
    """The valid values of a setting if `parsed` is not one of them; else empty."""
    if parsed is None:
        return _WANTED.get(setting.kind, "text")
    if setting.kind in (int, float):
        # Comparisons with nan are always false.
        if setting.least <= parsed <= setting.most:
            return ""
        return f"{_WANTED[setting.kind]} from {setting.least:g} to {setting.most:.10g}"
    if setting.choices and parsed.lower() not in setting.choices:
        return f"one of {', '.join(setting.choices)}"
    if setting.starts and parsed and not parsed.lower().startswith(setting.starts):
        return f"a text that starts with {' or '.join(setting.starts)}"
    if parsed and "http://" in setting.starts and not _is_web_address(parsed):
        return "a URL, such as http://127.0.0.1:4200/api"
    return ""


def _is_web_address(text: str) -> bool:
    """Whether a text with the beginning of a URL is one: a host, a port that may be, nothing invisible."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0) and text.isprintable()
    except ValueError:
        return False


def _load() -> None:
    """Read the settings files, if any exist."""
    global _files, _profile
    places = [name for name in FOLDER_FILES if os.path.isfile(name)]
    if "pyproject.toml" in places and not _is_ours("pyproject.toml"):
        places.remove("pyproject.toml")
    chosen = any(os.environ.get(variable) for variable in PROFILE_VARIABLES)
    given_home = os.environ.get("RUNYARD_HOME", "").strip() or SETTINGS["home"].default
    folder = os.path.abspath(os.path.expanduser(given_home))
    if not places and not chosen and not os.path.isfile(os.path.join(folder, PROFILES_FILE)):
        _files, _profile = {}, DEFAULT_PROFILE
        return
    # Only where there is a file: most processes have none.
    from runyard.settings import sources

    _files, _profile = sources.read(places, folder)


def _is_ours(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError:
        return False
    return b"[tool.runyard" in text or b"[tool.prefect" in text
