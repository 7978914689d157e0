"""Carries the context of a run into other processes and threads: `with_context(fn)` for pools."""

from __future__ import annotations

import os
import pickle
from contextlib import contextmanager
from contextvars import copy_context
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from runyard.base import ids, redaction
from runyard.engine import remote
from runyard.engine.context import TaskRunContext, current_flow, current_tags, current_task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def packed() -> bytes:
    """The run contexts of the caller, for `unpacked`; outside of runs the contexts are empty."""
    import cloudpickle

    flow, task = current_flow.get(), current_task.get()
    inner = None if task is None else (task.task, task.task_run, task.log_prints)
    return pickle.dumps(
        (
            remote._environment(), redaction.known(), remote.surroundings(flow), cloudpickle.dumps(inner),
            current_tags.get(),
        )
    )  # fmt: skip


@contextmanager
def unpacked(data: bytes) -> Iterator[None]:
    """A block inside the runs that `packed` serialized. At the end of the block its records are on disk.

    Use it in a separate context: `contextvars.copy_context().run(...)`.
    """
    # A process of this same run wrote the data for its children.
    environment, secrets, around, inner, tags = pickle.loads(data)  # noqa: S301
    os.environ.update({key: value for key, value in environment.items() if os.environ.get(key) != value})
    redaction.register(secrets)
    told = None if around is None else pickle.loads(around)  # noqa: S301  # as above
    task = pickle.loads(inner)  # noqa: S301  # as above
    with remote._journal(told) as journal:
        # Other processes assign positions at the same time, so runs in the block get separate ones.
        name = "context" if task is None else task[1].name
        here: Any = SimpleNamespace(name=name, dynamic_key=ids.new_id()[-12:])
        flow = None if told is None else told.context(journal, here)
        current_flow.set(flow)
        current_task.set(None if task is None else TaskRunContext(task[0], task[1], {}, task[2]))
        current_tags.set(tags)
        try:
            yield
        finally:
            if flow is not None and flow.task_runner is not None:
                flow.task_runner.close()


class with_context:  # noqa: N801  # written like a function in users' code
    """A function that runs in the caller's run context in any process or thread, such as a process pool.

    Its loggers, prints, tags and tasks belong to the caller's run.

    Args:
        fn: the function; cloudpickle must be able to send it to another process.
    """

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn
        self.__wrapped__ = fn
        self._process = os.getpid()
        self._context = copy_context()
        self._packed = packed()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function and return its result."""
        if os.getpid() == self._process:
            return self._context.copy().run(self.fn, *args, **kwargs)
        return copy_context().run(self._elsewhere, args, kwargs)

    def _elsewhere(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with unpacked(self._packed):
            return self.fn(*args, **kwargs)

    def __reduce__(self) -> Any:
        import cloudpickle

        return _sent, (cloudpickle.dumps(self.fn), self._packed)


def _sent(fn: bytes, data: bytes) -> with_context:
    made = object.__new__(with_context)
    made.fn = made.__wrapped__ = pickle.loads(fn)  # noqa: S301  # see `unpacked`
    made._process, made._packed = -1, data
    return made
