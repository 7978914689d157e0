"""The rules of state changes: what they promise whatever is proposed, and each rule's own case."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some
from runyard.base import clock
from runyard.domain import states
from runyard.domain.api_task_run_rules import TaskRunFacts, decide_task_run
from runyard.domain.flow_run_rules import FlowRunFacts, decide_flow_run, keeps_lease
from runyard.domain.states import STATE_TYPES, TERMINAL, State
from runyard.operations.runs import enter_state

NOW = 1_800_000_000_000_000

OPEN = ("SCHEDULED", "PENDING", "RUNNING")
NAMES = (None, "Late", "Suspended", "AwaitingRetry", "Submitting")


@some.composite
def a_state(draw):
    kind = draw(some.sampled_from(STATE_TYPES))
    name = draw(some.sampled_from(NAMES))
    details = draw(
        some.fixed_dictionaries(
            {},
            optional={
                "transition_id": some.sampled_from(("one", "two")),
                "pause_reschedule": some.booleans(),
                "pause_key": some.sampled_from(("a", "b")),
                "scheduled_time": some.integers(-100, 100).map(
                    lambda seconds: clock.format_time(clock.from_us(NOW + seconds * 1_000_000))
                ),
            },
        )
    )
    moment = NOW + draw(some.integers(-5_000_000, 5_000_000))
    return State(kind, name, data=draw(some.none() | some.just({"kept": 1})), timestamp=moment,
                 state_details=details)  # fmt: skip


facts = some.builds(
    FlowRunFacts,
    now_us=some.just(NOW),
    run_count=some.integers(0, 4),
    policy=some.fixed_dictionaries(
        {}, optional={"retries": some.integers(0, 3), "retry_delay": some.integers(0, 60)}
    ),
    has_deployment=some.booleans(),
    is_subflow=some.booleans(),
    leased=some.booleans(),
    limit=some.none() | some.integers(0, 3),
    free_slots=some.integers(0, 3),
    cancel_new=some.booleans(),
)
task_facts = some.builds(
    TaskRunFacts,
    now_us=some.just(NOW),
    run_count=some.integers(0, 4),
    policy=some.fixed_dictionaries({}, optional={"retries": some.integers(0, 3)}),
    flow_type=some.none() | some.sampled_from(STATE_TYPES),
    jitter=some.floats(0, 1),
)


@given(current=a_state(), proposed=a_state(), facts=facts)
def test_a_terminal_state_is_left_only_to_run_again(current, proposed, facts):
    if current.type not in TERMINAL:
        return
    decision = decide_flow_run(current, proposed, facts)
    if decision.state is not None and (current.type, decision.state.type) != ("COMPLETED", "COMPLETED"):
        slots = decision.state.name == "AwaitingConcurrencySlot" or decision.state.type == "CANCELLED"
        assert decision.state.type in OPEN or (proposed.type == "PENDING" and slots)
        assert proposed.type in OPEN


@given(current=a_state(), proposed=a_state(), facts=facts)
def test_what_is_being_cancelled_only_becomes_cancelled(current, proposed, facts):
    if current.type == "CANCELLING":
        decision = decide_flow_run(current, proposed, facts)
        assert decision.state is None or decision.state.type == "CANCELLED"


@given(current=a_state(), proposed=a_state(), facts=facts, force=some.booleans())
def test_every_decision_says_what_and_why(current, proposed, facts, force):
    before = (proposed.type, proposed.name, dict(proposed.state_details), proposed.timestamp_us)
    decision = decide_flow_run(current, proposed, facts, force)
    assert before == (proposed.type, proposed.name, proposed.state_details, proposed.timestamp_us)
    if decision.status == "ACCEPT":
        assert decision.state.type == proposed.type
    else:
        assert decision.reason
        assert decision.status == "REJECT" or decision.state is None
    assert (decision.status == "WAIT") == (decision.delay_seconds > 0)


@given(current=a_state(), proposed=a_state(), facts=facts)
def test_the_same_transition_is_not_applied_twice(current, proposed, facts):
    asked = proposed.state_details.get("transition_id")
    if asked and asked == current.state_details.get("transition_id"):
        assert decide_flow_run(current, proposed, facts).state is None


@given(current=a_state(), proposed=a_state(), facts=facts, force=some.booleans())
def test_a_kept_result_is_never_lost_to_a_result_free_completion(current, proposed, facts, force):
    if current.type == "COMPLETED" and current.data and proposed.type == "COMPLETED" and not proposed.data:
        assert decide_flow_run(current, proposed, facts, force).state is None


@given(proposals=some.lists(a_state(), max_size=12), facts=facts)
def test_times_grow_and_bookkeeping_agrees(proposals, facts):
    """A run under any proposals: unique growing times, counts that fit, an end only where it is over."""
    run, current, runs = {}, None, 0
    for proposed in proposals:
        decision = decide_flow_run(current, proposed, facts)
        if decision.state is None:
            continue
        state = enter_state.after(decision.state, run.get("state_timestamp"))
        if current is not None:
            assert state.timestamp_us > current.timestamp_us
        runs += state.type == "RUNNING" and (current is None or current.type != "PAUSED")
        run = enter_state.entered(run, state)
        current = state
        assert run["run_count"] == runs
        assert (run["end_time"] is not None) == (state.type in TERMINAL)
        assert run["total_run_time"] >= 0
        assert run["next_scheduled_start_time"] is None or state.type == "SCHEDULED"
        assert not (keeps_lease(state) and state.type in TERMINAL)


@given(current=a_state(), proposed=a_state(), facts=task_facts)
def test_tasks_keep_the_same_promises(current, proposed, facts):
    state = decide_task_run(current, proposed, facts).state
    if state is None:
        return
    if current.type == "CANCELLING":
        assert state.type == "CANCELLED"
    if current.type in TERMINAL:
        assert state.type in (*OPEN, "PAUSED") or current.type == state.type == "COMPLETED"
    if state.type == "RUNNING":
        assert facts.flow_type in (None, "RUNNING")


DEPLOYED = FlowRunFacts(NOW, has_deployment=True)


@pytest.mark.parametrize(
    ("current", "proposed", "facts", "status", "becomes"),
    [
        ("PENDING", "PENDING", DEPLOYED, "ABORT", None),
        ("RUNNING", "PENDING", DEPLOYED, "ABORT", None),
        ("CANCELLED", "PENDING", DEPLOYED, "ABORT", None),
        ("COMPLETED", "CRASHED", DEPLOYED, "ABORT", None),
        ("COMPLETED", "CANCELLING", DEPLOYED, "ABORT", None),
        ("FAILED", "SCHEDULED", DEPLOYED, "ACCEPT", "SCHEDULED"),
        ("FAILED", "SCHEDULED", FlowRunFacts(NOW), "ABORT", None),
        ("SCHEDULED", "CANCELLING", DEPLOYED, "REJECT", "CANCELLED"),
        ("RUNNING", "CANCELLING", DEPLOYED._replace(leased=True), "ACCEPT", "CANCELLING"),
        ("CANCELLING", "COMPLETED", DEPLOYED, "REJECT", None),
        ("SCHEDULED", "PENDING", DEPLOYED._replace(limit=0), "ABORT", None),
        ("SCHEDULED", "PENDING", DEPLOYED._replace(limit=2), "REJECT", "SCHEDULED"),
        ("SCHEDULED", "PENDING", DEPLOYED._replace(limit=2, cancel_new=True), "REJECT", "CANCELLED"),
        ("SCHEDULED", "PENDING", DEPLOYED._replace(limit=2, free_slots=1), "ACCEPT", "PENDING"),
        ("PENDING", "PAUSED", DEPLOYED, "REJECT", None),
        ("RUNNING", "FAILED", DEPLOYED._replace(run_count=1, policy={"retries": 1}), "REJECT", "SCHEDULED"),
        ("RUNNING", "FAILED", DEPLOYED._replace(run_count=2, policy={"retries": 1}), "ACCEPT", "FAILED"),
    ],
)
def test_flow_run_cases(current, proposed, facts, status, becomes):
    decision = decide_flow_run(State(current), State(proposed), facts)
    assert decision.status == status
    assert (decision.state and decision.state.type) == becomes


def test_nothing_starts_before_its_time():
    due = clock.from_us(NOW + 90_000_000)
    decision = decide_flow_run(states.Scheduled(due), states.Running(), FlowRunFacts(NOW))
    assert (decision.status, decision.delay_seconds) == ("WAIT", 90)
    claimed = decide_flow_run(states.Scheduled(due), states.Pending(), FlowRunFacts(NOW)).state
    assert decide_flow_run(claimed, states.Running(), FlowRunFacts(NOW)).status == "WAIT"
    assert decide_flow_run(claimed, states.Running(), FlowRunFacts(NOW + 90_000_000)).status == "ACCEPT"


def test_a_run_is_marked_late_once():
    first = decide_flow_run(states.Scheduled(), states.Late(), DEPLOYED)
    assert first.status == "ACCEPT"
    assert decide_flow_run(first.state, states.Late(), DEPLOYED).status == "REJECT"


def test_a_retry_keeps_the_process_and_its_lease():
    facts = FlowRunFacts(NOW, run_count=1, policy={"retries": 2, "retry_delay": 5})
    waiting = decide_flow_run(states.Running(), states.Failed(message="no"), facts).state
    assert (waiting.name, waiting.message) == ("AwaitingRetry", "no")
    assert keeps_lease(waiting)
    assert not keeps_lease(states.AwaitingRetry())


def test_a_pause_that_nobody_resumed_in_time_fails():
    decision = decide_flow_run(states.Paused(), states.Running(), DEPLOYED._replace(pause_over=True))
    assert (decision.status, decision.state.type) == ("REJECT", "FAILED")


def test_task_retries_follow_their_list_of_delays():
    facts = TaskRunFacts(NOW, run_count=2, policy={"retries": 3, "retry_delay": [1, 7, 30]})
    waiting = decide_task_run(states.Running(), states.Failed(), facts).state
    assert waiting.state_details["scheduled_time"] == clock.format_time(clock.from_us(NOW + 7_000_000))
    given_up = states.Failed(state_details={"retriable": False})
    assert decide_task_run(states.Running(), given_up, facts).status == "ACCEPT"
