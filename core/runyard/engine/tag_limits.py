"""Limits of tags: a task run takes a slot of the limit of each of its tags before it starts."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from runyard.engine.effects import Block, Call
from runyard.states import AwaitingConcurrencySlot

if TYPE_CHECKING:
    from collections.abc import Generator

    from runyard.concurrency.leases import Lease
    from runyard.engine.journal import Journal
    from runyard.engine.runs import TaskRun
    from runyard.tasks import Task

# How late a run at most learns that a tag got a limit. Runs without tags never ask.
_FRESH_SECONDS = 1.0
# What is killed frees its slots after this time, where the end of its run does not do so before.
LEASE_SECONDS = 60.0

_known: WeakKeyDictionary[Journal, tuple[float, frozenset[str]]] = WeakKeyDictionary()


def take(task: Task, run: TaskRun, journal: Journal) -> Generator[Any, Any, Lease | None]:
    """Wait for the slots that a run with tags needs.

    Returns:
        What it holds, for `give_back`; None where none of its tags has a limit.

    Raises:
        ConcurrencySlotAcquisitionError: a limit has no slots at all.
    """
    known = _known.get(journal)
    if known is None or time.monotonic() - known[0] >= _FRESH_SECONDS:
        known = yield Block(lambda: _look(journal))
    names = [f"tag:{tag}" for tag in sorted(run.tags) if tag in known[1]]
    if not names:
        return None
    from runyard.concurrency.slots import Request

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


def give_back(task: Task, lease: Lease) -> None:
    """A run's code has ended: others may take its slots. Nothing on an event loop waits for it."""
    if task.isasync:
        threading.Thread(target=_release, args=(lease,), name="runyard-slots-back").start()
    else:
        lease.release()


def _release(lease: Lease) -> None:
    from runyard.engine.connection import release_thread

    try:
        lease.release()
    finally:
        release_thread()


def _look(journal: Journal) -> tuple[float, frozenset[str]]:
    from runyard.errors import ApiUnavailable, StoreError
    from runyard.operations.limit_slots import read_limited_tags

    try:
        limited: list[str] = journal._client.call(read_limited_tags)
        tags = frozenset(limited)
    except (StoreError, ApiUnavailable):
        # Runs go on while the database is away, by what was known.
        tags = _known.get(journal, (0.0, frozenset[str]()))[1]
    found = _known[journal] = (time.monotonic(), tags)
    return found


def _is_over(journal: Journal) -> bool:
    """Whether the root run goes on without the run that waits."""
    from runyard.engine import patience

    return journal.refused is not None or patience.asked()


def _wait(run: TaskRun, journal: Journal, names: list[str]) -> None:
    told = " and ".join(repr(name.removeprefix("tag:")) for name in names)
    run.move(AwaitingConcurrencySlot(message=f"waits for a slot of the limit of the tag {told}"), journal)
