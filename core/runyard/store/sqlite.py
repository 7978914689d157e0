"""SQLite: one file in WAL mode, one writer at a time; readers never wait."""

from __future__ import annotations

import os
import select
import sqlite3
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from runyard import settings
from runyard.base import private_files
from runyard.base.errors import (
    Conflict,
    DatabaseBusy,
    DatabaseCorrupt,
    DatabaseLost,
    DatabaseMoved,
    DatabaseReadOnly,
    InvalidInput,
    RunyardError,
    StoreError,
)
from runyard.base.waits import jittered
from runyard.store import migrate, sqlite_reading
from runyard.store.statement_values import MOST_VALUES, refuse_too_many, storable_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runyard.store.protocols import Row

_NOTHING: dict[str, Any] = {}
# How long a file that was put back is not touched.
_RETURN_SECONDS = 1.0
# How often at most a reader checks that the file is still the one that was opened.
_LOOK_SECONDS = 0.02
# The pause between two tries for the write lock.
_FIRST_WAIT_SECONDS = 0.0003
_LONGEST_WAIT_SECONDS = 0.005


def path_of(url: str) -> str:
    """The absolute path of the file of a `sqlite:///FILE` URL."""
    text = unquote(url.partition("://")[2].partition("?")[0], errors="surrogateescape")
    # As in SQLAlchemy's URLs: after `sqlite://`, one slash and then the path, absolute or relative.
    path = text[1:]
    if not path.strip("/") or path == ":memory:":
        raise InvalidInput(f"{url} names no file; use sqlite:///FILE")
    return os.path.abspath(os.path.expanduser(path))


class OpenFile:
    """Remembers the descriptor of the database's file, to notice when it is closed or reused.

    A program that closes descriptors which it did not open closes SQLite's file, and its next opened file
    gets the
    number: SQLite would then write into that file.

    Args:
        path: the path of the open file.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = os.stat(path)
        self._number = self._find()
        # Some systems have no list of descriptors; then nothing is checked.
        self._known = self._number is not None
        self._looked_at = 0.0

    def is_due(self) -> bool:
        """Whether a check is due.

        Each check lets other threads run, which costs a reader far more than the check
        itself; a writer always checks.
        """
        now = time.monotonic()
        if now < self._looked_at + _LOOK_SECONDS:
            return False
        self._looked_at = now
        return True

    def is_there(self) -> bool:
        """Whether the file is still open (about a microsecond)."""
        if not self._known or self._is(self._number):
            return True
        # Another connection to the same file may have had that number, and have been closed.
        self._number = self._find()
        return self._number is not None

    def has_moved(self) -> bool:
        """Whether its path is now another file, or missing (about a microsecond)."""
        try:
            return not os.path.samestat(os.stat(self._path), self._file)
        except OSError:
            return True

    def _is(self, number: int | None) -> bool:
        try:
            return number is not None and os.path.samestat(os.fstat(number), self._file)
        except OSError:
            return False

    def _find(self) -> int | None:
        try:
            numbers = os.listdir("/dev/fd")
        except OSError:
            return None
        return next((int(number) for number in numbers if self._is(int(number))), None)


class SQLiteTransaction:
    """A transaction on one connection."""

    dialect = "sqlite"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.kept = True
        self.prepared: Any = None

    def execute(self, sql: str, values: Mapping[str, Any] | Sequence[Any] | None = None) -> int:
        """Run one statement; return the number of changed rows.

        An INSERT of many rows uses `?` and a sequence: resolving hundreds of names is slower.
        """
        return self._run(sql, values).rowcount

    def many(self, sql: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Run one statement for each of `rows` (mappings, or tuples if the SQL has `?`)."""
        self._connection.executemany(sql, [storable_values(row) for row in rows])

    def all(self, sql: str, values: Mapping[str, Any] | None = None) -> list[Row]:
        """The rows as dicts."""
        cursor = self._run(sql, values)
        cursor.row_factory = None  # `as_dict` would make the names for each row again
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def one(self, sql: str, values: Mapping[str, Any] | None = None) -> Row | None:
        """The first row, or None."""
        rows = self.all(sql, values)
        return rows[0] if rows else None

    def value(self, sql: str, values: Mapping[str, Any] | None = None) -> Any:
        """The first column of the first row, or None."""
        row = self.one(sql, values)
        return next(iter(row.values())) if row else None

    def _run(self, sql: str, values: Mapping[str, Any] | Sequence[Any] | None) -> sqlite3.Cursor:
        if type(values) is dict and len(values) > MOST_VALUES:
            refuse_too_many(values)
        try:
            return self._connection.execute(sql, values or _NOTHING)
        except UnicodeEncodeError:
            # UTF-8 cannot encode a value. All are bound before the statement runs, so nothing was changed.
            return self._connection.execute(sql, storable_values(values or _NOTHING))


def as_dict(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> Row:
    """A row by the names of its columns."""
    return dict(zip([column[0] for column in cursor.description], row, strict=True))


class SQLiteDriver:
    """Opens the file of a URL.

    Args:
        url: `sqlite:///FILE`.
    """

    dialect = "sqlite"

    def __init__(self, url: str) -> None:
        self.path = path_of(url)
        self._timeout: float = settings.get("database_timeout_seconds")
        self._poll: float = settings.get("worker_poll_seconds")
        self._files: dict[int, OpenFile] = {}
        # For connections that open the file as immutable: its state at that time.
        self._still: dict[int, Any] = {}
        self._lost = False
        self._opened = False
        # Whether the file is missing, or the monotonic time at which it came back.
        self._away = False
        self._back_at: float | None = None

    def expect(self) -> None:
        """Note that the file exists: if it is missing later, it is unreachable."""
        self._opened = True

    def connect(self) -> sqlite3.Connection:
        """A connection to the migrated database; creates the file and its folder if they do not exist."""
        # SQLite shares some of its files between the connections of a process.
        if self._lost or any(self._is_lost(*each) for each in list(self._files.items())):
            self._lost = True
            raise self._loss()
        self._wait_for_return()
        folder = os.path.dirname(self.path)
        try:
            private_files.make_folder(folder)
        except OSError as error:
            raise DatabaseReadOnly(
                f"cannot create the folder {folder}: {error.strerror}; set RUNYARD_HOME to another"
            ) from error
        if not os.path.lexists(self.path):
            # SQLite gives the files beside the database the same mode.
            with suppress(OSError):  # another process was faster; else SQLite reports the reason
                os.close(private_files.make_file(self.path))
        reading = sqlite_reading.can_only_read(self.path)
        mark = sqlite_reading.mark(self.path) if reading and sqlite_reading.is_still(self.path) else None
        connection = sqlite3.connect(
            sqlite_reading.uri(self.path) if reading else self.path,
            timeout=self._timeout,
            isolation_level=None,
            check_same_thread=False,
            uri=reading,
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._files[id(connection)] = OpenFile(self.path)
        self._opened = True
        if mark:
            self._still[id(connection)] = mark
        return connection

    def _is_lost(self, key: int, file: OpenFile) -> bool:
        # In this order: another thread may be closing that connection now, and removes it first.
        return not file.is_there() and self._files.get(key) is file

    def _loss(self) -> DatabaseLost:
        return DatabaseLost(
            f"this process has closed its own connection to {self.path}; its code probably closed "
            f"descriptors "
            "that it did not open, for example with os.closerange"
        )

    def _wait_for_return(self) -> None:
        """Create no empty database in place of a missing one, and wait until it is completely restored.

        Its log is a separate file: opening the database before the log is there would create another.
        """
        if self._opened and not os.path.lexists(self.path):
            self._away, self._back_at = True, None
        elif self._away:
            self._back_at = self._back_at or time.monotonic()
            self._away = time.monotonic() < self._back_at + _RETURN_SECONDS
        if self._away:
            raise self._gone()

    def _gone(self) -> DatabaseMoved:
        try:
            os.lstat(self.path)
        except PermissionError as error:
            return DatabaseMoved(
                f"{self.path} cannot be reached any more: {error.strerror}; give the user of this process "
                f"access "
                "to its folder, or start this process as another user"
            )
        except OSError:
            pass
        return DatabaseMoved(
            f"{self.path} was moved, deleted or replaced while this process used it; restore it, or restart "
            "this process"
        )

    def _changed(self) -> DatabaseBusy:
        return DatabaseBusy(f"{self.path} was changed while it was read; try again")

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.row_factory = as_dict
        version = connection.execute("PRAGMA user_version").fetchone()["user_version"]
        if migrate.check(version, self.path):
            self._upgrade(connection)
        # WAL with FULL: a committed state change survives a power failure. Foreign keys are off by default in
        # SQLite, and cost nothing on tables that are written often (they have none).
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    def _upgrade(self, connection: sqlite3.Connection) -> None:
        # Switching to WAL needs an exclusive lock, for which SQLite does not wait; this loop does.
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = connection.execute("PRAGMA user_version").fetchone()["user_version"]
            if migrate.check(version, self.path):
                migrate.upgrade(SQLiteTransaction(connection), version)
                connection.execute(f"PRAGMA user_version={migrate.LATEST}")
            connection.execute("COMMIT")
        except BaseException:
            self.rollback(connection)
            raise

    def begin(
        self, connection: sqlite3.Connection, write: bool, durable: bool = True, single: bool = False
    ) -> SQLiteTransaction:
        """Begin a transaction; a writing one waits for the write lock and acquires it at once.

        A transaction that is not durable is in the log when it ends, and reaches the disk with the next
        durable one, in
        order. A single read statement is a transaction by itself: each further statement lets other threads
        run,
        which costs a task with a stored result more than the read.
        """
        file = self._files[id(connection)]
        if write or file.is_due():
            if not file.is_there():
                self._lost = True
                raise self._loss()
            if file.has_moved():
                self._away, self._back_at = True, None
                raise self._gone()
        if self._was_written(connection):
            raise self._changed()
        if not durable:
            connection.execute("PRAGMA synchronous=NORMAL")
        if write:
            self._begin_writing(connection)
        elif not single:
            connection.execute("BEGIN")
        return SQLiteTransaction(connection)

    def _begin_writing(self, connection: sqlite3.Connection) -> None:
        """Acquire the write lock; retry often while another process holds it.

        SQLite itself would sleep for up to 100 ms between two tries, longer than most transactions take.
        """
        connection.execute("PRAGMA busy_timeout=0")
        try:
            began, waited, wait = time.monotonic(), 0.0, _FIRST_WAIT_SECONDS
            while True:
                try:
                    connection.execute("BEGIN IMMEDIATE")
                    return
                except sqlite3.OperationalError as error:
                    # The clock may stand still: some programs run with a fixed clock.
                    seconds = max(time.monotonic() - began, waited)
                    if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or seconds > self._timeout:
                        raise
                pause = jittered(wait, most=1.5)
                # Unlike `time.sleep`, this does not depend on a clock that may be set meanwhile.
                select.select((), (), (), pause)
                waited += pause
                wait = min(wait * 1.2, _LONGEST_WAIT_SECONDS)
        finally:
            connection.execute(f"PRAGMA busy_timeout={int(self._timeout * 1000)}")

    def restore(self, connection: sqlite3.Connection) -> bool:
        """The next transactions are durable again; never raises."""
        try:
            connection.execute("PRAGMA synchronous=FULL")
        except sqlite3.Error:
            return False
        return True

    def commit(self, connection: sqlite3.Connection) -> None:
        """Commit the transaction."""
        if connection.in_transaction:
            connection.execute("COMMIT")
        if self._was_written(connection):
            raise self._changed()

    def rollback(self, connection: sqlite3.Connection) -> None:
        """Roll back the transaction; never raises."""
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            pass

    def close(self, connection: sqlite3.Connection) -> None:
        """Close the connection.

        A connection whose descriptor was closed from outside stays open forever: SQLite would write into, and
        close,
        the files that have reused its descriptors.
        """
        file = self._files.pop(id(connection))
        self._still.pop(id(connection), None)
        if self._lost or not file.is_there():
            self._lost = True
            import ctypes

            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
            return
        connection.close()

    def changes(self, connection: sqlite3.Connection) -> Any:
        """The number that changes when another connection commits (about 4 microseconds)."""
        if id(connection) in self._still:
            return sqlite_reading.mark(self.path)
        return connection.execute("PRAGMA data_version").fetchone()["data_version"]

    def wait(self, connection: sqlite3.Connection, seconds: float) -> None:
        """Sleep for one poll interval: SQLite sends no notifications."""
        time.sleep(min(seconds, self._poll))

    def is_lost(self, connection: sqlite3.Connection) -> bool:
        """Whether the file was replaced, or was opened as immutable and has changed."""
        return self._files[id(connection)].has_moved() or self._was_written(connection)

    def _was_written(self, connection: sqlite3.Connection) -> bool:
        mark = self._still.get(id(connection)) if self._still else None
        return mark is not None and mark != sqlite_reading.mark(self.path)

    def translate(self, error: Exception) -> Exception:
        """Our error for an sqlite3 error."""
        if isinstance(error, (OverflowError, sqlite3.DataError)):
            return InvalidInput(f"a value cannot be stored: {error}")
        if isinstance(error, RunyardError) or not isinstance(error, sqlite3.Error):
            return error
        text = str(error)
        if isinstance(error, sqlite3.IntegrityError) and text.startswith(("UNIQUE", "FOREIGN KEY")):
            return Conflict(f"the change conflicts with another object: {text}")
        if isinstance(error, (sqlite3.IntegrityError, sqlite3.ProgrammingError)):
            return error
        if "locked" in text or "busy" in text:
            return DatabaseBusy(f"another process held {self.path} for {self._timeout:g} s; try again")
        if "not a database" in text or "malformed" in text:
            return DatabaseCorrupt(
                f"{self.path} is damaged or not a database ({text}); restore a backup, or move it away"
            )
        if "unable to open" in text and sqlite_reading.can_only_read(self.path):
            return DatabaseReadOnly(
                f"{self.path} has a log of its last changes, which can only be read in a writable folder; "
                f"copy {self.path}* to a writable folder, and set RUNYARD_HOME to that"
            )
        if "readonly" in text or "unable to open" in text:
            return DatabaseReadOnly(f"cannot write {self.path} ({text}); check its permissions")
        if "full" in text or "disk I/O" in text:
            return DatabaseReadOnly(f"cannot write {self.path} ({text}); free some disk space")
        if isinstance(error, sqlite3.OperationalError) and (
            "no such" in text or "syntax" in text or "has no column" in text
        ):
            return error
        return StoreError(f"{self.path}: {text}")
