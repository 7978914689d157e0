"""Tag limits: a task run acquires a slot of the limit of each of its tags before it starts."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from runyard.base import write_retries
from runyard.base.errors import ApiUnavailable, DatabaseCorrupt, DatabaseTooNew, StoreError
from runyard.base.exceptions import TerminationSignal
from runyard.base.thread_calls import release_thread
from runyard.base.waits import jittered
from runyard.domain.states import AwaitingConcurrencySlot
from runyard.engine.effects import Block, Call
from runyard.operations.limits.limit_slots import read_limited_tags

if TYPE_CHECKING:
    from collections.abc import Generator

    from runyard.engine.concurrency.slot_leases import Lease
    from runyard.engine.journal import Journal
    from runyard.engine.run_objects import TaskRun
    from runyard.engine.task_definition import TaskDefinition

# The longest time until a run notices a new tag limit. Runs without tags never query the limits.
_FRESH_SECONDS = 1.0
# The delay before a retry while the database is unavailable.
_AWAY_SECONDS = 1.0
# The slots of a killed process are freed after this time, if the end of its run does not free them before.
LEASE_SECONDS = 60.0

_known: WeakKeyDictionary[Journal, tuple[float, frozenset[str]]] = WeakKeyDictionary()


def acquire(task: TaskDefinition, run: TaskRun, journal: Journal) -> Generator[Any, Any, Lease | None]:
    """Wait for the slots that a run with tags needs.

    Returns:
        The lease, for `release`; None if no tag of the run has a limit.

    Raises:
        ConcurrencySlotAcquisitionError: a limit has zero slots.
    """
    known = _known.get(journal)
    if known is None or time.monotonic() - known[0] >= _FRESH_SECONDS:
        known = yield Block(lambda: _read_limited_tags(journal))
    names = [f"tag:{tag}" for tag in sorted(run.tags) if tag in known[1]]
    if not names:
        return None
    # 1 ms; few tags have a limit.
    from runyard.engine.concurrency.slot_waiting import Request

    request = Request(
        names,
        lease_seconds=LEASE_SECONDS,
        holder={"type": "task_run", "id": run.id},
        run=journal.holder,
        given_up=lambda: _is_over(journal),
        on_wait=lambda: _wait(run, journal, names),
    )
    taken = yield Call(request.take_async if task.isasync else request.take)
    return request.lease(taken)


def release(task: TaskDefinition, lease: Lease) -> None:
    """Release the slots when the run's code has ended; does not block an event loop."""
    if task.isasync:
        threading.Thread(target=_release, args=(lease,), name="runyard-slots-back").start()
    else:
        lease.release()


def _release(lease: Lease) -> None:
    try:
        lease.release()
    finally:
        release_thread()


def _read_limited_tags(journal: Journal) -> tuple[float, frozenset[str]]:
    """Read which tags have a limit; returns the time and the tags. The first read waits for the database.

    Raises:
        TerminationSignal: the root run ended meanwhile.
    """
    while True:
        known = _known.get(journal)
        try:
            limited: list[str] = journal._client.call(read_limited_tags)
            tags = frozenset(limited)
            break
        except (DatabaseCorrupt, DatabaseTooNew):
            # Waiting does not repair these.
            tags = frozenset() if known is None else known[1]
            break
        except (StoreError, ApiUnavailable):
            if known is not None:
                # During an outage, runs continue with the last known limits.
                tags = known[1]
                break
        if _is_over(journal):
            raise TerminationSignal("the run that waits for the slots has ended")
        time.sleep(jittered(_AWAY_SECONDS))
    found = _known[journal] = (time.monotonic(), tags)
    return found


def _is_over(journal: Journal) -> bool:
    """Whether the root run has ended or is stopping, so that the task must not wait any longer."""
    return journal.refused is not None or write_retries.stop_requested()


def _wait(run: TaskRun, journal: Journal, names: list[str]) -> None:
    told = " and ".join(repr(name.removeprefix("tag:")) for name in names)
    run.move(AwaitingConcurrencySlot(message=f"waits for a slot of the limit of the tag {told}"), journal)
