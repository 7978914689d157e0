"""Futures of submitted task runs: wait for them, read their results, or pass them to other tasks."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

from runyard.base import waits
from runyard.base.syncing import also_awaited, async_twin
from runyard.domain.states import State
from runyard.engine.effects import finish, is_coroutine
from runyard.engine.logging import get_logger
from runyard.engine.outside_exceptions import is_from_outside

# Work that the calling thread of a task runner does while it waits; see `task_runners`.
helper = threading.local()


R = TypeVar("R", covariant=True)


def call_back(fn: Callable[[TaskFuture], Any], future: TaskFuture) -> None:
    """Call a done callback. Its exceptions are logged; the other callbacks and the thread continue.

    Raises:
        BaseException: a request to stop arrived meanwhile: Ctrl-C, SIGTERM, a time limit.
    """
    try:
        result = fn(future)
        if is_coroutine(result):
            finish(result)
    except BaseException as error:
        if is_from_outside(error):
            raise
        name = getattr(fn, "__name__", repr(fn))
        get_logger("futures").error("Done callback %r of %r failed", name, future, exc_info=error)


class TaskFuture(Generic[R]):
    """The future of one task run.

    Args:
        task_run: its record.
    """

    # Defaults for subclasses of the user without these attributes: `done` reads their state.
    _done: threading.Event | None = None
    _final: State | None = None

    def __init__(self, task_run: Any) -> None:
        self.task_run_id: str = task_run.id
        self._run = task_run
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[TaskFuture], Any]] = []

    @property
    def state(self) -> State:
        """The current state of the run."""
        state: State = self._final or self._run.state
        state.state_details.setdefault("task_run_id", self.task_run_id)
        return state

    def done(self) -> bool:
        """Whether the run has ended."""
        return self._done.is_set() if self._done is not None else self.state.is_final()

    @also_awaited
    def wait(self, timeout: float | None = None) -> None:
        """Wait until the run ends, at most `timeout` seconds; never raises. Async code may await it."""
        if self._done is None or self._done.is_set():
            return
        help_out = getattr(helper, "help_out", None)
        if help_out is not None:
            help_out(self)
        waits.for_event(self._done, timeout)

    @also_awaited
    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> R:
        """The task's return value; async code may await the call.

        Args:
            timeout: seconds to wait at most.
            raise_on_failure: if the task failed, raise its exception; False returns the exception.

        Raises:
            TimeoutError: the run has not ended yet.
            Exception: the exception of the task.
        """
        self.wait(timeout)
        if self._final is None:
            raise TimeoutError(f"task run {self._run.name} was not over after {timeout} s")
        try:
            value: R = self._final.result(raise_on_failure=raise_on_failure)
            return value
        finally:
            del self  # the raised exception keeps this frame alive, and the future the exception: no cycle

    wait_async: Any = async_twin(wait)
    result_async: Any = async_twin(result)

    def add_done_callback(self, fn: Callable[[TaskFuture], Any]) -> None:
        """Call `fn(future)` when the run ends, immediately if it has ended. Its exceptions are logged."""
        with self._lock:
            if not self.done():
                self._callbacks.append(fn)
                return
        call_back(fn, self)

    def resolve(self, state: State) -> None:
        """Set the final state of the run; called by task runners."""
        with self._lock:
            self._final = state
            if self._done is not None:
                self._done.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            call_back(callback, self)

    def __repr__(self) -> str:
        return f"<future of {self._run.name!r}: {self.state.name}>"


class FutureList(list[TaskFuture[R]]):
    """Futures of mapped tasks, in the order of their arguments."""

    @also_awaited
    def wait(self, timeout: float | None = None) -> None:
        """Wait for all futures, at most `timeout` seconds in total."""
        wait(self, timeout)

    @also_awaited
    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> list[R]:
        """All results, in order.

        Raises:
            TimeoutError: not all runs have ended after `timeout` seconds.
            Exception: the exception of the first run that fails, immediately; the other runs continue.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        results: list[R] = []
        future = None
        try:
            # Futures of the user's own classes may not support callbacks.
            if raise_on_failure and all(one._done is not None for one in self):
                for future in as_completed(self, timeout):
                    if not future.state.is_completed():
                        future.result()
            for future in self:
                results.append(future.result(_left(deadline), raise_on_failure=raise_on_failure))
            return results
        finally:
            del self, future  # as in `TaskFuture.result`


class DoneAndNotDone(NamedTuple):
    """The result of `wait`: the futures whose runs have ended, and the others."""

    done: set[TaskFuture]
    not_done: set[TaskFuture]


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def wait(futures: Iterable[TaskFuture], timeout: float | None = None) -> DoneAndNotDone:
    """Wait for futures, at most `timeout` seconds in total."""
    given = list(futures)
    deadline = None if timeout is None else time.monotonic() + timeout
    for future in given:
        future.wait(_left(deadline))
    done = {future for future in given if future.done()}
    return DoneAndNotDone(done, set(given) - done)


def as_completed(futures: Iterable[TaskFuture], timeout: float | None = None) -> Iterator[TaskFuture]:
    """The futures in the order in which their runs end.

    Raises:
        TimeoutError: not all runs have ended after `timeout` seconds.
    """
    given = list(dict.fromkeys(futures))
    ended: deque[TaskFuture] = deque()
    news = threading.Event()

    def note(future: TaskFuture) -> None:
        ended.append(future)
        news.set()

    for future in given:
        future.add_done_callback(note)
    deadline = None if timeout is None else time.monotonic() + timeout
    help_out = getattr(helper, "help_out", None)
    to_begin = iter(given if help_out is not None else ())
    for at in range(len(given)):
        while not ended:
            future_to_begin = next(to_begin, None)
            if help_out is not None and future_to_begin is not None:
                help_out(future_to_begin)
                continue
            news.clear()
            if ended:
                break  # a future ended just before `clear`
            waits.for_event(news, _left(deadline))
            if not ended and _left(deadline) == 0.0:
                raise TimeoutError(f"{len(given) - at} of {len(given)} futures are not over")
        yield ended.popleft()
