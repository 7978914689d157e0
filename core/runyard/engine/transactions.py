"""Transactions: tasks that commit together or roll back together."""

from __future__ import annotations

import copy
import uuid
from contextlib import asynccontextmanager, contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from runyard.base.exceptions import MissingContextError
from runyard.base.syncing import also_awaited
from runyard.engine.context import current_task, current_transaction
from runyard.engine.effects import Block, Call, Wait, drive, drive_async
from runyard.engine.logging import get_run_logger
from runyard.engine.outside_exceptions import is_from_outside

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator
    from datetime import datetime, timedelta
    from typing import Self

    from runyard.engine.results.result_stores import ResultRecord, ResultStore

    Hook = Callable[["Transaction"], Any]


class IsolationLevel(StrEnum):
    """Whether other transactions of the same key may run at the same time, or must wait."""

    READ_COMMITTED = "READ_COMMITTED"
    SERIALIZABLE = "SERIALIZABLE"


class CommitMode(StrEnum):
    """When a transaction commits: at its end, with its parent, or only by an explicit call."""

    EAGER = "EAGER"
    LAZY = "LAZY"
    OFF = "OFF"


class TransactionState(StrEnum):
    """The state of a transaction."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    STAGED = "STAGED"
    COMMITTED = "COMMITTED"
    ROLLED_BACK = "ROLLED_BACK"


_OVER = (TransactionState.COMMITTED, TransactionState.ROLLED_BACK)
_MISSING: Any = object()


class Transaction:
    """A block whose tasks commit together; each task in it is a child transaction.

    Args:
        key: an idempotency key: if a result is stored under it, the transaction counts as committed.
        store: stores the staged value at the commit; the default is the result store of the current run.
        commit_mode: the default is the mode of the parent transaction, else LAZY.
        isolation_level: SERIALIZABLE holds the key's lock until the end.
        overwrite: whether to ignore an existing result of the key.
        write_on_commit: whether to store the staged value.
        expiration: when the stored value expires.
        logger: logs failing hooks.
    """

    def __init__(
        self,
        key: str | None = None,
        store: ResultStore | None = None,
        commit_mode: CommitMode | str | None = None,
        isolation_level: IsolationLevel | str | None = None,
        overwrite: bool = False,
        write_on_commit: bool = True,
        expiration: datetime | timedelta | None = None,
        logger: Any = None,
    ) -> None:
        self.key = key
        self.store = store
        self.commit_mode = None if commit_mode is None else CommitMode(commit_mode)
        self.isolation_level = None if isolation_level is None else IsolationLevel(isolation_level)
        self.overwrite = overwrite
        self.write_on_commit = write_on_commit
        self.expiration = expiration
        self.state = TransactionState.PENDING
        self.parent: Transaction | None = None
        self.children: list[Transaction] = []
        self.on_commit_hooks: list[Hook] = []
        self.on_rollback_hooks: list[Hook] = []
        # Called on rollback: the task run of this transaction records it.
        self.when_undone: Callable[[], None] | None = None
        self._logger = logger
        self._values: dict[str, Any] = {}
        self._staged: Any = None
        self._holder = str(uuid.uuid4())
        self._is_locked = False
        self._token: Any = None

    def set(self, name: str, value: Any) -> None:
        """Store a value for hooks and for child transactions."""
        self._values[name] = value

    def get(self, name: str, default: Any = _MISSING) -> Any:
        """A copy of a stored value of this transaction or its parents.

        Raises:
            ValueError: the value does not exist, and no default was given.
        """
        if name in self._values:
            return copy.deepcopy(self._values[name])
        if self.parent is not None:
            return self.parent.get(name, default)
        if default is _MISSING:
            raise ValueError(f"this transaction holds no value named {name!r}; set it by .set() first")
        return default

    def is_pending(self) -> bool:
        """Whether it has not started."""
        return self.state is TransactionState.PENDING

    def is_active(self) -> bool:
        """Whether it has started and no value is staged yet."""
        return self.state is TransactionState.ACTIVE

    def is_staged(self) -> bool:
        """Whether its value waits for the commit."""
        return self.state is TransactionState.STAGED

    def is_committed(self) -> bool:
        """Whether it was committed, now or earlier with the same key."""
        return self.state is TransactionState.COMMITTED

    def is_rolled_back(self) -> bool:
        """Whether it was rolled back."""
        return self.state is TransactionState.ROLLED_BACK

    def stage(
        self,
        value: Any,
        on_rollback_hooks: list[Hook] | None = None,
        on_commit_hooks: list[Hook] | None = None,
    ) -> None:
        """Stage a value for the commit, and add hooks."""
        if self.state is TransactionState.COMMITTED:
            return
        self._staged = value
        self.on_rollback_hooks += on_rollback_hooks or []
        self.on_commit_hooks += on_commit_hooks or []
        self.state = TransactionState.STAGED

    def add_child(self, transaction: Transaction) -> None:
        """Add a child transaction, which commits or rolls back with this one."""
        self.children.append(transaction)

    def get_parent(self) -> Transaction | None:
        """The parent transaction, or None."""
        return self.parent

    def reopen(self) -> None:
        """Make it active again and ignore the value stored under the key."""
        self.state = TransactionState.ACTIVE

    @classmethod
    def get_active(cls) -> Transaction | None:
        """The innermost current transaction, or None."""
        return current_transaction.get()

    def begin(self) -> None:
        """Start the transaction; a `with` block calls this."""
        drive(self.entering())

    @also_awaited
    def read(self) -> ResultRecord | None:
        """The record stored under the key, or None."""
        return self.store.find(self.key) if self.store is not None and self.key is not None else None

    @also_awaited
    def commit(self) -> bool:
        """Commit: call the hooks, those of child transactions first, then store the values.

        Returns:
            Whether it was committed. If a step failed, the error was logged and everything rolled back.
        """
        return bool(drive(self.committing()))

    @also_awaited
    def rollback(self) -> bool:
        """Roll back: call the hooks, newest first, also those of child transactions.

        Returns:
            False if the transaction had already ended.
        """
        return bool(drive(self.undoing()))

    def entering(self) -> Generator[Any, Any, None]:
        """Start the transaction; a generator for the engine's drivers."""
        self.parent = parent = current_transaction.get()
        if self.commit_mode is None:
            self.commit_mode = CommitMode.LAZY if parent is None else parent.commit_mode
        if self.isolation_level is None:
            self.isolation_level = IsolationLevel.READ_COMMITTED if parent is None else parent.isolation_level
        self.state = TransactionState.ACTIVE
        if self.key is not None:
            if self.store is None:
                # 6 ms; only for transactions that keep something.
                from runyard.engine.results.result_stores import get_result_store

                self.store = get_result_store()
            store, key = self.store, self.key
            if self.isolation_level is IsolationLevel.SERIALIZABLE:
                yield Wait(lambda: store.acquire_lock(key, self._holder))
                self._is_locked = True
            if not self.overwrite and (yield Block(lambda: store.exists(key))):
                self.state = TransactionState.COMMITTED
        self._token = current_transaction.set(self)

    def leaving(self, failed: bool) -> Generator[Any, Any, None]:
        """End the transaction; a generator for the engine's drivers."""
        try:
            if failed:
                yield from self.undoing()
            elif self.commit_mode is CommitMode.EAGER:
                yield from self.committing()
            if self.parent is not None and self.parent.state not in _OVER:
                self.parent.add_child(self)
            elif not failed:
                # No open parent transaction exists that could commit this one later.
                undone = self.parent is not None and self.parent.is_rolled_back()
                if undone or self.commit_mode is CommitMode.OFF:
                    yield from self.undoing()
                else:
                    yield from self.committing()
        finally:
            if self._token is not None:
                current_transaction.reset(self._token)
                self._token = None
            if self.parent is None or self.state in _OVER:
                yield from self._unlock()

    def committing(self) -> Generator[Any, Any, bool]:
        """Commit; a generator for the engine's drivers, see `commit`."""
        if self.state in _OVER:
            return False
        try:
            # All hooks run before the first value is stored: until then everything can be rolled back.
            yield from self._call_commit_hooks()
            yield from self._keep()
        except BaseException as error:
            if is_from_outside(error):
                raise
            self._log().error("The commit failed; rolling back", exc_info=True)
            yield from self.undoing()
            return False
        return True

    def _call_commit_hooks(self) -> Generator[Any, Any, None]:
        if self.state in _OVER:
            return
        for child in self.children:
            yield from child._call_commit_hooks()
        for hook in self.on_commit_hooks:
            yield Call(hook, (self,))

    def _keep(self) -> Generator[Any, Any, None]:
        if self.state in _OVER:
            return
        for child in self.children:
            yield from child._keep()
        if self.store is not None and self.key is not None and self.write_on_commit:
            store, key = self.store, self.key
            yield Block(lambda: store.write(self._staged, key, self.expiration))
        self.state = TransactionState.COMMITTED
        yield from self._unlock()

    def undoing(self) -> Generator[Any, Any, bool]:
        """Roll back; a generator for the engine's drivers, see `rollback`."""
        if self.state in _OVER:
            return False
        if self.when_undone is not None:
            self.when_undone()
        self.state = TransactionState.ROLLED_BACK
        for hook in reversed(self.on_rollback_hooks):
            try:
                yield Call(hook, (self,))
            except BaseException as error:
                if is_from_outside(error):
                    raise
                # The other hooks still run: they undo other things.
                name = getattr(hook, "__name__", repr(hook))
                self._log().error("Rollback hook %r failed", name, exc_info=True)
        for child in reversed(self.children):
            yield from child.undoing()
        yield from self._unlock()
        return True

    def _unlock(self) -> Generator[Any, Any, None]:
        if self._is_locked and self.store is not None and self.key is not None:
            self._is_locked = False
            store, key = self.store, self.key
            yield Block(lambda: store.release_lock(key, self._holder))

    def _log(self) -> Any:
        if self._logger is None:
            try:
                self._logger = get_run_logger()
            except MissingContextError:
                import logging

                self._logger = logging.getLogger("runyard.engine.transactions")
        return self._logger

    def __enter__(self) -> Self:
        drive(self.entering())
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        drive(self.leaving(failed=error is not None))

    async def __aenter__(self) -> Self:
        await drive_async(self.entering())
        return self

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        await drive_async(self.leaving(failed=error is not None))

    def __repr__(self) -> str:
        return f"<transaction {self.key or ''} {self.state.value}>"


# Prefect's names of the class.
BaseTransaction = AsyncTransaction = Transaction


def get_transaction() -> Transaction | None:
    """The innermost current transaction; inside a task without one, the task's implicit transaction."""
    found = current_transaction.get()
    context = current_task.get()
    if found is not None or context is None:
        return found
    if context.transaction is None:
        # An implicit transaction, which only stores values for the task's code.
        context.transaction = Transaction()
        context.transaction.state = TransactionState.ACTIVE
    return context.transaction


@contextmanager
def transaction(
    key: str | None = None,
    store: ResultStore | None = None,
    commit_mode: CommitMode | str | None = None,
    isolation_level: IsolationLevel | str | None = None,
    overwrite: bool = False,
    write_on_commit: bool = True,
    logger: Any = None,
) -> Iterator[Transaction]:
    """A block whose tasks commit together; an exception in the block rolls them back, newest first.

    See Transaction for the arguments.
    """
    with Transaction(
        key, store, commit_mode, isolation_level, overwrite, write_on_commit, logger=logger
    ) as made:
        yield made


@asynccontextmanager
async def atransaction(
    key: str | None = None,
    store: ResultStore | None = None,
    commit_mode: CommitMode | str | None = None,
    isolation_level: IsolationLevel | str | None = None,
    overwrite: bool = False,
    write_on_commit: bool = True,
    logger: Any = None,
) -> AsyncIterator[Transaction]:
    """As `transaction`, for async code: async hooks run on its event loop."""
    async with Transaction(
        key, store, commit_mode, isolation_level, overwrite, write_on_commit, logger=logger
    ) as made:
        yield made
