"""The database of a URL: its connections, one per thread and process, and its transactions."""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from runyard import settings
from runyard.base import thread_calls
from runyard.base.errors import InvalidInput, StoreError
from runyard.store.protocols import Row as Row
from runyard.store.protocols import Transaction as Transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runyard.store.protocols import Driver

# How long `close` waits for another thread's transaction; then that thread closes its connection itself.
_CLOSE_SECONDS = 5.0
# How long a fork waits for other threads to finish with their connections.
_FORK_SECONDS = 10.0
# A forking thread holds this lock, so that no other thread opens a connection meanwhile.
_fork = threading.RLock()
# The locks of connections that are open, or are being opened or closed, by the numbers of their holders.
_locks: dict[int, Any] = {}
_paused: list[Any] = []


class _Held:
    """A thread's connection; it is closed when the thread ends.

    Args:
        driver: opens it.
        register: all open connections by number, with the process that opened each. It has no lock, because a
            forked child could find it locked forever: single operations on a dict are atomic.
    """

    __slots__ = ("__weakref__", "_driver", "_register", "connection", "doomed", "lock", "pid")

    def __init__(self, driver: Driver, register: dict[int, tuple[int, Any, Any]]) -> None:
        self._driver = driver
        self._register = register
        self.pid = os.getpid()
        # Held while the connection is opened, used or closed: a driver crashes if another thread closes it
        # meanwhile, and a fork waits for it.
        self.lock = threading.RLock()
        # Its thread closes it after the current operation.
        self.doomed = False
        with self.lock:
            with _fork:
                _locks[id(self)] = self.lock
            try:
                self.connection = driver.connect()
            except BaseException:
                _locks.pop(id(self), None)
                raise
            register[id(self.connection)] = (self.pid, self.connection, weakref.ref(self))

    def close(self) -> None:
        """Close the connection.

        A connection from before a fork belongs to the parent: it stays in the register, unused, because even
        deleting
        the object would close the parent's end.
        """
        connection = getattr(self, "connection", None)
        if connection is None or self.pid != os.getpid():
            return
        with self.lock:
            self.connection = None
            if self._register.pop(id(connection), None):
                self._driver.close(connection)
        _locks.pop(id(self), None)

    def __del__(self, is_ending: Callable[[], bool] = sys.is_finalizing) -> None:
        # When the interpreter ends, modules may be empty, and the connection closes itself.
        if not is_ending():
            self.close()


def _close_all(register: dict[int, tuple[int, Any, Any]], seconds: float) -> None:
    """Close the connections of all threads of this process; skip those still in use after `seconds`."""
    here = os.getpid()
    for pid, _connection, reference in list(register.values()):
        held: _Held | None = reference()
        if pid != here or held is None:
            continue
        if held.lock.acquire(timeout=seconds):
            try:
                held.close()
            finally:
                held.lock.release()
        else:
            held.doomed = True


class Database:
    """One database, used from any thread and across forks: each gets its own connection.

    Args:
        url: `sqlite:///FILE` or `postgresql://...`.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._driver = _driver(url)
        self._local = threading.local()
        self._open: dict[int, tuple[int, Any, Any]] = {}
        # Also at the exit of the program, while the modules still exist.
        weakref.finalize(self, _close_all, self._open, 0.0)

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._driver.dialect

    def expect(self) -> None:
        """Note that the database exists (another process has it open): never create it."""
        self._driver.expect()

    @contextmanager
    def transaction(
        self, write: bool = True, durable: bool = True, single: bool = False
    ) -> Iterator[Transaction]:
        """One transaction: committed at the end of the block, rolled back if the block raises.

        Args:
            write: False for a transaction that only reads; it never waits for a writer.
            durable: False for one that a power failure may lose until the next durable one has ended. It
                does not wait for the disk; a killed process loses nothing.
            single: the block only reads, with one statement.

        Raises:
            StoreError: the database is unusable, busy, damaged, full, or from a newer Runyard.
        """
        driver = self._driver
        held, tx = self._begin(write, durable, single)
        connection = held.connection
        try:
            try:
                yield tx
                if tx.kept:
                    driver.commit(connection)
                else:
                    driver.rollback(connection)
            except BaseException:
                driver.rollback(connection)
                raise
        except Exception as error:
            translated = driver.translate(error)
            if translated is error:
                raise
            if isinstance(translated, StoreError):
                held.doomed = True
            raise translated from error
        finally:
            if not durable and not driver.restore(connection):
                held.doomed = True
            self._give_back(held)

    def _begin(self, write: bool, durable: bool, single: bool) -> tuple[_Held, Transaction]:
        """Begin a transaction; the caller must release its connection."""
        for may_be_lost in (True, False):
            held = self._take()
            try:
                return held, self._driver.begin(held.connection, write, durable, single)
            except BaseException as error:
                # Also if a signal handler raised: the transaction may have begun.
                lost = may_be_lost and isinstance(error, Exception) and self._driver.is_lost(held.connection)
                held.doomed = True
                self._give_back(held)
                if not isinstance(error, Exception):
                    raise
                if not lost:
                    self._fail(error)
                # The server was restarted after the last transaction; nothing has been done yet.
        raise AssertionError("unreachable")

    def check_writable(self) -> None:
        """Write no rows. (SQLite begins a transaction even on a file that it cannot write.)

        Raises:
            StoreError: the database is unusable; DatabaseReadOnly: it can be read only.
        """
        with self.transaction() as tx:
            tx.execute("DELETE FROM workers WHERE id IS NULL")

    def changes(self) -> Any:
        """A token that changes when another connection commits."""
        with self.outside() as connection:
            return self._driver.changes(connection)

    def wait_for_change(self, since: Any, timeout_seconds: float) -> Any:
        """Wait until another connection commits.

        Args:
            since: the token of `changes` from before the caller last read.
            timeout_seconds: the maximum time.

        Returns:
            The current token, equal to `since` if nothing was committed.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            token = self.changes()
            left = deadline - time.monotonic()
            if token != since or left <= 0:
                return token
            with self.outside() as connection:
                self._driver.wait(connection, left)

    @contextmanager
    def outside(self) -> Iterator[Any]:
        """This thread's connection, outside of transactions."""
        with self._translated():
            held = self._take()
            try:
                yield held.connection
            finally:
                self._give_back(held)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Outside transactions: see `_fail`."""
        try:
            yield
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> NoReturn:
        """Drop the failed connection, and raise our error for its error."""
        self.discard()
        translated = self._driver.translate(error)
        if translated is error:
            raise error
        raise translated from error

    def discard(self) -> None:
        """Close this thread's connection; the next use opens a new one."""
        held: _Held | None = getattr(self._local, "held", None)
        self._local.held = None
        if held is not None:
            held.close()

    def close(self) -> None:
        """Close the connections of all threads of this process."""
        _close_all(self._open, _CLOSE_SECONDS)

    def _take(self) -> _Held:
        """This thread's connection, which no other thread closes until it is released."""
        while True:
            held: _Held | None = getattr(self._local, "held", None)
            if held is None or held.connection is None or held.pid != os.getpid():
                try:
                    held = self._local.held = _Held(self._driver, self._open)
                except Exception as error:
                    raise self._driver.translate(error) from error
            held.lock.acquire()
            if held.connection is not None:
                return held
            held.lock.release()

    def _give_back(self, held: _Held) -> None:
        try:
            if held.doomed:
                held.close()
        finally:
            held.lock.release()


def _driver(url: str) -> Driver:
    scheme = url.partition("://")[0].partition("+")[0]
    if scheme == "sqlite":
        # One of the two drivers: 7 ms for SQLite, 95 ms for PostgreSQL.
        from runyard.store.sqlite import SQLiteDriver

        return SQLiteDriver(url)
    if scheme in ("postgresql", "postgres"):
        from runyard.store.postgres import PostgresDriver

        return PostgresDriver(url)
    raise InvalidInput(f"RUNYARD_DATABASE_URL starts with {scheme!r}; use sqlite:///FILE or postgresql://...")


_databases: dict[str, Database] = {}


def _discard_of_thread() -> None:
    for database in list(_databases.values()):
        database.discard()


thread_calls.at_thread_end(_discard_of_thread)


def _before_fork() -> None:
    """Let no thread be in a driver while this one forks: the child would find its locks held forever."""
    _fork.acquire()
    until = time.monotonic() + _FORK_SECONDS
    for lock in list(_locks.values()):
        if lock.acquire(timeout=max(until - time.monotonic(), 0.0)):
            _paused.append(lock)


def _after_fork() -> None:
    while _paused:
        _paused.pop().release()
    _fork.release()


def _after_fork_in_child() -> None:
    _after_fork()
    _locks.clear()  # of the parent's connections, which the child does not use


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)


def get_database(url: str | None = None) -> Database:
    """The database of `url` (default: of the settings), one object per process and URL."""
    key = url or settings.database_url()
    database = _databases.get(key)
    if database is None:
        database = _databases[key] = Database(key)
    return database


def close_databases(part: str) -> None:
    """Close the databases whose URL has this part, and forget them."""
    for url in [url for url in _databases if part in url]:
        _databases.pop(url).close()
