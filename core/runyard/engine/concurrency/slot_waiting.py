"""Asking for slots until they are free: the waiting that sync and async code and tagged tasks share."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from runyard.base import ids
from runyard.base.errors import (
    ApiUnavailable,
    DatabaseCorrupt,
    DatabaseTooNew,
    InvalidInput,
    Locked,
    StoreError,
)
from runyard.base.exceptions import MissingContextError, TerminationSignal
from runyard.base.quoting import command_of
from runyard.base.thread_calls import in_thread
from runyard.base.waits import jittered
from runyard.client.shared_client import shared_client
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
from runyard.operations.limits import limit_slots
from runyard.operations.limits.limit_slots import tick_lease_clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from runyard.engine.concurrency.slot_queue import Line

# How often somebody who waits looks whether anything changed, where nobody tells him.
_LOOK_SECONDS = 0.05
# One look of those who are told lasts so long at most, so that they notice that nobody waits any more.
_LONGEST_LOOK_SECONDS = 2.0
# A busy database changes all the time: not every change is worth a question.
_SHORTEST_PAUSE_SECONDS = 0.02
_AWAY_SECONDS = 1.0
_TICK_SECONDS = 1.0


class Request:
    """What somebody asks for.

    Args:
        names: of the limits, of all of which slots are taken, or of none.
        slots: how many of each.
        mode: `concurrency`, or `rate_limit`: nobody gives the slots back, they decay.
        timeout_seconds: how long to wait at most; None: as long as it takes.
        max_retries: how many more times to ask, each after the time that the limit estimates.
        lease_seconds: how long the slots are held without renewal.
        holder: who holds them: a dict or an object with `type` and `id`; by default the run around.
        run: the run in whose process that is, and which attempt at it; by default those around.
        given_up: whether nobody needs them any more.
        on_wait: called once, when there are none right now.
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
        if mode == "concurrency":
            self._body |= {"lease_duration": lease_seconds, "holder": _described(holder)}
            self._body["run_id"], self._body["attempt"] = run or _run_around()
        self._retries = max_retries
        self._given_up = given_up
        self._on_wait = on_wait
        self._deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        self._counts_at = 0.0
        self._ticks_at = 0.0
        self._stopped = threading.Event()
        self._handing_over = threading.Lock()
        self._given = False
        # Whether slots may be held: they were asked for, and not refused.
        self._asked = False
        self._told = False

    def take(self) -> list[str]:
        """Wait for the slots, in this thread; the names of the limits that exist."""
        turn = threading.Event()
        wake = turn.set
        line, is_first = slot_queue.enter(self.names, wake)
        try:
            if not is_first:
                self.waits()
                while not turn.wait(self._left(_LONGEST_LOOK_SECONDS)):
                    self._check()
            return self._ask_until_taken(line)
        except BaseException:
            self.give_up()
            raise
        finally:
            line.leave(wake)

    async def take_async(self) -> list[str]:
        """As `take`, while the event loop goes on."""
        import asyncio

        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()

        def my_turn() -> None:
            if not turn.done():
                turn.set_result(None)

        def wake() -> None:
            loop.call_soon_threadsafe(my_turn)

        line, is_first = slot_queue.enter(self.names, wake)
        try:
            if not is_first:
                self.waits()
                while not turn.done():
                    await asyncio.wait([turn], timeout=self._left(_LONGEST_LOOK_SECONDS))
                    if not turn.done():
                        self._check()
            return await in_thread(lambda: self._ask_for_another(line))
        except asyncio.CancelledError:
            with self._handing_over:
                self._stopped.set()
                given = self._given
            if given:
                await in_thread(self.give_up)
            raise
        finally:
            line.leave(wake)

    def _ask_for_another(self, line: Line) -> list[str]:
        """Ask in a thread, for who may go away meanwhile: what he does not get any more goes back."""
        try:
            taken = self._ask_until_taken(line)
            with self._handing_over:
                self._given = not self._stopped.is_set()
            self._check_wanted()
            return taken
        except BaseException:
            if not self._given:
                self.give_up()
            raise

    def lease(self, names: list[str]) -> Lease | None:
        """What was taken, renewed from now on; None where there is nothing to hold."""
        if not names:
            return None
        lease = Lease(self.client, self.lease_id, names, self.lease_seconds)
        lease.keep()
        return lease

    def give_up(self) -> None:
        """Nobody needs the slots any more."""
        if self._asked and self._mode == "concurrency":
            slot_leases.give_back(self.client, self.lease_id, self.names, self.lease_seconds)

    def waits(self) -> None:
        """There are none right now."""
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

    def _ask_until_taken(self, line: Line) -> list[str]:
        token: Any = None
        while True:
            line.freed.clear()
            try:
                taken, seconds = self._ask_once()
                if taken is not None:
                    return taken
                self.waits()
                self._check()
                self._count(seconds)
                # Asked once more after the first look at the changes: what is freed between is not missed.
                token = self.client.changes() if token is None else self._pause(line, token, seconds)
            except (DatabaseCorrupt, DatabaseTooNew):
                raise
            except (StoreError, ApiUnavailable):
                # Away while we asked or while we waited: whoever waits goes on waiting.
                token = None
                self.waits()
                self._check()
                self._stopped.wait(self._left(jittered(_AWAY_SECONDS)))

    def _ask_once(self) -> tuple[list[str] | None, float]:
        """The names of the limits whose slots were taken; or None, and how long to wait."""
        try:
            return self._ask(), 0.0
        except Locked as error:
            self._asked = False
            self._tick()
            return None, error.details.get("retry_after_seconds", _LOOK_SECONDS)
        except InvalidInput as error:
            self._asked = False
            raise ConcurrencySlotAcquisitionError(
                f"cannot take slots of {_listed(self.names)}: {error}"
            ) from error

    def _tick(self) -> None:
        """The leases of others run out only while somebody looks at their clock: now and then, who waits."""
        if time.monotonic() >= self._ticks_at:
            self.client.call(tick_lease_clock, {})
            self._ticks_at = time.monotonic() + _TICK_SECONDS

    def _count(self, seconds: float) -> None:
        """One more question was in vain; those asked sooner than the limit estimates are free."""
        now = time.monotonic()
        if self._retries is None or now < self._counts_at:
            return
        if self._retries <= 0:
            raise ConcurrencySlotAcquisitionError(
                f"no slots of {_listed(self.names)} were free, however often they were asked for"
            )
        self._retries -= 1
        self._counts_at = now + seconds

    def _pause(self, line: Line, token: Any, seconds: float) -> Any:
        """Wait until slots may be free, at most `seconds`; the token of now."""
        until = time.monotonic() + seconds
        pause = jittered(_SHORTEST_PAUSE_SECONDS)
        line.freed.wait(self._left(min(seconds, pause)))
        database = getattr(self.client, "database", None)
        here = database is not None and database.dialect == "sqlite"
        while not line.freed.is_set():
            self._check()
            left = self._left(until - time.monotonic())
            if left <= 0:
                break
            if here:
                # SQLite tells nobody, so one looks; those of this process tell each other at once.
                line.freed.wait(min(left, _LOOK_SECONDS))
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
            raise TerminationSignal("nobody waits for the slots any more")


def as_names(names: str | list[str]) -> list[str]:
    """The names of limits, given as one or several."""
    return [names] if isinstance(names, str) else list(names)


def check_found(found: list[str], names: list[str], strict: bool) -> None:
    """Say that no limit of these names exists, where none does.

    Raises:
        ConcurrencySlotAcquisitionError: with `strict`.
    """
    if found:
        return
    if strict:
        raise ConcurrencySlotAcquisitionError(
            f"there is no limit named {_listed(names)}; "
            f"run: {command_of('runyard global-concurrency-limit create', names[0], options='--limit N')}"
        )
    logger = _logger()
    logger.warning("There is no limit named %s: nothing is limited", _listed(names))


def lost(lease: Lease) -> ConcurrencyLeaseLost:
    """The error of somebody whose slots were lost."""
    return ConcurrencyLeaseLost(
        f"slots of {_listed(lease.names)} were lost: this process could not renew their lease in time, "
        "and others took them"
    )


def warn_when_lost(lease: Lease) -> None:
    """Log when the slots were lost, and let the holder go on."""
    from contextvars import copy_context

    around = copy_context()
    lease.on_lost = lambda: around.run(lambda: _logger().warning("%s; going on", lost(lease)))


def _logger() -> Any:
    """The logger of the run around, or of nobody in particular."""
    try:
        return get_run_logger()
    except MissingContextError:
        return get_logger("concurrency")


def _listed(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _run_around() -> tuple[str | None, int | None]:
    """The run that this process executes, for code in it, and which attempt."""
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
