"""What the task runners of other processes share: a task leaves once everything it waits for is over."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from runyard.base import waits
from runyard.base.tracebacks import describe
from runyard.engine.task_runners.runner_protocol import TaskRunner

if TYPE_CHECKING:
    from collections.abc import Callable

    from runyard.engine.context import FlowRunContext
    from runyard.engine.futures import TaskFuture
    from runyard.engine.submission import Submission

_turn = threading.local()


class RemoteTaskRunner(TaskRunner):
    """A task runner that sends packets; subclasses carry them.

    A packet is sent when all futures among the task's arguments are done, with their results in
    place: nothing on the other side waits, so tasks cannot fill it and wait for each other.
    """

    def __init__(self) -> None:
        self._open = 0
        self._settled = threading.Condition()
        self._cancelled = False
        self._known: tuple[Any, bytes | None] = (None, None)

    def start(self, work: Callable[[], Any], future: TaskFuture) -> None:
        """Send the task when what it waits for is over."""
        submission: Submission = work  # type: ignore[assignment]  # what the engine submits
        # What fails here fails the submission, before anybody waits for it.
        submission.options = self.options()
        with self._settled:
            self._open += 1
        future.add_done_callback(self._ended)
        _after(submission.upstream(), lambda: self._begin(submission))

    def options(self) -> Any:
        """What to remember of the moment of submission, kept as `submission.options`."""
        return None

    def send(self, packet: bytes, work: Submission) -> None:
        """Carry a packet to where `runyard.engine.remote.execute` runs it.

        Afterwards, in any thread, `work.finish(outcome)` or `work.lost(why)`.
        """
        raise TypeError(f"{type(self).__name__} does not say how to send tasks")

    def stop(self, cancel: bool) -> None:
        """Nothing more will be sent; with `cancel`, give up what runs."""

    def close(self, cancel: bool = False) -> None:
        """Wait for everything submitted, and let go of the processes."""
        if cancel:
            self._cancelled = True
        else:
            with self._settled:
                waits.in_slices(self._settled.wait, lambda: not self._open, None)
        self.stop(cancel)

    def _begin(self, work: Submission) -> None:
        if self._cancelled:
            return
        packet = work.package(self._around)
        if packet is None:
            return  # it ended without being run
        try:
            self.send(packet, work)
        except Exception as error:
            work.lost(f"it could not be sent: {describe(error)}")

    def _around(self, flow: FlowRunContext | None) -> bytes | None:
        """What is sent of a flow run with each of its tasks, made once."""
        # 6 ms; not before a task is sent.
        from runyard.engine import remote

        if flow is not None and self._known[0] is not flow:
            self._known = (flow, remote.surroundings(flow))
        return None if flow is None else self._known[1]

    def _ended(self, _future: TaskFuture) -> None:
        with self._settled:
            self._open -= 1
            self._settled.notify_all()


def _after(futures: list[TaskFuture], begin: Callable[[], None]) -> None:
    """Call `begin` once all futures are done; in the thread that ends the last one."""
    if not futures:
        _in_turn(begin)
        return
    lock, left = threading.Lock(), len(futures)

    def ended(_future: TaskFuture) -> None:
        nonlocal left
        with lock:
            left -= 1
            last = left == 0
        if last:
            _in_turn(begin)

    for future in futures:
        future.add_done_callback(ended)


def _in_turn(begin: Callable[[], None]) -> None:
    """Call it; where one end begins another task that ends at once, one after the other, not nested."""
    waiting = getattr(_turn, "waiting", None)
    if waiting is not None:
        waiting.append(begin)
        return
    _turn.waiting = waiting = deque((begin,))
    try:
        while waiting:
            waiting.popleft()()
    finally:
        _turn.waiting = None
