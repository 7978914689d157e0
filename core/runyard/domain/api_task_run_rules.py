"""The rules of state changes of task runs, for clients that do not use our engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from runyard.domain.flow_run_rules import (
    ABORT,
    ACCEPT,
    REJECT,
    Decision,
    cancelling,
    duplicate,
    result_kept,
    retry_state,
    retry_wait,
    terminal,
    wait,
    with_schedule,
)
from runyard.domain.states import FAILED, PAUSED, RUNNING, State

if TYPE_CHECKING:
    from collections.abc import Callable


class TaskRunFacts(NamedTuple):
    """The facts about a task run, besides its states.

    Args:
        now_us: the current time.
        run_count: how often it entered RUNNING.
        flow_run_run_count: the run count of its flow run when this one last ran.
        policy: its `empirical_policy`.
        flow_type: its flow run's state type; None for a task outside a flow.
        flow_run_count: how often its flow run entered RUNNING.
        jitter: a random number from 0 to 1, for the delay of a retry.
    """

    now_us: int
    run_count: int = 0
    flow_run_run_count: int = 0
    policy: dict[str, Any] = {}  # noqa: RUF012  # never changed
    flow_type: str | None = None
    flow_run_count: int = 0
    jitter: float = 0.0


def decide_task_run(
    current: State | None, proposed: State, facts: TaskRunFacts, force: bool = False
) -> Decision:
    """Decide whether a task run enters a state, or which instead; the arguments are as for flow runs."""
    for rule in _FORCED_TASK_RULES if force else _TASK_RULES:
        decision = rule(current, proposed, facts)
        if decision is not None:
            return decision
    return Decision(ACCEPT, _renamed(current, with_schedule(current, proposed), facts))


def _flow_running(current: State | None, proposed: State, facts: TaskRunFacts) -> Decision | None:
    if proposed.type != RUNNING or facts.flow_type in (None, RUNNING):
        return None
    if facts.flow_type == PAUSED:
        details = {"pause_reschedule": False}
        waiting = State(PAUSED, "NotReady", timestamp=facts.now_us, state_details=details)
        return Decision(REJECT, waiting, "The flow is paused, new tasks can execute after resuming.")
    return Decision(ABORT, reason=f"The enclosing flow must be running to begin task execution, "
                                  f"it is {facts.flow_type}.")  # fmt: skip


def _task_retry(current: State | None, proposed: State, facts: TaskRunFacts) -> Decision | None:
    if current is None or current.type != RUNNING or proposed.type != FAILED:
        return None
    if proposed.state_details.get("retriable") is False:
        return None
    if facts.run_count > (facts.policy.get("retries") or 0):
        return None
    return Decision(REJECT, retry_state(proposed, facts.now_us, _task_delay(facts)), "Retrying")


def _task_delay(facts: TaskRunFacts) -> float:
    delay = retry_wait(facts.policy.get("retry_delay"), facts.run_count)
    factor = facts.policy.get("retry_jitter_factor") or 0
    return delay * (1.0 + factor * (2.0 * facts.jitter - 1.0))


def _renamed(current: State | None, state: State, facts: TaskRunFacts) -> State:
    """RUNNING is named Retrying after a retry, and Rerunning when the flow's retry runs the task again."""
    if state.type == RUNNING and state.name == "Running" and facts.run_count > 0:
        if current is not None and current.name == "AwaitingRetry":
            state.name = "Retrying"
        elif facts.flow_run_count > facts.flow_run_run_count:
            state.name = "Rerunning"
    return state


_TASK_RULES: tuple[Callable[[State | None, State, TaskRunFacts], Decision | None], ...] = (
    duplicate,
    result_kept,
    terminal,
    cancelling,
    _flow_running,
    wait,
    _task_retry,
)
_FORCED_TASK_RULES: tuple[Callable[[State | None, State, TaskRunFacts], Decision | None], ...] = (
    result_kept,
)
