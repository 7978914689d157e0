"""Explains in plain words why a run is not running, from the present facts. Stores nothing."""

from __future__ import annotations

from datetime import timedelta

from runyard.base import clock, machine
from runyard.base.quoting import command_of, quoted
from runyard.base.texts import counted
from runyard.domain.durations import in_words, moment_in_words
from runyard.domain.states import (
    CANCELLING,
    COMPLETED,
    CRASHED,
    PAUSED,
    PENDING,
    RUNNING,
    TERMINAL,
    State,
)
from runyard.operations import lease_clock
from runyard.operations.flow_runs import explain_failure, explain_waiting, flow_runs, leases
from runyard.operations.flow_runs.explain_waiting import Explanation, Reason
from runyard.operations.limits import slot_holders
from runyard.operations.limits.limit_slots import TAG_PREFIX
from runyard.operations.operation import operation
from runyard.operations.runs.state_columns import state_of
from runyard.store.database import Row, Transaction

__all__ = ["Explanation", "Reason", "explain_flow_run"]

# The most waits of a run, and the most holders of a limit, that an explanation names.
_MOST_WAITS = 5
_STATUS = {
    RUNNING: ("running", "is running"),
    PENDING: ("starting", "was claimed and is about to start"),
    CANCELLING: ("cancelling", "is being stopped"),
    PAUSED: ("paused", "is paused"),
}


@operation("GET", "/runyard/flow_runs/{flow_run_id}/why")
def explain_flow_run(tx: Transaction, flow_run_id: str) -> Explanation:
    """Explain why a run is not running. Each reason has the command that changes it.

    Raises:
        NotFound: the flow run is not found.
    """
    run = flow_runs.read_row(tx, flow_run_id)
    state = state_of(run)
    if state is None:
        return Explanation(status="waiting", summary=f"Flow run {run['name']!r} has no state yet.")
    if state.type in TERMINAL:
        return _over(tx, run, state)
    if state.type in _STATUS:
        return _executing(tx, run, state)
    return explain_waiting.explain(tx, run, state)


def _over(tx: Transaction, run: Row, state: State) -> Explanation:
    when = moment_in_words(state.timestamp, clock.now())
    summary = f"Flow run {run['name']!r} is over: {state.name} since {when}."
    text, command = _sentence(state.message or f"It ended as {state.name}."), None
    failure = explain_failure.explain_failure(tx, run, state)
    logs = command_of("runyard flow-run logs", run["id"])
    if failure is not None:
        text, command = failure.summary, failure.retry
    # The message of a crash tells of that one itself.
    if run["crash_count"] > (state.type == CRASHED):
        died = "once" if run["crash_count"] == 1 else counted(run["crash_count"], "time")
        text = f"{text.rstrip()}{'' if text.rstrip().endswith('.') else '.'} Its process died {died}."
    reasons = [Reason(code="over", text=text, command=command)]
    if state.type != COMPLETED:
        reasons.append(Reason(code="logs", text="Its log has the details.", command=logs))
    return Explanation(status="over", summary=summary, reasons=reasons, failure=failure)


def _sentence(message: str) -> str:
    """A state's message as a sentence: `the run was cancelled` has no capital and no full stop."""
    text = message.rstrip()
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"


def _executing(tx: Transaction, run: Row, state: State) -> Explanation:
    status, words = _STATUS[state.type]
    now = clock.now()
    since = in_words((now - state.timestamp).total_seconds())
    explanation = Explanation(status=status, summary=f"Flow run {run['name']!r} {words}, for {since} now.")
    if state.type == PAUSED:
        text = state.message or "It waits until a person resumes it."
        if limit := state.state_details.get("pause_timeout"):
            text += f" It fails at {moment_in_words(clock.parse_time(limit), now)} unless it is resumed."
        explanation.reasons.append(Reason(code="paused", text=text, command=_resume_command(run, state)))
    if state.type == RUNNING:
        _add_slot_waits(tx, run, explanation)
    explanation.reasons.append(_lease(tx, run, state))
    return explanation


def _add_slot_waits(tx: Transaction, run: Row, explanation: Explanation) -> None:
    """Add the limits whose slots the process of a run waits for, and the holders of the slots."""
    waits = slot_holders.waits_of_run(tx, run["root_flow_run_id"] or run["id"])
    for wait in waits[:_MOST_WAITS]:
        since = in_words((clock.now() - wait.since).total_seconds())
        tag = wait.limit.removeprefix(TAG_PREFIX)
        what, kind = f"{wait.limit!r}", "global-concurrency-limit"
        if tag != wait.limit:
            what, kind = f"the limit of the tag {tag!r}", "concurrency-limit"
        for_it = (
            f"waits for {'a slot' if wait.slots == 1 else f'{wait.slots} slots'} of {what}, for {since} now"
        )
        waiter = (
            "It"
            if wait.id in (None, run["id"])
            else f"{(wait.type or '').replace('_', ' ').capitalize()} {wait.name!r}"
        )
        uses = slot_holders.read_limit_holders(tx, wait.limit)
        held = ", ".join(_holder(use) for use in uses.holders[:_MOST_WAITS]) or "nothing that is known"
        if len(uses.holders) > _MOST_WAITS:
            held += f" and {len(uses.holders) - _MOST_WAITS} more"
        command = command_of(f"runyard {kind} inspect", tag)
        reason = Reason(code="slot", text=f"{waiter} {for_it}; held by {held}.", command=command)
        explanation.reasons.append(reason)
        if waiter == "It":
            explanation.summary = f"Flow run {run['name']!r} {for_it}."


def _holder(use: slot_holders.SlotUse) -> str:
    """A holder of slots in words: `fetch-3 of calm-otter (0193...)`."""
    if use.flow_run_name is None or use.id == use.flow_run_id:
        name = use.name or use.flow_run_name or f"{use.type or 'a client'} {use.id or ''}".strip()
        return f"{name} ({use.flow_run_id})" if use.flow_run_id else name
    return f"{use.name or use.id} of {use.flow_run_name} ({use.flow_run_id})"


def _resume_command(run: Row, state: State) -> str:
    command = f"runyard flow-run resume {run['id']}"
    if state.state_details.get("run_input_keyset"):
        command += " --input JSON"
    if state.state_details.get("pause_reschedule") and run["deployment_id"] is None:
        command += " --entrypoint FILE.py:FLOW"
    return command


def _lease(tx: Transaction, run: Row, state: State) -> Reason:
    root = run["root_flow_run_id"]
    lease = leases.holder(tx, root or run["id"])
    if lease is None:
        text = "No process executes it now."
        command = None if state.type == PAUSED else f"runyard flow-run cancel {run['id']}"
        return Reason(code="no_lease", text=text, command=command)
    part = f"It is part of flow run {root}. " if root else ""
    pool = run["work_pool_name"]
    command = f"runyard worker start --pool {quoted(pool)}" if pool else None
    if machine.is_gone(lease["place"], lease["proof"]):
        text = (
            f"{part}Attempt {lease['attempt']} was executed by {lease['owner']!r}, whose process has ended. "
        )
        text += "The next worker or server ends or restarts the run."
        return Reason(code="executor_gone", text=text, command=command)
    text = f"{part}Attempt {lease['attempt']} is executed by {lease['owner']!r}"
    if lease["expires"] is None:
        text += ", which reports its end; its lease never expires."
        return Reason(code="lease", text=text, command=f"runyard flow-run cancel {run['id']}")
    # Only differences of lease clock times are meaningful.
    now = clock.now()
    expires = now + timedelta(microseconds=lease["expires"] - lease_clock.now(tx))
    if expires < now:
        text += (
            f", which did not renew its lease: it expired at {moment_in_words(expires, now)}. "
            "The next worker or server ends or restarts the run."
        )
        return Reason(code="lease_expired", text=text, command=command)
    text += f"; its lease is valid until {moment_in_words(expires, now)}, and is renewed while it lives."
    cancel = None if state.type == CANCELLING else f"runyard flow-run cancel {run['id']}"
    return Reason(code="lease", text=text, command=cancel)
