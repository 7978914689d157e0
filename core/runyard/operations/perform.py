"""Performs an operation in its own transaction, and retries after a conflict with another writer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

from runyard.base.errors import DatabaseBusy, InvalidInput
from runyard.operations.operation import Settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from runyard.operations.operation import Operation
    from runyard.store.database import Database

R = TypeVar("R")

# In PostgreSQL a transaction that conflicts with another writer is retried.
_TRIES = 5


def perform(
    database: Database,
    operation: Operation[..., R],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    durable: bool | None = None,
    prepare: bool = True,
) -> tuple[R, int]:
    """Run an operation in a transaction of its own.

    Args:
        database: the database to use.
        args, kwargs: the arguments of the operation, without `tx`.
        durable: whether to wait for the disk; by default as the operation declares.
        prepare: whether to call the operation's `prepare` first, if it has one.

    Returns:
        The result of the operation, and the HTTP status.

    Raises:
        RunyardError: the error of the operation, or StoreError.
    """
    durable = operation.durable if durable is None else durable

    def once() -> tuple[R, int]:
        prepared = None
        if prepare and operation.prepare is not None:
            with database.transaction(write=False) as tx:
                prepared = operation.prepare(tx, *args, **kwargs)
            if isinstance(prepared, Settled):
                return prepared.result, operation.status
        with database.transaction(operation.write, durable, operation.single) as tx:
            tx.prepared = prepared
            answer = operation.answer(tx, *args, **kwargs)
        return answer.result, answer.status

    return retried(database, once)


def retried(database: Database, work: Callable[[], R]) -> R:
    """Run `work`, which is one transaction, and retry it after a conflict with another writer."""
    for attempt in range(_TRIES):
        try:
            return work()
        except RecursionError as error:
            raise InvalidInput("a value is nested too deep to be stored") from error
        except DatabaseBusy:
            if attempt == _TRIES - 1 or database.dialect == "sqlite":
                raise
            time.sleep(0.01 * 2**attempt)
    raise AssertionError("unreachable")
