"""The base class of task runners with other processes: they send a task when all its inputs are ready."""

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
    """A task runner that sends packets; subclasses implement the transport.

    It sends a packet when all futures in the task's arguments are done, with their results in place. So
    tasks in other processes never wait for each other, and cannot deadlock.
    """

    def __init__(self) -> None:
        self._open = 0
        self._settled = threading.Condition()
        self._cancelled = False
        self._known: tuple[Any, bytes | None] = (None, None)

    def start(self, work: Callable[[], Any], future: TaskFuture) -> None:
        """Send the task when its inputs are ready."""
        submission: Submission = work  # type: ignore[assignment]  # the engine passes a Submission
        # An error here makes the call of `submit` fail.
        submission.options = self.options()
        with self._settled:
            self._open += 1
        future.add_done_callback(self._ended)
        _after(submission.upstream(), lambda: self._begin(submission))

    def options(self) -> Any:
        """Options of the current context at the submission, stored as `submission.options`."""
        return None

    def send(self, packet: bytes, work: Submission) -> None:
        """Send a packet to a process that runs `runyard.engine.remote.execute` with it.

        Later, in any thread, the subclass calls `work.finish(outcome)` or `work.lost(why)`.
        """
        raise TypeError(f"{type(self).__name__} does not implement send")

    def stop(self, cancel: bool) -> None:
        """Stop: nothing more will be sent; with `cancel`, stop the running tasks."""

    def close(self, cancel: bool = False) -> None:
        """Wait for all submitted runs, and stop the processes."""
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
            return  # the run has ended already
        try:
            self.send(packet, work)
        except Exception as error:
            work.lost(f"it could not be sent: {describe(error)}")

    def _around(self, flow: FlowRunContext | None) -> bytes | None:
        """The serialized flow run, which is sent with each of its tasks; computed once."""
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
    """Call `begin` when all futures are done, in the thread that ends the last one."""
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
    """Call `begin`; if it causes further calls in this thread, run them afterwards, not nested."""
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
