"""State hooks: the user's functions called when a run enters a state. What they raise is logged only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.engine.accompanying import is_from_outside
from runyard.engine.effects import Call
from runyard.engine.outcome import is_signal
from runyard.states import CANCELLED, COMPLETED, CRASHED, FAILED, RUNNING

if TYPE_CHECKING:
    from collections.abc import Generator

    from runyard.engine.runs import Run

_LISTS = {
    RUNNING: "on_running_hooks",
    COMPLETED: "on_completion_hooks",
    FAILED: "on_failure_hooks",
    CANCELLED: "on_cancellation_hooks",
    CRASHED: "on_crashed_hooks",
}


def call_hooks(runnable: Any, run: Run, logger: Any) -> Generator[Any, Any, None]:
    """Call the hooks of the state that `run` is in.

    Args:
        runnable: the flow or task.
        logger: a function without arguments that gives the run's logger.
    """
    state = run.state
    hooks = getattr(runnable, _LISTS.get(state.type, ""), None)
    if not hooks:
        return
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
                stopped = error  # a signal ends one hook; the others are called
            else:
                raise
        else:
            log.info("Hook %r finished running successfully", name)
    if stopped is not None:
        raise stopped
