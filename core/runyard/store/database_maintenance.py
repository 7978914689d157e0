"""Maintenance of the database: check, upgrade, vacuum."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from runyard import settings
from runyard.base.url_passwords import hidden
from runyard.store import migrate, online_steps
from runyard.store.backup_files import open_readonly, own_url, sqlite_url
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
        InvalidInput: the database is that of a server.
        StoreError: it cannot be read, is not a database, or a newer Runyard created it.
    """
    url = own_url()
    if not url.startswith("sqlite"):
        return _check_server()
    driver = SQLiteDriver(url)
    try:
        with closing(open_readonly(driver.path)) as connection:
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


def upgrade(say: Callable[[online_steps.Step, int], None] | None = None) -> tuple[int, int]:
    """Upgrade the database to the newest schema, with all online steps; create it if it does not exist.

    Args:
        say: called before each of these steps, with the step and how many are left.

    Returns:
        The schema before and after.

    Raises:
        InvalidInput: the database is that of a server.
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
        InvalidInput: the database does this automatically, or is that of a server.
        StoreError: it cannot be used, a writer holds it, or the disk is full.
    """
    driver = SQLiteDriver(sqlite_url("vacuum", "it does so by itself (autovacuum)"))
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
    url = own_url()
    if not url.startswith("sqlite"):
        # Connecting upgrades, so read the version before.
        get_database().changes()
        return migrate.LATEST
    driver = SQLiteDriver(url)
    if not os.path.exists(driver.path):
        return 0
    try:
        with closing(open_readonly(driver.path)) as connection:
            version: int = connection.execute("PRAGMA user_version").fetchone()[0]
            return version
    except sqlite3.Error as error:
        raise driver.translate(error) from error


def _size(path: str) -> int:
    return sum(os.path.getsize(name) for name in (path, f"{path}-wal") if os.path.exists(name))
