"""The rules of state changes of flow runs: from current state, proposed state and facts to a decision.

Each rule is a function that decides, or returns None to leave the decision to the next rule. If no rule
objects, the proposal is accepted. docs/states.md describes the rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from runyard.base import clock
from runyard.domain.states import (
    CANCELLED,
    CANCELLING,
    COMPLETED,
    CRASHED,
    FAILED,
    PAUSED,
    PENDING,
    RUNNING,
    SCHEDULED,
    TERMINAL,
    State,
)

if TYPE_CHECKING:
    from collections.abc import Callable

ACCEPT = "ACCEPT"
REJECT = "REJECT"
WAIT = "WAIT"
ABORT = "ABORT"

# How long a run waits before it asks again for a slot of its deployment's limit.
SLOT_RETRY_SECONDS = 30
# A longer delay would end after the last possible datetime.
LONGEST_WAIT_SECONDS = 1000 * 365 * 86_400.0
_SECOND = 1_000_000
# In the details of the state of a run that was not resumed in time.
_EXPIRED = "pause_expired"


class FlowRunFacts(NamedTuple):
    """The facts about a flow run, besides its states.

    Args:
        now_us: the current time.
        run_count: how often the run was tried: once, plus once per started retry. A restart after a crash is
            not a try.
        policy: its `empirical_policy`.
        has_deployment: its deployment still exists.
        is_subflow: it is part of another run.
        reported: the proposal comes from the process that executes the run.
        leased: a process executes it: it, or its root run, has a lease.
        limit: its deployment's concurrency limit, or None.
        free_slots: the number of free slots.
        cancel_new: a run that finds no free slot is cancelled, not queued.
        pause_over: it is paused, and its pause timed out.
    """

    now_us: int
    run_count: int = 0
    policy: dict[str, Any] = {}  # noqa: RUF012  # never changed
    has_deployment: bool = False
    is_subflow: bool = False
    reported: bool = False
    leased: bool = False
    limit: int | None = None
    free_slots: int = 0
    cancel_new: bool = False
    pause_over: bool = False


class Decision(NamedTuple):
    """The decision about a proposal.

    Args:
        status: ACCEPT, REJECT, WAIT or ABORT.
        state: the state to write; None: do not change the run.
        reason: why the proposal was not accepted, for people.
        delay_seconds: for WAIT, when to ask again.
        policy: keys of `empirical_policy` that change with the state.
    """

    status: str
    state: State | None = None
    reason: str | None = None
    delay_seconds: int = 0
    policy: dict[str, Any] | None = None


def decide_flow_run(
    current: State | None, proposed: State, facts: FlowRunFacts, force: bool = False
) -> Decision:
    """Decide whether a flow run enters a state, or which state instead.

    Args:
        current: the current state; None for a new run.
        proposed: the proposed state. It is not changed.
        facts: the facts about the run.
        force: apply only the rules that protect a stored result and a run that no process executes.
    """
    for rule in _FORCED_FLOW_RULES if force else _FLOW_RULES:
        decision = rule(current, proposed, facts)
        if decision is not None:
            return decision
    policy = _policy_of_accepted(current, proposed, facts)
    return Decision(ACCEPT, with_schedule(current, proposed), policy=policy)


def keeps_lease(state: State) -> bool:
    """Whether a run that enters `state` still occupies the process that executed it.

    True for a pause or a retry in the process; False for a run that is finished, suspended, or back in the
    queue.
    """
    if state.type == SCHEDULED:
        return bool(state.state_details.get("in_process"))
    if state.type == PAUSED:
        return not state.state_details.get("pause_reschedule")
    return state.type not in TERMINAL


def expired_pause(now_us: int | None = None) -> State:
    """The state of a run that was paused and not resumed in time; `is_expired_pause` recognizes it."""
    message = "The flow was paused and never resumed."
    return State(FAILED, message=message, timestamp=now_us, state_details={_EXPIRED: True})


def is_expired_pause(state: State) -> bool:
    """Whether a run failed because nobody resumed it in time."""
    return state.type == FAILED and bool(state.state_details.get(_EXPIRED))


def scheduled_us(state: State | None) -> int | None:
    """The scheduled time of a state, in microseconds, or None."""
    moment = state.state_details.get("scheduled_time") if state is not None else None
    if not moment:
        return None
    return clock.to_us(clock.parse_time(moment) if isinstance(moment, str) else moment)


# Rules for flow runs and for task runs (task_run_rules.py).


def duplicate(current: State | None, proposed: State, facts: Any) -> Decision | None:
    """Apply a proposal only once, even if it is sent again because the answer was lost."""
    asked = proposed.state_details.get("transition_id")
    if current is not None and asked and asked == current.state_details.get("transition_id"):
        return Decision(REJECT, reason="This run has already made this state transition.")
    return None


def result_kept(current: State | None, proposed: State, facts: Any) -> Decision | None:
    """A completed run keeps its result, even with `force`."""
    if current is None or current.type != COMPLETED or current.data is None:
        return None
    if proposed.type == COMPLETED and proposed.data is None:
        return Decision(REJECT, reason="The run has a result, which this state would lose.")
    return None


def terminal(current: State | None, proposed: State, facts: Any) -> Decision | None:
    """A run leaves a final state only to run again."""
    if current is None or current.type not in TERMINAL:
        return None
    if proposed.type in (CANCELLING, PAUSED) or (
        proposed.type in TERMINAL and (current.type, proposed.type) != (COMPLETED, COMPLETED)
    ):
        return Decision(ABORT, reason=f"This run is already in terminal state {current.type}.")
    if current.type == COMPLETED and current.data is not None and proposed.type not in TERMINAL:
        return Decision(REJECT, reason="This run is already COMPLETED and has a result.")
    return None


def cancelling(current: State | None, proposed: State, facts: Any) -> Decision | None:
    """A run in CANCELLING can only become CANCELLED."""
    if current is not None and current.type == CANCELLING and proposed.type != CANCELLED:
        return Decision(REJECT, reason="This run is being cancelled; it can only become Cancelled.")
    return None


def wait(current: State | None, proposed: State, facts: Any) -> Decision | None:
    """A run does not start before its scheduled time."""
    if current is None or current.type not in (SCHEDULED, PENDING) or proposed.type != RUNNING:
        return None
    due = scheduled_us(current)
    seconds = 0 if due is None else round((due - facts.now_us) / _SECOND)
    if seconds <= 0:
        return None
    return Decision(WAIT, reason="Scheduled time is in the future", delay_seconds=seconds)


# Rules for flow runs only.


def _wait_of_flow(current: State | None, proposed: State, facts: FlowRunFacts) -> Decision | None:
    # A claim is given only when the run is due, and a process measures a retry's delay by a monotonic clock.
    # So the scheduled time, which another clock set, does not matter in these cases.
    pending = current is not None and current.type == PENDING
    if facts.reported and (pending or proposed.state_details.get("waited")):
        return None
    return wait(current, proposed, facts)


def _terminal_to_scheduled(current: State | None, proposed: State, facts: FlowRunFacts) -> Decision | None:
    if current is None or current.type not in TERMINAL or proposed.type != SCHEDULED:
        return None
    if facts.has_deployment:
        return None
    return Decision(ABORT, reason="Cannot reschedule a run without an associated deployment.")


def _cancel_unexecuted(current: State | None, proposed: State, facts: FlowRunFacts) -> Decision | None:
    if current is None or current.type in TERMINAL or proposed.type != CANCELLING or facts.leased:
        return None
    reason = "No process executes this run: there is no infrastructure to terminate."
    message = proposed.message or "Cancelled before a process executed it."
    return Decision(REJECT, State(CANCELLED, message=message, timestamp=facts.now_us), reason)


def _pending(current: State | None, proposed: State, facts: FlowRunFacts) -> Decision | None:
    if current is None or proposed.type != PENDING:
        return None
    if current.type not in (PENDING, RUNNING, CANCELLING, CANCELLED):
        return None
    if current.type == PENDING and proposed.name not in ("Pending", current.name):
        return None
    return Decision(
        ABORT, reason=f"This run is in a {current.type} state and cannot transition to a PENDING state."
    )


def _deployment_slot(current: State | None, proposed: State, facts: FlowRunFacts) -> Decision | None:
    if proposed.type != PENDING or facts.limit is None or (current is not None and current.type == PENDING):
        return None
    if facts.limit <= 0:
        return Decision(ABORT, reason="The deployment concurrency limit is 0. The flow will not run.")
    if facts.free_slots > 0:
        return None
    reason = f"The concurrency limit ({facts.limit}) of the deployment is reached."
    if facts.cancel_new:
        return Decision(REJECT, State(CANCELLED, message=reason, timestamp=facts.now_us), reason)
    due = clock.format_time(clock.from_us(facts.now_us + SLOT_RETRY_SECONDS * _SECOND))
    waiting = State(
        SCHEDULED,
        "AwaitingConcurrencySlot",
        reason,
        timestamp=facts.now_us,
        state_details={"scheduled_time": due},
    )
    return Decision(REJECT, waiting, reason)


def _late(current: State | None, proposed: State, facts: FlowRunFacts) -> Decision | None:
    if proposed.type != SCHEDULED or proposed.name != "Late":
        return None
    if current is None or current.type != SCHEDULED:
        return Decision(REJECT, reason="Only a scheduled run can be late.")
    if current.name == "Late":
        return Decision(REJECT, reason="The run is already marked as late.")
    return None


def _pausing(current: State | None, proposed: State, facts: FlowRunFacts) -> Decision | None:
    if proposed.type != PAUSED:
        return None
    if current is None:
        return Decision(ABORT, reason="Cannot pause flows with no state.")
    if current.type != RUNNING:
        return Decision(REJECT, reason=f"Cannot pause a run in state {current.type}; it must be RUNNING.")
    key = proposed.state_details.get("pause_key")
    if key and key in (facts.policy.get("pause_keys") or ()):
        return Decision(REJECT, reason="This pause has already fired.")
    if proposed.state_details.get("pause_reschedule"):
        if facts.is_subflow:
            return Decision(ABORT, reason="Cannot suspend subflows.")
        # The user of a script can run it again.
        if not facts.has_deployment and not facts.reported:
            return Decision(ABORT, reason="Cannot suspend flows without a deployment.")
    return None


def _resuming(current: State | None, proposed: State, facts: FlowRunFacts) -> Decision | None:
    if current is None or current.type != PAUSED or proposed.type == CANCELLING:
        return None
    if proposed.type not in (RUNNING, SCHEDULED) and proposed.type not in TERMINAL:
        return Decision(REJECT, reason=f"A paused run cannot become {proposed.type}; resume it.")
    if proposed.type in TERMINAL:
        return None
    suspended = current.state_details.get("pause_reschedule")
    if suspended and not facts.has_deployment and not facts.reported:
        return Decision(REJECT, reason="Cannot resume a suspended run without a deployment.")
    if facts.pause_over:
        failed = expired_pause(facts.now_us)
        return Decision(REJECT, failed, failed.message)
    return None


def _flow_retry(current: State | None, proposed: State, facts: FlowRunFacts) -> Decision | None:
    if current is None or current.type not in (RUNNING, PAUSED) or proposed.type != FAILED:
        return None
    if current.type == PAUSED and not facts.reported:
        return None  # only a live process can retry within itself
    if facts.run_count > (facts.policy.get("retries") or 0):
        return None
    delay = retry_wait(facts.policy.get("retry_delay"), facts.run_count)
    return Decision(
        REJECT,
        retry_state(proposed, facts.now_us, delay),
        "Retrying",
        policy={"retry_type": "in_process", "resuming": False, "pause_keys": []},
    )


def retry_wait(delays: Any, number: int) -> float:
    """The delay before a retry, in seconds.

    Args:
        delays: one number for all retries, or a list whose last number applies to all later ones. Any other
            value, which another client may have stored, means no delay.
        number: the number of the retry, from 1.
    """
    if isinstance(delays, (list, tuple)):
        delays = delays[min(max(number, 1), len(delays)) - 1] if delays else 0
    if not isinstance(delays, (int, float)) or delays != delays:
        return 0.0
    return min(max(float(delays), 0.0), LONGEST_WAIT_SECONDS)


def retry_state(failed: State, now_us: int, delay_seconds: float) -> State:
    """A failed run with retries left becomes scheduled, in the same process."""
    due = clock.format_time(clock.from_us(now_us + max(0, round(delay_seconds * _SECOND))))
    return State(
        SCHEDULED,
        "AwaitingRetry",
        failed.message,
        failed.data,
        now_us,
        {"scheduled_time": due, "in_process": True},
    )


# Changes of an accepted state.


def with_schedule(current: State | None, proposed: State) -> State:
    """A copy of the proposed state with the scheduled time that it keeps."""
    details = dict(proposed.state_details)
    kept = current.state_details.get("scheduled_time") if current is not None else None
    if current is not None and kept and not details.get("scheduled_time"):
        from_queue = current.type == SCHEDULED and proposed.type == PENDING
        renamed = current.type == proposed.type and proposed.type in (PENDING, SCHEDULED)
        if from_queue or renamed:
            details["scheduled_time"] = kept
    if proposed.type == SCHEDULED and not details.get("scheduled_time"):
        details["scheduled_time"] = clock.format_time(proposed.timestamp)
    return State(
        proposed.type,
        proposed.name,
        proposed.message,
        proposed.data,
        proposed.timestamp_us,
        details,
        proposed._id,
    )


def _policy_of_accepted(current: State | None, proposed: State, facts: FlowRunFacts) -> dict[str, Any] | None:
    if proposed.type == PAUSED:
        key = proposed.state_details.get("pause_key")
        return {"pause_keys": [*(facts.policy.get("pause_keys") or ()), key]} if key else None
    if current is None:
        return None
    keys = facts.policy.get("pause_keys") or []
    if current.type == PAUSED and proposed.type in TERMINAL:
        # This pause was not resumed: if the run starts again, it asks again.
        asked = current.state_details.get("pause_key")
        return {"resuming": False, "pause_keys": [key for key in keys if key != asked]}
    if current.type == PAUSED and (
        proposed.type == SCHEDULED or current.state_details.get("pause_reschedule")
    ):
        # `resumes` counts executions that were not a new try.
        return {"resuming": proposed.type == SCHEDULED, "resumes": (facts.policy.get("resumes") or 0) + 1}
    if current.type in TERMINAL and proposed.type not in TERMINAL:
        kind = "reschedule" if proposed.type == SCHEDULED else None
        # A new process keeps the answers that people gave to the lost one: it does not repeat those pauses.
        kept: dict[str, Any] = {} if current.type == CRASHED else {"pause_keys": []}
        return {"resuming": False, "retry_type": kind, **kept}
    if proposed.type == RUNNING:
        return _policy_of_running(current, facts.policy)
    return None


def _policy_of_running(current: State, policy: dict[str, Any]) -> dict[str, Any] | None:
    changes: dict[str, Any] = {"resuming": False} if policy.get("resuming") else {}
    if current.type == SCHEDULED and current.state_details.get("in_process"):
        # A retry counts when it starts, so that a crash before its start does not use it up.
        changes["retries_used"] = retries_used(policy) + 1
    if policy.get("never_began"):
        changes["never_began"] = 0
    return changes or None


def retries_used(policy: dict[str, Any]) -> int:
    """How many retries of a run have started, according to its `empirical_policy`."""
    return int(policy.get("retries_used") or 0)


_FLOW_RULES: tuple[Callable[[State | None, State, FlowRunFacts], Decision | None], ...] = (
    duplicate,
    result_kept,
    terminal,
    _terminal_to_scheduled,
    cancelling,
    _cancel_unexecuted,
    _pending,
    _deployment_slot,
    _late,
    _pausing,
    _resuming,
    _wait_of_flow,
    _flow_retry,
)
_FORCED_FLOW_RULES: tuple[Callable[[State | None, State, FlowRunFacts], Decision | None], ...] = (
    result_kept,
    _cancel_unexecuted,
)
