"""Where settings may stand besides the environment: `.env`, TOML files of the folder, and the profile.

Only imported where at least one of these files exists. `read` gives what counts; `everything` lists
everything that stands anywhere, for `runyard config validate`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

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

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# Words for profiles that need not stand in the file. Prefect calls the one without a server `ephemeral`.
BUILT_IN: dict[str, dict[str, Any]] = {
    DEFAULT_PROFILE: {},
    "local": {"RUNYARD_API_URL": "http://127.0.0.1:4200/api"},
}
OTHER_WORDS = {"ephemeral": DEFAULT_PROFILE}

# The home says where the profiles are: it cannot stand in one, nor in a file of the project.
ONLY_ENVIRONMENT = ("home",)


class Written(NamedTuple):
    """One line of a source: the setting it names (None: none that is known), and what it gives."""

    name: str | None
    given: Given


class Profiles(NamedTuple):
    """What a file of profiles says: the active one, and the values of each as written."""

    active: str
    tables: dict[str, dict[str, Any]]


def read(places: Iterable[str], home: str) -> tuple[dict[str, Given], str]:
    """What the files give.

    Args:
        places: those that exist of `settings.FOLDER_FILES`, the one that counts most first.
        home: the folder of the profiles, unless `.env` names another.

    Returns:
        The value of each setting that a file gives, and the name of the active profile.

    Raises:
        SettingError: a file cannot be read, or there is no such profile.
    """
    found: dict[str, Given] = {}
    wanted = next((os.environ[name] for name in PROFILE_VARIABLES if os.environ.get(name)), "")
    for place in places:
        if place == ".env":
            lines = list(env_lines(place))
            wanted = wanted or next((text for _, key, text in lines if key in PROFILE_VARIABLES and text), "")
        for name, given in _best(_written(place)).items():
            if name not in ONLY_ENVIRONMENT or place == ".env":
                found.setdefault(name, given)
    if "home" in found and "RUNYARD_HOME" not in os.environ:
        home = os.path.abspath(os.path.expanduser(str(found["home"].value)))
    path = os.path.join(home, PROFILES_FILE)
    profiles = read_profiles(path)
    active = resolve(wanted or profiles.active, profiles, path)
    for name, given in _best(profile_lines(active, profiles, path)).items():
        if name not in ONLY_ENVIRONMENT:
            found.setdefault(name, given)
    return found, active


def _best(lines: Iterable[Written]) -> dict[str, Given]:
    """One value a setting of what one source says: our name counts before Prefect's, then the last line."""
    found: dict[str, Given] = {}
    ranks: dict[str, int] = {}
    for name, given in lines:
        if name is None:
            continue
        names, key = variables(name), given.key.upper()
        rank = names.index(key) if key in names else 0
        if rank <= ranks.get(name, rank):
            found[name], ranks[name] = given, rank
    return found


def resolve(name: str, profiles: Profiles, path: str) -> str:
    """The profile that a name means.

    Raises:
        SettingError: there is none.
    """
    if name in profiles.tables:
        return name
    name = OTHER_WORDS.get(name, name)
    if name in profiles.tables or name in BUILT_IN:
        return name
    known = ", ".join(sorted({*profiles.tables, *BUILT_IN}))
    raise SettingError(f"profile {name!r} not found in {path} (it has: {known}); see: runyard profile ls")


def profile_lines(name: str, profiles: Profiles, path: str) -> Iterator[Written]:
    """What one profile gives."""
    values = profiles.tables.get(name, BUILT_IN.get(name, {}))
    place = f"{path} [profiles.{name}]" if name in profiles.tables else f"the built-in profile '{name}'"
    for key, value in values.items():
        yield Written(name_of(key), Given(value, f"profile '{name}'", place, key))


def read_profiles(path: str) -> Profiles:
    """The profiles of a file; none where there is no file.

    Raises:
        SettingError: it cannot be read, or is no file of profiles.
    """
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return Profiles(DEFAULT_PROFILE, {})
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{path}: cannot be read: {_reason(error)}") from None
    return parse_profiles(text, path)


def parse_profiles(text: str, path: str) -> Profiles:
    """The profiles that a text holds.

    Raises:
        SettingError: it holds none; names the line or the key.
    """
    body = load_toml(text, path)
    active, tables = body.get("active", DEFAULT_PROFILE), body.get("profiles", {})
    if not isinstance(active, str):
        raise SettingError(f"{path}: active={active!r} is not the name of a profile")
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise SettingError(f"{path}: profiles are tables: [profiles.NAME], then lines NAME = VALUE")
    return Profiles(active, tables)


def load_toml(text: str, path: str) -> dict[str, Any]:
    """A TOML file's content.

    Raises:
        SettingError: it is no TOML; names the line.
    """
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{path}: not valid TOML: {error}") from None


def _written(place: str) -> Iterator[Written]:
    """Everything that a file of the folder says about settings."""
    path = os.path.abspath(place)
    if place == ".env":
        for line, key, text in env_lines(place):
            if _is_setting(key) and key not in PROFILE_VARIABLES:
                yield Written(name_of(key), Given(text, ".env", f"{path}:{line}", key))
        return
    try:
        with open(place, encoding="utf-8") as file:
            body = load_toml(file.read(), path)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{path}: cannot be read: {_reason(error)}") from None
    tables: list[tuple[str, Any]] = [("", body)]
    if place == "pyproject.toml":
        tool = body.get("tool", {})
        tables = [(f"tool.{name}", tool.get(name, {})) for name in ("runyard", "prefect")]
    for prefix, table in tables:
        for keys, value in _leaves(table if isinstance(table, dict) else {}):
            key = ".".join((prefix, *keys) if prefix else keys)
            yield Written(_name_in_toml(keys), Given(value, place, path, key))


def _leaves(table: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key), value


def _name_in_toml(keys: tuple[str, ...]) -> str | None:
    """The setting of a key: `PREFECT_API_URL`, `[api] url`, `[server.database] connection_url`."""
    joined = "_".join(keys)
    return name_of(joined) or name_of(f"PREFECT_{joined}")


def _is_setting(key: str) -> bool:
    """Whether a variable is meant as a setting; those with two underscores are handed to runs."""
    prefix, _, rest = key.partition("_")
    return prefix in ("RUNYARD", "PREFECT") and rest != "" and not rest.startswith("_")


def env_lines(path: str) -> Iterator[tuple[int, str, str]]:
    """The lines of a `.env` file as python-dotenv reads it, like pydantic-settings: number, name and value.

    Raises:
        SettingError: it cannot be read, or an invalid line names a setting.
    """
    # Not at the top: loading it takes longer than to read all settings elsewhere.
    from dotenv.parser import parse_stream
    from dotenv.variables import parse_variables

    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            bindings = list(parse_stream(file))
    except OSError as error:
        raise SettingError(f"{os.path.abspath(path)}: cannot be read: {_reason(error)}") from None
    seen: dict[str, str] = {}
    for binding in bindings:
        text = binding.original.string
        number = binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
        if binding.error:
            if any(_is_setting(_key_of(line)) for line in text.splitlines()):
                raise SettingError(f"{os.path.abspath(path)}:{number}: invalid line; is a quote not closed?")
        elif binding.key is not None and binding.value is not None:
            known = {**os.environ, **seen}
            value = "".join(part.resolve(known) for part in parse_variables(binding.value))
            seen[binding.key] = value
            yield number, binding.key, value


def _key_of(line: str) -> str:
    return line.strip().removeprefix("export ").partition("=")[0].strip()


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror if isinstance(error, OSError) else "not UTF-8") or str(error)


def everything(home: str) -> Iterator[Written]:
    """All that stands in the environment, in the folder's files and in every profile.

    Raises:
        SettingError: a file cannot be read; what comes after it was not looked at.
    """
    for variable, text in os.environ.items():
        if _is_setting(variable) and variable not in PROFILE_VARIABLES:
            yield Written(name_of(variable), Given(text, "environment", "environment", variable))
    for place in FOLDER_FILES:
        if os.path.isfile(place):
            yield from _written(place)
    path = os.path.join(home, PROFILES_FILE)
    profiles = read_profiles(path)
    for name in profiles.tables:
        yield from profile_lines(name, profiles, path)
