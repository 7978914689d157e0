"""Restore the SQLite database from a backup, with the key of its secrets and its large results."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tarfile
import time
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from runyard import settings
from runyard.base import private_files
from runyard.base.errors import (
    Conflict,
    DatabaseCorrupt,
    DatabaseReadOnly,
    InvalidInput,
    NotFound,
    SettingError,
    StoreError,
)
from runyard.base.quoting import PATH, quoted
from runyard.base.url_passwords import hidden
from runyard.settings import encryption
from runyard.store import backup_files, migrate
from runyard.store.sqlite import SQLiteDriver

if TYPE_CHECKING:
    from collections.abc import Iterator

# How long a restore waits for short commands that have the database open.
_IN_USE_SECONDS = 3.0
# A worker whose last heartbeat is not older has the database open.
_HEARD_SECONDS = 60
_COUNTED = {"flow_runs": "flow_runs", "deployments": "deployments", "secrets": "block_documents"}


class RestorePlan(NamedTuple):
    """What `restore` will do.

    Args:
        source: the backup.
        newest: the time of the last change in it; None: it is empty.
        target: the database file that it becomes.
        replaced: where the present database is moved; None: there is none.
        schema: the schema of the backup.
        flow_runs: the number of flow runs in it.
        deployments: the number of deployments in it.
        secrets: the number of saved blocks in it, which are encrypted.
        key: the file of their key; None: there are no secrets, or no key is known and none was wanted.
        writes_key: whether the key will be written to the home.
        results: the file with the large results; None: there is none.
    """

    source: str
    newest: datetime | None
    target: str
    replaced: str | None
    schema: int
    flow_runs: int
    deployments: int
    secrets: int
    key: str | None
    writes_key: bool
    results: str | None


def plan_restore(source: str, key: str | None = None, without_key: bool = False) -> RestorePlan:
    """Check a backup, and say what `restore` will do. Changes nothing.

    Args:
        source: the file that `backup` wrote.
        key: the file with the key of its secrets; None: `SOURCE.key`, else the present key.
        without_key: restore it although no key decrypts its secrets.

    Raises:
        NotFound: the backup or the key file does not exist.
        InvalidInput: this kind of database cannot be restored, or `source` is the database itself.
        SettingError: no key decrypts the secrets.
        StoreError: the backup is damaged or no database of Runyard, or a newer Runyard created it.
    """
    url = backup_files.own_url()
    if not url.startswith("sqlite"):
        raise InvalidInput(
            "cannot restore a PostgreSQL database from here; run: pg_restore --clean --if-exists "
            f"--single-transaction --dbname {quoted(hidden(url), PATH)} {quoted(source, PATH)}"
        )
    driver = SQLiteDriver(url)
    source = os.path.abspath(os.path.expanduser(source))
    if not os.path.exists(source):
        raise NotFound(f"backup {source} not found")
    if os.path.realpath(source) == os.path.realpath(driver.path):
        raise InvalidInput(f"{source} is the database itself; give a backup of it")
    try:
        with closing(backup_files.open_backup(source)) as connection:
            schema = _checked_schema(connection, source)
            counts = {
                name: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608  # constants
                for name, table in _COUNTED.items()
            }
            tokens = backup_files.tokens(connection)
            newest = max(_newest(connection, table) for table in _COUNTED.values()) or None
    except sqlite3.Error as error:
        raise SQLiteDriver(settings.sqlite_url(source)).translate(error) from error
    found = _find_key(source, key, tokens)
    if tokens and found is None and not without_key:
        raise SettingError(_no_key(source, key, len(tokens)))
    results = backup_files.results_beside(source)
    return RestorePlan(
        source=source,
        newest=newest and datetime.fromtimestamp(newest / 1e6, UTC),
        target=driver.path,
        replaced=_aside(driver.path) if os.path.lexists(driver.path) else None,
        schema=schema,
        **counts,
        key=found,
        writes_key=found not in (None, backup_files.key_place()),
        results=results if os.path.exists(results) else None,
    )


def _checked_schema(connection: sqlite3.Connection, source: str) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    migrate.check(version, source)
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not version or not set(_COUNTED.values()) <= tables:
        raise InvalidInput(f"{source} is not a database of Runyard; give a file of: runyard database backup")
    problem = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if problem != "ok":
        raise DatabaseCorrupt(f"the backup {source} is damaged ({problem}); restore another one")
    return version


def _newest(connection: sqlite3.Connection, table: str) -> int:
    found: int = connection.execute(f"SELECT coalesce(max(updated), 0) FROM {table}").fetchone()[0]  # noqa: S608  # a constant
    return found


def _find_key(source: str, given: str | None, tokens: list[str]) -> str | None:
    """The place of the key that decrypts all tokens.

    A key in the setting is what processes will use, so that one must fit.
    """
    if given is not None and not os.path.exists(given):
        raise NotFound(f"key file {given} not found")
    if not tokens:
        return None
    if settings.get("encryption_key"):
        return backup_files.key_place() if encryption.opens(encryption.keys(), tokens) else None
    candidates = [os.path.abspath(given)] if given is not None else []
    candidates += [backup_files.key_beside(source), encryption.key_path()] if given is None else []
    for path in candidates:
        if encryption.opens(encryption.keys_in(path), tokens):
            return path
    return None


def _no_key(source: str, given: str | None, secrets: int) -> str:
    holds = f"{source} holds {secrets} encrypted saved block{'' if secrets == 1 else 's'}"
    if settings.get("encryption_key"):
        return (
            f"{holds} of another key than {backup_files.key_place()}; set that one, or put it behind a comma"
        )
    if given is not None:
        return f"{holds}, which the key in {given} does not decrypt; give their key"
    beside = backup_files.key_beside(source)
    why = f"the key in {beside} does not decrypt" if os.path.exists(beside) else "no key here decrypts"
    return f"{holds}, which {why}; give their key with --key FILE, or use --without-key to lose them"


def restore(plan: RestorePlan) -> None:
    """Put a backup in the place of the database, with its key and results.

    The present database and key are moved aside, and can be restored in the same way.

    Raises:
        Conflict: another process has the database open.
        StoreError: something cannot be written; then nothing has changed.
    """
    driver = SQLiteDriver(settings.database_url())
    stamp = plan.replaced or _aside(plan.target)
    partial = f"{plan.target}.{os.getpid()}.partial"
    try:
        private_files.make_folder(os.path.dirname(plan.target))
        with (
            closing(backup_files.open_backup(plan.source)) as source,
            closing(backup_files.create(partial)) as copy,
        ):
            source.backup(copy)
            if plan.results is not None:
                _unpack(plan.results, copy)
            copy.execute("PRAGMA journal_mode=WAL")
        with encryption.changing_keys(), _alone(driver):
            before = encryption.keys_in(encryption.key_path())
            given = encryption.keys_in(plan.key) if plan.writes_key and plan.key else None
            if given is not None:
                # Both are in the file until the database is in place: a crash loses nothing.
                encryption.write_keys([*given, *(key for key in before if key not in given)])
            _swap(partial, plan.target, stamp)
            if given is not None:
                if before and before != given:
                    aside = backup_files.key_beside(stamp)
                    os.replace(private_files.write_beside(aside, "\n".join(before) + "\n"), aside)
                encryption.write_keys(given)
    except sqlite3.Error as error:
        raise driver.translate(error) from error
    except OSError as error:
        raise DatabaseReadOnly(f"cannot restore {plan.target}: {error.strerror}") from error
    finally:
        backup_files.remove(partial)


def _unpack(archive: str, copy: sqlite3.Connection) -> None:
    """Write the large results into the folder of this installation, and say so in their rows."""
    folder = backup_files.results_folder()
    private_files.make_folder(folder)
    wanted = {os.path.basename(path): path for path in backup_files.result_files(copy)}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isreg() and member.name in wanted else None
                if content is None:
                    continue
                path = os.path.join(folder, member.name)
                partial = f"{path}.{os.getpid()}.partial"
                with os.fdopen(private_files.make_file(partial), "wb") as file:
                    while part := content.read(1 << 20):
                        file.write(part)
                os.replace(partial, path)
                copy.execute("UPDATE results SET place = ? WHERE place = ?", (path, wanted[member.name]))
        copy.commit()
    except tarfile.TarError as error:
        raise DatabaseCorrupt(f"{archive} is damaged ({error}); restore another backup") from None


@contextlib.contextmanager
def _alone(driver: SQLiteDriver) -> Iterator[None]:
    """Hold the present database so that no other process uses it; a damaged one has no users.

    Raises:
        Conflict: another process has it open.
    """
    if not os.path.exists(driver.path):
        yield
        return
    with closing(sqlite3.connect(driver.path, timeout=_IN_USE_SECONDS, isolation_level=None)) as connection:
        try:
            _become_alone(connection)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
            raise Conflict(_users(driver.path)) from None
        except sqlite3.DatabaseError:
            connection.close()
            yield
            return
        try:
            yield
        except BaseException:
            connection.execute("COMMIT")
            connection.execute("PRAGMA journal_mode=WAL")
            raise


def _become_alone(connection: sqlite3.Connection) -> None:
    """Leave WAL, which only the one user of a database can; SQLite does not wait for the others to go."""
    deadline = time.monotonic() + _IN_USE_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=DELETE")
            connection.execute("BEGIN EXCLUSIVE")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def _users(path: str) -> str:
    names: list[str] = []
    with contextlib.suppress(sqlite3.Error, StoreError), closing(backup_files.open_readonly(path)) as found:
        rows = found.execute(
            "SELECT name FROM workers WHERE stopped = 0 AND last_heartbeat_time > ? ORDER BY name",
            ((time.time() - _HEARD_SECONDS) * 1e6,),
        )
        names = [f"worker '{row[0]}'" for row in rows]
    who = f" ({', '.join(names)})" if names else ""
    return f"{path} is in use by other processes{who}; stop workers, servers and scripts first"


def _swap(new: str, target: str, aside: str) -> None:
    """Move the present database aside with its log, and put the new one in its place."""
    if os.path.lexists(target):
        # The log first: beside another database it would be read as its changes.
        for end in ("-wal", "-shm", "-journal"):
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{target}{end}", f"{aside}{end}")
        try:
            os.link(target, aside)
        except OSError:  # not every file system has links
            os.rename(target, aside)
    os.replace(new, target)


def _aside(path: str) -> str:
    """A name that no file has, for the present database."""
    name = f"{path}.before-restore-{time.strftime('%Y%m%d-%H%M%S')}"
    number = 2
    free = name
    while os.path.lexists(free) or os.path.lexists(backup_files.key_beside(free)):
        free, number = f"{name}-{number}", number + 1
    return free
