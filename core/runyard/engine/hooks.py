"""State hooks: functions of the user, called when a run enters a state. Their exceptions are only logged."""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING, Any

from runyard.domain.states import CANCELLED, COMPLETED, CRASHED, FAILED, RUNNING
from runyard.engine.effects import Call
from runyard.engine.outcome import is_signal
from runyard.engine.outside_exceptions import is_from_outside

if TYPE_CHECKING:
    from collections.abc import Generator

    from runyard.engine.run_objects import Run

_LISTS = {
    RUNNING: "on_running_hooks",
    COMPLETED: "on_completion_hooks",
    FAILED: "on_failure_hooks",
    CANCELLED: "on_cancellation_hooks",
    CRASHED: "on_crashed_hooks",
}

# How long a stopping run waits for hooks in other threads, in seconds.
_LONGEST_WAIT_SECONDS = 10.0
# The threads that are calling hooks, by thread identifier; each event is set when the hooks have returned.
_calling: dict[int, threading.Event] = {}


def wait_for_hooks(threads: list[threading.Thread]) -> None:
    """Wait, for ten seconds at most, until all hooks in these threads have returned."""
    deadline = monotonic() + _LONGEST_WAIT_SECONDS
    for thread in threads:
        called = _calling.get(thread.ident or 0)
        if called is not None:
            called.wait(max(deadline - monotonic(), 0.0))


def call_hooks(runnable: Any, run: Run, logger: Any) -> Generator[Any, Any, None]:
    """Call the hooks of the current state of `run`.

    Args:
        runnable: the flow or task.
        logger: a function without arguments that returns the run's logger.
    """
    state = run.state
    hooks = getattr(runnable, _LISTS.get(state.type, ""), None)
    if not hooks:
        return
    thread, called = threading.get_ident(), threading.Event()
    around, _calling[thread] = _calling.get(thread), called
    try:
        yield from _call_each(hooks, runnable, run, logger)
    finally:
        called.set()
        if around is None:
            _calling.pop(thread, None)
        else:
            _calling[thread] = around


def _call_each(hooks: list[Any], runnable: Any, run: Run, logger: Any) -> Generator[Any, Any, None]:
    state = run.state
    stopped: BaseException | None = None
    for hook in hooks:
        name = getattr(hook, "__name__", repr(hook))
        log = logger()
        log.info("Running hook %r in response to entering state %r", name, state.name)
        try:
            yield Call(hook, (runnable, run, state))
        except BaseException as error:
            if not is_from_outside(error):
                log.error("An error was encountered while running hook %r", name, exc_info=True)
            elif is_signal(error):
                log.error("Hook %r was interrupted", name)
                stopped = error  # a signal ends one hook; the other hooks still run
            else:
                raise
        else:
            log.info("Hook %r finished running successfully", name)
    if stopped is not None:
        raise stopped
