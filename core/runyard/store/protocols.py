"""What drivers offer and operations use: a row, a transaction, a driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

Row = dict[str, Any]


class Transaction(Protocol):
    """One transaction. SQL has `:name` parameters and is understood by both drivers.

    `status` is set by an operation that answers with another HTTP status than its declared one;
    `kept` to False by one that only wants to know what would be: all that it wrote is undone.
    `prepared` is what the operation worked out before the transaction began.
    """

    dialect: str
    status: int | None
    kept: bool
    prepared: Any

    def execute(self, sql: str, values: Mapping[str, Any] | Sequence[Any] | None = None) -> int:
        """Run one statement; returns the number of rows it changed.

        Many rows in one INSERT have `?` and a sequence: finding hundreds of names takes longer.
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
    """What a database system must offer; connections are per thread and per process."""

    dialect: str

    def expect(self) -> None:
        """The database is there: one that cannot be found is away, and no other is made in its place."""
        ...

    def connect(self) -> Any:
        """A new connection, migrated and ready."""
        ...

    def begin(self, connection: Any, write: bool, durable: bool = True, single: bool = False) -> Transaction:
        """Start a transaction; one that is not durable ends without waiting for the disk.

        One that reads by a single statement need not be begun: a statement sees one moment by itself.
        """
        ...

    def restore(self, connection: Any) -> bool:
        """After a transaction that was not durable: whether the next ones are. Never raises."""
        ...

    def commit(self, connection: Any) -> None:
        """Make the transaction last."""
        ...

    def rollback(self, connection: Any) -> None:
        """Undo the transaction; never raises."""
        ...

    def close(self, connection: Any) -> None:
        """Give the connection back."""
        ...

    def changes(self, connection: Any) -> Any:
        """A token that differs after somebody else committed."""
        ...

    def wait(self, connection: Any, seconds: float) -> None:
        """Wait until something may have been committed, at most `seconds`."""
        ...

    def is_lost(self, connection: Any) -> bool:
        """Whether the connection broke and a new one may work."""
        ...

    def translate(self, error: Exception) -> Exception:
        """The error of ours that a driver's error means, or the error itself."""
        ...


class OpenDatabase(Protocol):
    """What the schema's steps need of a `Database`."""

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
