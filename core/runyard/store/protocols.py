"""The protocols between drivers and operations: row, transaction, driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

Row = dict[str, Any]


class Transaction(Protocol):
    """One transaction. SQL has `:name` parameters, in the dialect that both drivers support.

    An operation sets `kept` to False to roll back everything that it wrote (a dry run). `prepared` is what
    the operation computed before the transaction.
    """

    dialect: str
    kept: bool
    prepared: Any

    def execute(self, sql: str, values: Mapping[str, Any] | Sequence[Any] | None = None) -> int:
        """Run one statement; return the number of changed rows.

        An INSERT of many rows uses `?` and a sequence: resolving hundreds of names is slower.
        """
        ...

    def many(self, sql: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Run one statement for each of `rows`."""
        ...

    def all(self, sql: str, values: Mapping[str, Any] | None = None) -> list[Row]:
        """The rows of a query, or of a statement with RETURNING, as dicts."""
        ...

    def one(self, sql: str, values: Mapping[str, Any] | None = None) -> Row | None:
        """The first row, or None."""
        ...

    def value(self, sql: str, values: Mapping[str, Any] | None = None) -> Any:
        """The first column of the first row, or None."""
        ...


class Driver(Protocol):
    """The interface of a database system; connections belong to one thread and process."""

    dialect: str

    def expect(self) -> None:
        """Note that the database exists: if it is missing later, it must not be created again."""
        ...

    def connect(self) -> Any:
        """A new connection to the migrated database."""
        ...

    def begin(self, connection: Any, write: bool, durable: bool = True, single: bool = False) -> Transaction:
        """Begin a transaction; one that is not durable ends without waiting for the disk.

        A transaction with a single read statement need not begin: a statement sees one snapshot anyway.
        """
        ...

    def restore(self, connection: Any) -> bool:
        """After a transaction that was not durable: whether the next ones are durable. Never raises."""
        ...

    def commit(self, connection: Any) -> None:
        """Commit the transaction."""
        ...

    def rollback(self, connection: Any) -> None:
        """Roll back the transaction; never raises."""
        ...

    def close(self, connection: Any) -> None:
        """Close the connection."""
        ...

    def changes(self, connection: Any) -> Any:
        """A token that changes when another connection commits."""
        ...

    def wait(self, connection: Any, seconds: float) -> None:
        """Wait until another connection may have committed, at most `seconds`."""
        ...

    def is_lost(self, connection: Any) -> bool:
        """Whether the connection is broken and a new one may work."""
        ...

    def translate(self, error: Exception) -> Exception:
        """Our error for a driver's error, or the error itself."""
        ...


class OpenDatabase(Protocol):
    """The parts of a `Database` that schema steps need."""

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        ...

    def outside(self) -> AbstractContextManager[Any]:
        """A connection outside of any transaction; see `Database.outside`."""
        ...

    def transaction(
        self, write: bool = True, durable: bool = True, single: bool = False
    ) -> AbstractContextManager[Transaction]:
        """One transaction; see `Database.transaction`."""
        ...
