"""The files of backups: their names, what they may replace, and the database that is read for them."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from urllib.parse import quote

from runyard import settings
from runyard.base import private_files
from runyard.base.errors import Conflict, InvalidInput, NotFound, StoreError
from runyard.base.url_passwords import hidden
from runyard.settings import api_token, encryption, profiles
from runyard.store import sqlite_reading


def key_beside(backup: str) -> str:
    """The file with the key of a backup."""
    return f"{backup}.key"


def key_place() -> str:
    """Where the key of this installation is: a setting, or the key file."""
    return settings.place_of("encryption_key") if settings.get("encryption_key") else encryption.key_path()


def results_beside(backup: str) -> str:
    """The file with the large results of a backup."""
    return f"{backup}.results.tar"


def results_folder() -> str:
    """The folder where this installation writes large results."""
    folder = settings.get("results_local_storage_path") or os.path.join(settings.home(), "storage")
    return os.path.abspath(os.path.expanduser(folder))


def own_url() -> str:
    """The URL of the database of this machine.

    Raises:
        InvalidInput: commands use an API, so the database is that of its server.
    """
    api = settings.get("api_url")
    if api:
        raise InvalidInput(
            f"the database belongs to the server at {hidden(api)}; run this on the server's machine, with "
            "RUNYARD_API_URL= in front of the command"
        )
    return settings.database_url()


def sqlite_url(verb: str, instead: str) -> str:
    """The URL of the SQLite database.

    Raises:
        InvalidInput: it is a PostgreSQL database, or the database of a server.
    """
    url = own_url()
    if not url.startswith("sqlite"):
        raise InvalidInput(f"cannot {verb} a PostgreSQL database from here; {instead}")
    return url


def check_target(target: str, database: str, overwrite: bool) -> None:
    """Check that a file of a backup may be written.

    Raises:
        Conflict: the file exists.
        InvalidInput: it is the database or another file that Runyard needs, or not a regular file.
    """
    _check_not_own(target, database)
    try:
        mode = os.lstat(target).st_mode
    except OSError:
        return  # It does not exist; if its folder does not either, the write error says so.
    if not stat.S_ISREG(mode):
        kind = "a link" if stat.S_ISLNK(mode) else "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise InvalidInput(f"{target} is {kind}, which a backup does not replace; choose another file")
    if not overwrite:
        raise Conflict(f"{target} exists; choose another file, or use --overwrite")


def _check_not_own(target: str, database: str) -> None:
    """Refuse the database, SQLite's files beside it, and Runyard's files in the home."""
    at = os.path.realpath(target)
    own = os.path.realpath(database)
    if at == own:
        raise InvalidInput(f"{target} is the database itself; choose another file")
    others = (encryption.key_path(), api_token.token_path(), profiles.path())
    if at in {f"{own}-{end}" for end in ("wal", "shm", "journal")} | set(map(os.path.realpath, others)):
        raise InvalidInput(f"{target} is a file that Runyard needs; choose another file")


def open_readonly(path: str) -> sqlite3.Connection:
    """A connection that only reads.

    Raises:
        NotFound: there is no such file.
        StoreError: it cannot be read.
    """
    if not os.path.exists(path):
        raise NotFound(f"no database found at {path}; the first command that stores data creates it")
    if not os.access(path, os.R_OK):
        raise StoreError(f"cannot read {path}; check its permissions")
    return sqlite3.connect(
        sqlite_reading.uri(path), uri=True, timeout=settings.get("database_timeout_seconds")
    )


def open_backup(path: str) -> sqlite3.Connection:
    """A connection to a backup, which leaves no files beside it.

    Raises:
        StoreError: it cannot be read.
    """
    log = f"{path}-wal"
    if os.path.exists(log) and os.path.getsize(log):  # a copy of a database that was in use
        return open_readonly(path)
    if not os.access(path, os.R_OK):
        raise StoreError(f"cannot read {path}; check its permissions")
    return sqlite3.connect(f"file:{quote(os.fsencode(path))}?immutable=1", uri=True)


def tokens(connection: sqlite3.Connection) -> list[str]:
    """The encrypted data of the saved blocks."""
    return [row[0] for row in _rows(connection, "SELECT data FROM block_documents")]


def result_files(connection: sqlite3.Connection) -> list[str]:
    """The paths of the large results."""
    return [row[0] for row in _rows(connection, "SELECT place FROM results WHERE place IS NOT NULL")]


def _rows(connection: sqlite3.Connection, sql: str) -> list[tuple[str]]:
    """Rows of a table that an old schema may lack."""
    try:
        return connection.execute(sql).fetchall()
    except sqlite3.OperationalError as error:
        if "no such" in str(error):
            return []
        raise


def create(path: str) -> sqlite3.Connection:
    """A connection to a new private file; created here and not by SQLite, so that the error names the reason.

    Raises:
        OSError: it cannot be created.
    """
    os.close(private_files.make_file(path))
    return sqlite3.connect(path)


def remove(path: str) -> None:
    """Delete a file if it exists."""
    with contextlib.suppress(OSError):
        os.remove(path)
