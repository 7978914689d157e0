"""Maintenance of the database: check, backup, upgrade, vacuum."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from runyard import settings
from runyard.base import private_files
from runyard.base.errors import (
    Conflict,
    DatabaseReadOnly,
    InvalidInput,
    NotFound,
    StoreError,
)
from runyard.base.url_passwords import hidden
from runyard.settings import api_token, encryption, profiles
from runyard.store import migrate, online_steps, sqlite_reading
from runyard.store.database import get_database
from runyard.store.sqlite import SQLiteDriver, SQLiteTransaction, as_dict, path_of

if TYPE_CHECKING:
    from collections.abc import Callable

# How many problems of a damaged file are reported.
_MANY = 20
# The pause between two steps of an upgrade, in which others write.
_PAUSE_SECONDS = 0.2


class Report(NamedTuple):
    """The result of `check`. `problems` is empty for a healthy database."""

    where: str
    schema: int
    newest_schema: int
    size_bytes: int
    flow_runs: int
    problems: list[str]
    steps_to_do: int = 0


def where() -> str:
    """The database file, or the server's address without a password."""
    url = settings.database_url()
    if url.startswith("sqlite"):
        return path_of(url)
    return hidden(url)


def check() -> Report:
    """Read the whole database and look for damage; changes nothing.

    Raises:
        NotFound: there is no database yet.
        StoreError: it cannot be read, is not a database, or a newer Runyard created it.
    """
    url = settings.database_url()
    if not url.startswith("sqlite"):
        return _check_server()
    driver = SQLiteDriver(url)
    try:
        with closing(_open_readonly(driver.path)) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            migrate.check(version, driver.path)
            found = connection.execute(f"PRAGMA integrity_check({_MANY})").fetchall()
            problems = [row[0] for row in found if row[0] != "ok"]
            problems += [
                f"broken reference in {row[0]}" for row in connection.execute("PRAGMA foreign_key_check")
            ]
            runs = connection.execute("SELECT count(*) FROM flow_runs").fetchone()[0] if version else 0
            connection.row_factory = as_dict
            steps = len(online_steps.pending(SQLiteTransaction(connection))) if version else 0
    except sqlite3.Error as error:
        raise driver.translate(error) from error
    return Report(driver.path, version, migrate.LATEST, _size(driver.path), runs, problems, steps)


def backup(target: str, overwrite: bool = False) -> int:
    """Copy the database into a file, while others may use it.

    Args:
        target: the file to write; it appears only when the copy is complete.
        overwrite: whether an existing file may be replaced.

    Returns:
        The size of the copy in bytes.

    Raises:
        Conflict: the file exists.
        InvalidInput: this kind of database cannot be copied, or `target` is a file that Runyard needs,
            or exists and is not a regular file.
        StoreError: the database cannot be read, or the copy cannot be written.
    """
    driver = SQLiteDriver(_sqlite_url("backup", "copy it with pg_dump"))
    target = os.path.abspath(os.path.expanduser(target))
    _check_not_own(target, driver.path)
    _check_target(target, overwrite)
    partial = f"{target}.{os.getpid()}.partial"
    try:
        with closing(_open_readonly(driver.path)) as source, closing(_create(partial)) as copy:
            source.backup(copy)
        _check_target(target, overwrite)
        os.replace(partial, target)
    except sqlite3.Error as error:
        raise driver.translate(error) from error
    except OSError as error:
        raise DatabaseReadOnly(f"cannot write {target}: {error.strerror}") from error
    finally:
        _remove(partial)
    return os.path.getsize(target)


def _check_not_own(target: str, database: str) -> None:
    """Refuse the database, SQLite's files beside it, and Runyard's files in the home."""
    at = os.path.realpath(target)
    own = os.path.realpath(database)
    if at == own:
        raise InvalidInput(f"{target} is the database itself; choose another file")
    others = (encryption.key_path(), api_token.token_path(), profiles.path())
    if at in {f"{own}-{end}" for end in ("wal", "shm", "journal")} | set(map(os.path.realpath, others)):
        raise InvalidInput(f"{target} is a file that Runyard needs; choose another file")


def _check_target(target: str, overwrite: bool) -> None:
    """Refuse to replace an existing file without `overwrite`, and anything that is not a regular file."""
    try:
        mode = os.lstat(target).st_mode
    except OSError:
        return  # It does not exist; if its folder does not either, the write error says so.
    if not stat.S_ISREG(mode):
        kind = "a link" if stat.S_ISLNK(mode) else "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise InvalidInput(f"{target} is {kind}, which a backup does not replace; choose another file")
    if not overwrite:
        raise Conflict(f"{target} exists; choose another file, or use --overwrite")


def upgrade(say: Callable[[online_steps.Step, int], None] | None = None) -> tuple[int, int]:
    """Upgrade the database to the newest schema, with all online steps; create it if it does not exist.

    Args:
        say: called before each of these steps, with the step and how many are left.

    Returns:
        The schema before and after.

    Raises:
        StoreError: the database cannot be used, or a newer Runyard created it.
    """
    before = _stored_schema()
    database = get_database()
    database.changes()  # opening a database upgrades it
    while online_steps.do_next(database, say) is not None:
        time.sleep(_PAUSE_SECONDS)
    database.close()
    return before, migrate.LATEST


def vacuum() -> tuple[int, int]:
    """Rewrite the database without free pages.

    Returns:
        Its size in bytes before and after.

    Raises:
        InvalidInput: the database does this automatically.
        StoreError: it cannot be used, a writer holds it, or the disk is full.
    """
    driver = SQLiteDriver(_sqlite_url("vacuum", "it does so by itself (autovacuum)"))
    before = _size(driver.path)
    try:
        with closing(driver.connect()) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise driver.translate(error) from error
    return before, _size(driver.path)


def _check_server() -> Report:
    database = get_database()
    with database.transaction(write=False) as tx:
        return Report(
            where(),
            tx.value("SELECT version FROM runyard_schema"),
            migrate.LATEST,
            int(tx.value("SELECT pg_database_size(current_database())")),
            int(tx.value("SELECT count(*) FROM flow_runs")),
            [],
            len(online_steps.pending(tx)),
        )


def _stored_schema() -> int:
    url = settings.database_url()
    if not url.startswith("sqlite"):
        # Connecting upgrades, so read the version before.
        get_database().changes()
        return migrate.LATEST
    driver = SQLiteDriver(url)
    if not os.path.exists(driver.path):
        return 0
    try:
        with closing(_open_readonly(driver.path)) as connection:
            version: int = connection.execute("PRAGMA user_version").fetchone()[0]
            return version
    except sqlite3.Error as error:
        raise driver.translate(error) from error


def _sqlite_url(verb: str, instead: str) -> str:
    url = settings.database_url()
    if not url.startswith("sqlite"):
        raise InvalidInput(f"cannot {verb} a PostgreSQL database from here; {instead}")
    return url


def _open_readonly(path: str) -> sqlite3.Connection:
    if not os.path.exists(path):
        raise NotFound(f"no database found at {path}; the first command that stores data creates it")
    if not os.access(path, os.R_OK):
        raise StoreError(f"cannot read {path}; check its permissions")
    return sqlite3.connect(
        sqlite_reading.uri(path), uri=True, timeout=settings.get("database_timeout_seconds")
    )


def _create(path: str) -> sqlite3.Connection:
    # Created here and not by SQLite, so that the error names the reason; private, because it contains logs
    # and parameters.
    os.close(private_files.make_file(path))
    return sqlite3.connect(path)


def _size(path: str) -> int:
    return sum(os.path.getsize(name) for name in (path, f"{path}-wal") if os.path.exists(name))


def _remove(path: str) -> None:
    try:
        os.remove(path)
    except OSError:
        pass
