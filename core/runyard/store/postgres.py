"""PostgreSQL through psycopg 3: for a team and its fleet of servers and workers."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from runyard import settings
from runyard.base.errors import (
    Conflict,
    DatabaseBusy,
    DatabaseReadOnly,
    InvalidInput,
    RunyardError,
    StoreError,
    extra_missing,
)
from runyard.store import migrate
from runyard.store.statement_values import MOST_VALUES, refuse_too_many, storable_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runyard.store.protocols import Row

try:
    import psycopg
    from psycopg.rows import dict_row
except ImportError as error:
    raise extra_missing("psycopg", "postgres") from error

_CHANNEL = "runyard"
# A process that migrates holds this advisory lock; the number is arbitrary and must not change.
_MIGRATION_LOCK = 7_274_911
# The SQLSTATE of the error for an index entry that is too large.
_TOO_LARGE = "54000"
_PARAMETER = re.compile(r"(?<!:):([a-z_][a-z0-9_]*)")


@lru_cache(maxsize=2048)
def _to_psycopg(sql: str) -> str:
    return _PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%"))


class _Connection(psycopg.Connection[Any]):
    """A connection with its transaction and the notifications that it received."""

    tx: PostgresTransaction | None = None
    seen: int | None = None  # notifications of others; None until someone asks for changes


class PostgresTransaction:
    """A transaction on one connection."""

    dialect = "postgresql"

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self.kept = True
        self.prepared: Any = None
        self.wrote = False

    def execute(self, sql: str, values: Mapping[str, Any] | Sequence[Any] | None = None) -> int:
        """Run one statement; return the number of changed rows.

        An INSERT of many rows uses `?` and a sequence: resolving hundreds of names is slower.
        """
        return self._run(sql, values).rowcount

    def many(self, sql: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Run one statement for each of `rows`."""
        self.wrote = True
        self._connection.cursor().executemany(_to_psycopg(sql), [storable_values(row) for row in rows])

    def all(self, sql: str, values: Mapping[str, Any] | None = None) -> list[Row]:
        """The rows as dicts."""
        return self._run(sql, values).fetchall()

    def one(self, sql: str, values: Mapping[str, Any] | None = None) -> Row | None:
        """The first row, or None."""
        return self._run(sql, values).fetchone()

    def value(self, sql: str, values: Mapping[str, Any] | None = None) -> Any:
        """The first column of the first row, or None."""
        row = self.one(sql, values)
        return next(iter(row.values())) if row else None

    def _run(self, sql: str, values: Mapping[str, Any] | Sequence[Any] | None) -> psycopg.Cursor[Row]:
        if isinstance(values, (list, tuple)):
            self.wrote = True
            sql = sql.replace("%", "%%").replace("?", "%s")
        else:
            if values is not None and len(values) > MOST_VALUES:
                refuse_too_many(values)
            if not sql.lstrip()[:6].upper().startswith("SELECT"):
                self.wrote = True
            sql, values = _to_psycopg(sql), values or {}
        try:
            return self._connection.cursor().execute(sql, values)
        except (UnicodeEncodeError, psycopg.DataError) as error:
            if getattr(error, "sqlstate", None) is not None:
                raise
            # A value that UTF-8 or PostgreSQL's text cannot hold: the driver refused it and has sent nothing.
            return self._connection.cursor().execute(sql, storable_values(values))


class PostgresDriver:
    """Connects to the server of a URL.

    Args:
        url: `postgresql://user:password@host:port/database`.
    """

    dialect = "postgresql"

    def __init__(self, url: str) -> None:
        scheme, _, rest = url.partition("://")
        self._url = f"{scheme.partition('+')[0]}://{rest}"
        self._where = rest.rpartition("@")[2].partition("?")[0]
        self._timeout: float = settings.get("database_timeout_seconds")

    def expect(self) -> None:
        """Does nothing: a server never creates a database by itself."""

    def connect(self) -> _Connection:
        """A connection to the migrated database."""
        connection = _Connection.connect(self._url, autocommit=True, row_factory=dict_row, connect_timeout=10)
        try:
            # The second setting: a process that is suspended inside a transaction must not hold its locks for
            # longer than others wait.
            milliseconds = int(self._timeout * 1000)
            connection.execute(
                f"SET lock_timeout = {milliseconds};"
                f"SET idle_in_transaction_session_timeout = {milliseconds // 2}"
            )
            if migrate.check(self._version(connection), self._where):
                self._upgrade(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _version(self, connection: _Connection) -> int:
        # Query the catalogue with a new snapshot: to_regclass may use this connection's cache, and miss the
        # table that another session created while this one waited for the lock.
        row = connection.execute(
            "SELECT count(*) AS found FROM pg_catalog.pg_tables "
            "WHERE tablename = 'runyard_schema' AND schemaname = ANY (current_schemas(false))"
        ).fetchone()
        if row is None or not row["found"]:
            return 0
        row = connection.execute("SELECT version FROM runyard_schema").fetchone()
        return row["version"] if row else 0

    def _upgrade(self, connection: _Connection) -> None:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
            version = self._version(connection)
            if not migrate.check(version, self._where):
                return
            connection.execute("CREATE TABLE IF NOT EXISTS runyard_schema (version INTEGER NOT NULL)")
            migrate.upgrade(PostgresTransaction(connection), version)
            connection.execute("DELETE FROM runyard_schema")
            connection.execute("INSERT INTO runyard_schema VALUES (%s)", (migrate.LATEST,))

    def begin(
        self, connection: _Connection, write: bool, durable: bool = True, single: bool = False
    ) -> PostgresTransaction:
        """Begin a transaction; one that only reads sees one snapshot.

        Also for a single statement: if the server was restarted, BEGIN fails before any query.
        """
        connection.execute("BEGIN" if write else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        if not durable:
            connection.execute("SET LOCAL synchronous_commit TO OFF")
        connection.tx = PostgresTransaction(connection)
        return connection.tx

    def restore(self, connection: _Connection) -> bool:
        """Nothing to do: the setting belonged to the transaction."""
        return True

    def commit(self, connection: _Connection) -> None:
        """Commit the transaction, and notify waiting sessions."""
        if connection.tx and connection.tx.wrote:
            connection.execute(f"NOTIFY {_CHANNEL}")
        connection.execute("COMMIT")

    def rollback(self, connection: _Connection) -> None:
        """Roll back the transaction; never raises."""
        try:
            connection.execute("ROLLBACK")
        except psycopg.Error:
            pass

    def close(self, connection: _Connection) -> None:
        """Close the connection."""
        connection.close()

    def changes(self, connection: _Connection) -> Any:
        """The number of notifications received; the first call starts to listen."""
        if connection.seen is None:
            connection.seen = 0
            connection.execute(f"LISTEN {_CHANNEL}")
        self._collect(connection, 0.0)
        return connection.seen

    def wait(self, connection: _Connection, seconds: float) -> None:
        """Wait for a notification."""
        self._collect(connection, min(seconds, 1.0))

    def is_lost(self, connection: _Connection) -> bool:
        """Whether the server closed the connection, or the network did."""
        return connection.closed

    def _collect(self, connection: _Connection, seconds: float) -> None:
        try:
            for notice in connection.notifies(timeout=seconds, stop_after=1):
                if notice.pid != connection.info.backend_pid:
                    connection.seen = (connection.seen or 0) + 1
        except OSError as error:
            raise psycopg.OperationalError(f"the connection was closed: {error}") from error

    def translate(self, error: Exception) -> Exception:
        """Our error for a psycopg error."""
        if isinstance(error, RunyardError) or not isinstance(error, psycopg.Error):
            return error
        text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if isinstance(error, (psycopg.errors.UniqueViolation, psycopg.errors.ForeignKeyViolation)):
            return Conflict(f"the change conflicts with another object: {text}")
        if isinstance(error, psycopg.DataError) or getattr(error, "sqlstate", None) == _TOO_LARGE:
            return InvalidInput(f"a value cannot be stored: {text}")
        if isinstance(error, (psycopg.IntegrityError, psycopg.ProgrammingError)):
            return error
        if isinstance(
            error,
            (
                psycopg.errors.DeadlockDetected,
                psycopg.errors.SerializationFailure,
                psycopg.errors.LockNotAvailable,
            ),
        ):
            return DatabaseBusy(f"{self._where}: {text}; try again")
        if isinstance(error, (psycopg.errors.DiskFull, psycopg.errors.ReadOnlySqlTransaction)):
            return DatabaseReadOnly(f"{self._where}: {text}")
        return StoreError(f"the database at {self._where} cannot be used: {text}")
