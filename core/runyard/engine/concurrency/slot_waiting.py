"""Requests for slots that wait until the slots are free; for sync code, async code and tagged tasks."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from runyard.base import ids
from runyard.base.errors import (
    ApiUnavailable,
    DatabaseCorrupt,
    DatabaseTooNew,
    InvalidInput,
    Locked,
    NotFound,
    RunyardError,
    StoreError,
)
from runyard.base.exceptions import MissingContextError, TerminationSignal
from runyard.base.quoting import command_of
from runyard.base.thread_calls import in_thread
from runyard.base.waits import jittered
from runyard.client.engine_client import shared_client
from runyard.engine.concurrency import (
    AcquireConcurrencySlotTimeoutError,
    ConcurrencyLeaseLost,
    ConcurrencySlotAcquisitionError,
    slot_leases,
    slot_queue,
)
from runyard.engine.concurrency.slot_leases import Lease
from runyard.engine.context import current_flow, current_task
from runyard.engine.logging import get_logger, get_run_logger
from runyard.operations.limits import limit_slots, slot_waits
from runyard.operations.limits.limit_slots import tick_lease_clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from runyard.engine.concurrency.slot_queue import RequestQueue

# The polling interval for changes if the database sends no notifications.
_LOOK_SECONDS = 0.05
# The longest wait for one notification; after it the request checks whether it is still needed.
_LONGEST_LOOK_SECONDS = 2.0
# The shortest pause between two attempts: a busy database changes all the time.
_SHORTEST_PAUSE_SECONDS = 0.02
_AWAY_SECONDS = 1.0
_TICK_SECONDS = 1.0
# A request that waits for longer is noted, so that a user can see what its run waits for.
_NOTED_AFTER_SECONDS = 0.5


class Request:
    """A request for slots.

    Args:
        names: the limits; the request acquires slots of all of them or of none.
        slots: the number of slots of each limit.
        mode: `concurrency`, or `rate_limit`: the slots are not released, they decay.
        timeout_seconds: how long to wait at most; None: no limit.
        max_retries: the number of retries, each after the delay that the limit estimates.
        lease_seconds: how long the slots are held without renewal.
        holder: the holder, a dict or an object with `type` and `id`; the default is the current run.
        run: the run of this process and its attempt; the default is the current run.
        given_up: returns whether the slots are no longer needed.
        on_wait: called once, if the slots are not free immediately.
    """

    def __init__(
        self,
        names: list[str],
        slots: int = 1,
        mode: str = "concurrency",
        timeout_seconds: float | None = None,
        max_retries: int | None = None,
        lease_seconds: float = 300.0,
        holder: Any = None,
        run: tuple[str | None, int | None] | None = None,
        given_up: Callable[[], bool] | None = None,
        on_wait: Callable[[], None] | None = None,
    ) -> None:
        self.names = list(dict.fromkeys(names))
        self.client = shared_client()
        self.lease_id = ids.new_id()
        self.lease_seconds = lease_seconds
        self.timeout_seconds = timeout_seconds
        self._mode = mode
        self._body = {"names": self.names, "slots": slots, "mode": mode, "lease_id": self.lease_id}
        run_id, attempt = run or _run_around()
        self._who = {"holder": _described(holder), "run_id": run_id}
        if mode == "concurrency":
            self._body |= {"lease_duration": lease_seconds, **self._who, "attempt": attempt}
        self._retries = max_retries
        self._given_up = given_up
        self._on_wait = on_wait
        self._deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        self._counts_at = 0.0
        self._ticks_at = 0.0
        self._stopped = threading.Event()
        self._handing_over = threading.Lock()
        self._given = False
        # Whether this request may hold slots: it asked for them and was not refused.
        self._asked = False
        self._told = False
        self._noted = False

    def take(self) -> list[str]:
        """Wait for the slots in this thread; returns the names of the limits that exist."""
        turn = threading.Event()
        wake = turn.set
        queue, is_first = slot_queue.enter(self.names, wake)
        try:
            if not is_first:
                self.waits()
                while not turn.wait(self._left(_LONGEST_LOOK_SECONDS)):
                    self._check()
            return self._ask_until_taken(queue)
        except BaseException:
            self.give_up()
            raise
        finally:
            queue.leave(wake)

    async def take_async(self) -> list[str]:
        """As `take`, without blocking the event loop."""
        import asyncio

        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()

        def my_turn() -> None:
            if not turn.done():
                turn.set_result(None)

        def wake() -> None:
            loop.call_soon_threadsafe(my_turn)

        queue, is_first = slot_queue.enter(self.names, wake)
        try:
            if not is_first:
                self.waits()
                while not turn.done():
                    await asyncio.wait([turn], timeout=self._left(_LONGEST_LOOK_SECONDS))
                    if not turn.done():
                        self._check()
            return await in_thread(lambda: self._ask_for_another(queue))
        except asyncio.CancelledError:
            with self._handing_over:
                self._stopped.set()
                given = self._given
            if given:
                await in_thread(self.give_up)
            raise
        finally:
            queue.leave(wake)

    def _ask_for_another(self, queue: RequestQueue) -> list[str]:
        """Ask in a thread for a task that may be cancelled; then the slots are released."""
        try:
            taken = self._ask_until_taken(queue)
            with self._handing_over:
                self._given = not self._stopped.is_set()
            self._check_wanted()
            return taken
        except BaseException:
            if not self._given:
                self.give_up()
            raise

    def lease(self, names: list[str]) -> Lease | None:
        """The lease of the acquired slots, which is renewed from now on; None without limits."""
        if not names:
            return None
        lease = Lease(self.client, self.lease_id, names, self.lease_seconds)
        lease.keep()
        return lease

    def give_up(self) -> None:
        """Release slots that are no longer needed."""
        if self._asked and self._mode == "concurrency":
            slot_leases.give_back(self.client, self.lease_id, self.names, self.lease_seconds)

    def waits(self) -> None:
        """Call `on_wait` once: no slots are free now."""
        if not self._told:
            self._told = True
            if self._on_wait is not None:
                self._on_wait()

    def _ask(self) -> list[str]:
        if self._mode == "rate_limit":
            shown = self.client.call(limit_slots.increment_slots, self._body)
        else:
            self._asked = True
            shown = self.client.call(limit_slots.increment_slots_with_lease, self._body)["limits"]
        return [limit["name"] for limit in shown]

    def _ask_until_taken(self, queue: RequestQueue) -> list[str]:
        try:
            return self._ask_again_and_again(queue)
        finally:
            if self._noted:
                with suppress(RunyardError):  # the note expires
                    lease_id = f"{slot_waits.PREFIX}{self.lease_id}"
                    self.client.call(limit_slots.decrement_slots_with_lease, {"lease_id": lease_id})

    def _ask_again_and_again(self, queue: RequestQueue) -> list[str]:
        token: Any = None
        refused_at: float | None = None
        while True:
            queue.freed.clear()
            try:
                taken, seconds = self._ask_once()
                if taken is not None:
                    return taken
                self.waits()
                self._check()
                self._count(seconds)
                refused_at = refused_at or time.monotonic()
                if not self._noted:
                    seconds = self._note_wait(refused_at, seconds)
                # After the first token, ask again without a pause, so as not to miss slots freed in between.
                token = self.client.changes() if token is None else self._pause(queue, token, seconds)
            except (DatabaseCorrupt, DatabaseTooNew):
                raise
            except (StoreError, ApiUnavailable):
                # An outage during the request or the wait: continue to wait.
                token = None
                self.waits()
                self._check()
                self._stopped.wait(self._left(jittered(_AWAY_SECONDS)))

    def _ask_once(self) -> tuple[list[str] | None, float]:
        """The names of the limits whose slots were acquired; or None, and how long to wait."""
        try:
            return self._ask(), 0.0
        except Locked as error:
            self._asked = False
            self._tick()
            return None, error.details.get("retry_after_seconds", _LOOK_SECONDS)
        except InvalidInput as error:
            self._asked = False
            raise ConcurrencySlotAcquisitionError(
                f"cannot acquire slots of {_listed(self.names)}: {error}"
            ) from error

    def _note_wait(self, refused_at: float, seconds: float) -> float:
        """Note a request that waits for long; returns how long to wait before the next one."""
        left = refused_at + _NOTED_AFTER_SECONDS - time.monotonic()
        if left > 0:
            return min(seconds, left)
        self._noted = True
        body = {**self._who, **{name: self._body[name] for name in ("lease_id", "names", "slots")}}
        with suppress(InvalidInput, NotFound):  # the server is older
            self.client.call(slot_waits.note_slot_wait, body)
        return seconds

    def _tick(self) -> None:
        """Advance the lease clock at intervals: leases only expire while a process advances it."""
        if time.monotonic() >= self._ticks_at:
            self.client.call(tick_lease_clock, {})
            self._ticks_at = time.monotonic() + _TICK_SECONDS

    def _count(self, seconds: float) -> None:
        """Count a failed attempt; attempts earlier than the limit's estimate do not count."""
        now = time.monotonic()
        if self._retries is None or now < self._counts_at:
            return
        if self._retries <= 0:
            raise ConcurrencySlotAcquisitionError(
                f"no slots of {_listed(self.names)} were free after all retries"
            )
        self._retries -= 1
        self._counts_at = now + seconds

    def _pause(self, queue: RequestQueue, token: Any, seconds: float) -> Any:
        """Wait until slots may be free, at most `seconds`; returns the current token of changes."""
        until = time.monotonic() + seconds
        pause = jittered(_SHORTEST_PAUSE_SECONDS)
        queue.freed.wait(self._left(min(seconds, pause)))
        database = getattr(self.client, "database", None)
        here = database is not None and database.dialect == "sqlite"
        while not queue.freed.is_set():
            self._check()
            left = self._left(until - time.monotonic())
            if left <= 0:
                break
            if here:
                # SQLite has no notifications, so this polls; requests of this process wake each other.
                queue.freed.wait(min(left, _LOOK_SECONDS))
                now = self.client.changes()
            else:
                now = self.client.wait_for_change(token, min(left, _LONGEST_LOOK_SECONDS))
            if now != token:
                return now
        return token

    def _left(self, seconds: float) -> float:
        """`seconds`, but not beyond the deadline."""
        if self._deadline is None:
            return seconds
        return max(0.0, min(seconds, self._deadline - time.monotonic()))

    def _check(self) -> None:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            raise AcquireConcurrencySlotTimeoutError(
                f"no slots of {_listed(self.names)} were free within {self.timeout_seconds:g} s"
            )
        self._check_wanted()

    def _check_wanted(self) -> None:
        if self._given:
            return
        if self._stopped.is_set() or (self._given_up is not None and self._given_up()):
            raise TerminationSignal("the slots are no longer needed")


def as_names(names: str | list[str]) -> list[str]:
    """The names of limits as a list."""
    return [names] if isinstance(names, str) else list(names)


def check_found(found: list[str], names: list[str], strict: bool) -> None:
    """Warn if no limit with these names exists.

    Raises:
        ConcurrencySlotAcquisitionError: with `strict`, if none exists.
    """
    if found:
        return
    if strict:
        raise ConcurrencySlotAcquisitionError(
            f"limit {_listed(names)} not found; "
            f"run: {command_of('runyard global-concurrency-limit create', names[0], options='--limit N')}"
        )
    logger = _logger()
    logger.warning("Limit %s not found: the code runs without a limit", _listed(names))


def lost(lease: Lease) -> ConcurrencyLeaseLost:
    """The error of a holder that lost its slots."""
    return ConcurrencyLeaseLost(
        f"slots of {_listed(lease.names)} were lost: this process could not renew their lease in time, "
        "and others acquired them"
    )


def warn_when_lost(lease: Lease) -> None:
    """Log a warning when the slots are lost; the holder continues."""
    from contextvars import copy_context

    around = copy_context()
    lease.on_lost = lambda: around.run(lambda: _logger().warning("%s; continuing", lost(lease)))


def _logger() -> Any:
    """The logger of the current run, or a general one."""
    try:
        return get_run_logger()
    except MissingContextError:
        return get_logger("concurrency")


def _listed(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _run_around() -> tuple[str | None, int | None]:
    """The current run of this process, and its attempt."""
    flow, task = current_flow.get(), current_task.get()
    if flow is not None and flow.journal is not None:
        return flow.journal.holder
    return (None if task is None else task.task_run.id), None


def _described(holder: Any) -> dict[str, str] | None:
    if holder is None:
        task, flow = current_task.get(), current_flow.get()
        if task is not None:
            return {"type": "task_run", "id": task.task_run.id}
        return None if flow is None else {"type": "flow_run", "id": flow.flow_run.id}
    if isinstance(holder, dict):
        return {"type": str(holder["type"]), "id": str(holder["id"])}
    return {"type": str(holder.type), "id": str(holder.id)}
