"""Task runners in this process: threads (the default), and sequential execution."""

from __future__ import annotations

import os
import threading
from collections import deque
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from runyard import settings
from runyard.base import waits
from runyard.base.thread_calls import release_thread
from runyard.engine.futures import TaskFuture, helper
from runyard.engine.hooks import wait_for_hooks
from runyard.engine.task_runners.runner_protocol import TaskRunner

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self


# The maximum number of nested tasks in one thread, each waiting for the next.
_DEEPEST = 20


def _done() -> None:
    """Replaces the work of a finished job."""


class _Job:
    """A submitted call; the first thread that claims it runs it."""

    __slots__ = ("_claim", "context", "future", "work")

    def __init__(self, work: Callable[[], Any], future: TaskFuture | None) -> None:
        self.work = work
        self.future = future
        self.context = copy_context()
        self._claim = threading.Lock()

    def run(self) -> None:
        """Run the work, and drop the reference to it: waiting threads still refer to this job."""
        work, self.work, self.future = self.work, _done, None
        self.context.run(work)

    def claim(self) -> bool:
        """Claim the job; returns False if another thread has claimed it."""
        return self._claim.acquire(blocking=False)


class ThreadPoolTaskRunner(TaskRunner):
    """Runs submitted tasks in threads.

    If a task waits for another task that has not started, its thread runs that task. So tasks that submit
    tasks cannot deadlock by filling the pool.

    Args:
        max_workers: the maximum number of threads; the default is the setting `task_runner_max_workers`.
    """

    def __init__(self, max_workers: int | None = None) -> None:
        if max_workers is not None and max_workers < 1:
            raise ValueError(f"invalid max_workers={max_workers}; give 1 or more")
        self._given = max_workers
        limit = max_workers or settings.get("task_runner_max_workers")
        self.max_workers: int = limit or max(16, 4 * (os.cpu_count() or 1))
        self._jobs: deque[_Job] = deque()
        self._waiting: dict[TaskFuture | None, _Job] = {}
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._closed = False

    def duplicate(self) -> Self:
        """A new runner with the same limit."""
        return type(self)(self._given)

    def start(self, work: Callable[[], Any], future: TaskFuture) -> None:
        """Run `work()` in a thread."""
        job = _Job(work, future)
        with self._changed:
            self._jobs.append(job)
            self._waiting[future] = job
            if self._idle >= len(self._jobs):
                self._changed.notify()
            elif len(self._threads) < self.max_workers:
                thread = threading.Thread(
                    target=self._serve, name=f"runyard-task-{len(self._threads)}", daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def close(self, cancel: bool = False) -> None:
        """Wait for all tasks and end the threads; with `cancel`, wait only for running hooks."""
        with self._changed:
            if cancel:
                self._jobs.clear()
            self._closed = True
            self._changed.notify_all()
        if cancel:
            # A task in a thread cannot be stopped; the hooks of an ended run may finish.
            wait_for_hooks(self._threads)
            return
        waits.for_threads(self._threads)

    def _serve(self) -> None:
        helper.help_out = self._help
        try:
            while (job := self._next()) is not None:
                self._run(job)
        finally:
            release_thread()

    def _next(self) -> _Job | None:
        with self._changed:
            while True:
                while self._jobs:
                    job = self._jobs.popleft()
                    if job.claim():
                        return job
                if self._closed:
                    return None
                self._idle += 1
                self._changed.wait()
                self._idle -= 1

    def _run(self, job: _Job) -> None:
        with self._changed:
            self._waiting.pop(job.future, None)
        job.run()

    def _help(self, future: TaskFuture) -> None:
        """Run the task that the calling task waits for, if no thread has started it."""
        with self._changed:
            job = self._waiting.get(future)
        if job is None or not job.claim():
            return
        depth = getattr(helper, "depth", 0)
        if depth >= _DEEPEST:
            # The stack of this thread is deep enough: it waits, and a new thread runs the task.
            threading.Thread(target=self._instead, args=(job,), name="runyard-task-more", daemon=True).start()
            return
        helper.depth = depth + 1
        try:
            self._run(job)
        finally:
            helper.depth = depth

    def _instead(self, job: _Job) -> None:
        helper.help_out = self._help
        try:
            self._run(job)
        finally:
            release_thread()


# Prefect 2's name of the class.
ConcurrentTaskRunner = ThreadPoolTaskRunner


class SequentialTaskRunner(TaskRunner):
    """Runs each submitted task immediately, in the submitting thread."""

    def duplicate(self) -> Self:
        """A new runner."""
        return type(self)()

    def start(self, work: Callable[[], Any], future: TaskFuture) -> None:
        """Run `work()` now."""
        copy_context().run(work)
