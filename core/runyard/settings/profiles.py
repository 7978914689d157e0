"""Profiles: named sets of settings in `profiles.toml` of the home; reading, and changing them safely.

A change holds a lock, so that of two terminals none loses what the other wrote, and replaces the file
at once. It touches only the lines it means: comments and the order of the rest stay.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runyard import settings
from runyard.base import private_files
from runyard.base.errors import Conflict, InvalidInput, NotFound, SettingError
from runyard.base.quoting import command_of, quoted
from runyard.base.suggestions import did_you_mean
from runyard.settings.sources import (
    BUILT_IN,
    OTHER_WORDS,
    Profiles,
    parse_profiles,
    read_profiles,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tomlkit import TOMLDocument

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]*$")


def path() -> str:
    """The file of the profiles, which need not exist."""
    return os.path.join(settings.home(), settings.PROFILES_FILE)


def read() -> Profiles:
    """The profiles of the file.

    Raises:
        SettingError: it cannot be read.
    """
    return read_profiles(path())


def names(profiles: Profiles) -> list[str]:
    """All profiles that one may use: those of the file and those that are built in."""
    return sorted({*profiles.tables, *BUILT_IN})


def find(profiles: Profiles, name: str) -> dict[str, Any]:
    """What a profile holds, as written.

    Raises:
        NotFound: the profile is not found.
    """
    known = profiles.tables.get(name)
    if known is None:
        known = BUILT_IN.get(OTHER_WORDS.get(name, name))
    if known is None:
        there = names(profiles)
        raise NotFound(f"profile {name!r} not found" + did_you_mean(name, there, "see: runyard profile ls"))
    return known


def create(name: str, source: str | None = None) -> None:
    """Make a profile, empty or as a copy.

    Raises:
        Conflict: it exists.
        InvalidInput: the name cannot be one.
        NotFound: the profile `source` is not found.
    """
    check_name(name)

    def change(profiles: Profiles) -> Profiles:
        if name in profiles.tables or name in BUILT_IN:
            raise Conflict(f"profile {name!r} exists; see: {command_of('runyard profile inspect', name)}")
        values = dict(find(profiles, source)) if source is not None else {}
        return profiles._replace(tables={**profiles.tables, name: values})

    _change(change)


def use(name: str) -> None:
    """Make a profile the active one.

    Raises:
        NotFound: the profile is not found.
    """

    def change(profiles: Profiles) -> Profiles:
        find(profiles, name)
        return profiles._replace(active=OTHER_WORDS.get(name, name) if name not in profiles.tables else name)

    _change(change)


def delete(name: str) -> None:
    """Take a profile away.

    Raises:
        Conflict: it is the active one, or built in.
        NotFound: the profile is not found.
    """

    def change(profiles: Profiles) -> Profiles:
        find(profiles, name)
        if name == profiles.active:
            raise Conflict(f"profile {name!r} is the active one; first run: runyard profile use OTHER")
        if name not in profiles.tables:
            raise Conflict(f"profile {name!r} is built in; it cannot be deleted")
        tables = {key: table for key, table in profiles.tables.items() if key != name}
        return profiles._replace(tables=tables)

    _change(change)


def rename(name: str, new: str) -> None:
    """Give a profile another name; if it is the active one, it stays so.

    Raises:
        Conflict: the new name is taken, or the profile is built in.
        InvalidInput: the new name cannot be one.
        NotFound: the profile is not found.
    """
    check_name(new)

    def change(profiles: Profiles) -> Profiles:
        find(profiles, name)
        if name not in profiles.tables:
            command = command_of("runyard profile create", new, options=f"--from {quoted(name)}")
            raise Conflict(f"profile {name!r} is built in; copy it: {command}")
        if new in profiles.tables or new in BUILT_IN:
            raise Conflict(f"profile {new!r} exists; choose another name")
        tables = {new if key == name else key: table for key, table in profiles.tables.items()}
        return Profiles(new if profiles.active == name else profiles.active, tables)

    _change(change, renamed=(name, new))


def set_values(name: str, values: dict[str, str]) -> None:
    """Write values into a profile; others of the same settings, under any name, go.

    Args:
        name: the profile; a built-in one is written into the file from now on.
        values: by setting.

    Raises:
        NotFound: the profile is not found.
    """

    def change(profiles: Profiles) -> Profiles:
        old = find(profiles, name)
        table = {key: value for key, value in old.items() if settings.name_of(key) not in values}
        table |= {settings.variables(setting)[0]: value for setting, value in values.items()}
        return profiles._replace(tables={**profiles.tables, name: table})

    _change(change)


def unset_values(name: str, wanted: list[str]) -> list[str]:
    """Take settings out of a profile.

    Returns:
        Those that were not in it, and so are not changed.

    Raises:
        NotFound: the profile is not found.
    """
    missing: list[str] = []

    def change(profiles: Profiles) -> Profiles:
        old = find(profiles, name)
        missing[:] = [each for each in wanted if not any(settings.name_of(key) == each for key in old)]
        if len(missing) == len(wanted):
            return profiles
        table = {key: value for key, value in old.items() if settings.name_of(key) not in wanted}
        return profiles._replace(tables={**profiles.tables, name: table})

    _change(change)
    return missing


def replace_text(text: str, expected: str) -> None:
    """Put a whole new text in the place of the file's.

    Args:
        text: what somebody edited; already looked at.
        expected: what the file held when they began.

    Raises:
        Conflict: somebody else changed the file meanwhile.
        SettingError: `text` is no file of profiles.
    """
    parse_profiles(text, path())
    with _locked():
        if read_text() != expected:
            raise Conflict(f"{path()} was changed by another process meanwhile; nothing was written")
        _write(text)


def read_text() -> str:
    """The text of the file; empty where there is none.

    Raises:
        SettingError: it cannot be read.
    """
    try:
        with open(path(), encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{path()}: cannot be read: {error}") from None


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a profile.

    Raises:
        InvalidInput: it cannot.
    """
    if not _NAME.match(name):
        raise InvalidInput(f"{name!r} is no name of a profile; use letters, digits and - _ . @")


def _change(change: Callable[[Profiles], Profiles], renamed: tuple[str, str] | None = None) -> None:
    with _locked():
        old_text = read_text()
        old = parse_profiles(old_text, path())
        new = change(old)
        if new != old:
            _write(edited(old_text, new, renamed))


@contextmanager
def _locked() -> Iterator[None]:
    import fcntl

    folder = settings.home()
    try:
        private_files.make_folder(folder)
        lock = os.open(f"{path()}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SettingError(f"cannot write to {folder}: {error.strerror}; set RUNYARD_HOME") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
        settings.reload()


def _write(text: str) -> None:
    """Replace the file at once: whoever reads it meanwhile sees the old one or the new one, whole."""
    target = os.path.realpath(path())
    partial = f"{target}.{os.getpid()}.partial"
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        os.fchmod(handle, private_files.FILE_MODE)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(handle)
        os.replace(partial, target)
    except UnicodeEncodeError:
        os.unlink(partial)
        raise InvalidInput("a value is not valid text (UTF-8); nothing was written") from None
    except OSError as error:
        raise SettingError(f"cannot write {target}: {error.strerror}") from None


def edited(text: str, new: Profiles, renamed: tuple[str, str] | None = None) -> str:
    """The text of the file with some profiles changed; comments and the order of the rest stay.

    Args:
        text: the file now.
        new: what it should say.
        renamed: a profile's old and new name, so that its lines stay.
    """
    import tomlkit  # only here: loading it takes longer than to read all settings
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
        if document.get("active") != new.active:
            document["active"] = new.active
        if renamed is not None:
            _rename(document, *renamed)
        tables = document.setdefault("profiles", tomlkit.table(is_super_table=True))
        for name in [name for name in tables if name not in new.tables]:
            del tables[name]
        for name, values in new.tables.items():
            _update(tables.setdefault(name, tomlkit.table()), values)
        result = tomlkit.dumps(document)
    except TOMLKitError:  # a layout that it cannot change
        result = ""
    return result if _says(result) == new else rendered(new)


def _rename(document: TOMLDocument, name: str, new: str) -> None:
    import tomlkit

    tables = tomlkit.table(is_super_table=True)
    for each, table in document["profiles"].items():
        tables.append(new if each == name else each, table)
    document["profiles"] = tables


def _update(table: Any, values: dict[str, Any]) -> None:
    """Let a table hold these values; what has its value already stays as it was written."""
    for key in [key for key in table if key not in values]:
        del table[key]
    for key, value in values.items():
        if key not in table or table[key] != value:
            table[key] = value


def rendered(profiles: Profiles) -> str:
    """The text of a file that says this and nothing else."""
    import tomlkit

    return tomlkit.dumps({"active": profiles.active, "profiles": profiles.tables})


def _says(text: str) -> Profiles | None:
    try:
        return parse_profiles(text, "")
    except SettingError:
        return None
