"""Pauses, suspends and resumes flow runs: `pause_flow_run`, `suspend_flow_run`, `resume_flow_run`."""

from __future__ import annotations

import time
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from runyard.base.errors import ApiUnavailable, StoreError
from runyard.base.exceptions import (
    Abort,
    FlowPauseTimeout,
    FlowRunWaitTimeout,
    NotPausedError,
    Pause,
)
from runyard.base.syncing import async_twin, sync_compatible
from runyard.client.engine_client import shared_client
from runyard.domain.flow_run_rules import is_expired_pause
from runyard.domain.states import FAILED, PAUSED, RUNNING, TERMINAL, Paused, State, Suspended
from runyard.engine import child_processes
from runyard.engine.context import current_flow, current_task
from runyard.engine.logging import flow_logger, get_logger

if TYPE_CHECKING:
    from runyard.engine.context import FlowRunContext
    from runyard.engine.run_objects import FlowRun

# Imported inside functions: operations and input forms (0.1 s with pydantic), for runs that pause.


__all__ = [
    "apause_flow_run",
    "aresume_flow_run",
    "asuspend_flow_run",
    "await_for_flow_run",
    "pause_flow_run",
    "resume_flow_run",
    "suspend_flow_run",
    "wait_for_flow_run",
]

# The longest duration of one long poll, the shortest pause between two reads, and the delay after an outage.
_POLL_SECONDS = 20.0
_LEAST_SECONDS = 0.02
_AGAIN_SECONDS = 1.0


def _pause(
    wait_for_input: Any = None,
    timeout: float | None = 3600,
    poll_interval: float = 10,
    key: str | None = None,
) -> Any:
    """Pause the current flow run: wait in state Paused until it is resumed.

    Args:
        wait_for_input: the input to request on resume: a `RunInput` or other pydantic model, or a type.
        timeout: the run fails if it is not resumed within this many seconds; None: no limit.
        poll_interval: ignored: resuming wakes the run immediately.
        key: the name of the pause; a run that starts again skips pauses it has passed. The default is the
            number of the pause.

    Returns:
        The input, an instance of `wait_for_input`; None if no input was requested.

    Raises:
        RuntimeError: outside of a flow run, or the run cannot be paused.
        FlowPauseTimeout: the run was not resumed in time.
    """
    from runyard.operations.flow_runs.pauses import pause_flow_run as operation

    context = current_flow.get()
    if context is None:
        raise RuntimeError("Flow runs can only be paused from within a flow run.")
    run, journal, client = context.flow_run, context.journal, shared_client()
    question = _Question(Paused(timeout_seconds=timeout, pause_key=key or _next_key(context)), wait_for_input)
    if question.key in run.pause_keys:
        return question.answer(run.id)
    # The user who resumes the run must see all earlier records.
    journal.flush()
    journal.check()
    answer = client.call(operation, question.body(run.id, journal.attempt))
    state = State.from_json(answer["state"])
    if state.type == RUNNING:
        return question.answer(run.id)
    if state.type != PAUSED:
        raise RuntimeError(f"Flow run cannot be paused: {answer['reason'] or state.name}")
    log = _logger(context)
    log.info("Paused, until: runyard flow-run resume %s", run.id)
    run.pause_keys.add(question.key)
    _enter(run, state)
    _enter(run, _resumed(run.id, timeout))
    log.info("Resuming flow run execution!")
    return question.answer(run.id)


def _suspend(
    wait_for_input: Any = None,
    flow_run_id: Any = None,
    timeout: float | None = None,
    key: str | None = None,
) -> Any:
    """Suspend a flow run: end its process until it is resumed.

    The resumed run starts from its beginning. Completed tasks with stored results do not run again, and the
    run skips the pauses it has passed.

    Args:
        wait_for_input: as for `pause_flow_run`.
        flow_run_id: the run to suspend; the default is the current run.
        timeout: the run fails if it is not resumed within this many seconds; None: no limit.
        key: the name of the suspension; the default is its number.

    Returns:
        The input, when the run executes again; None if no input was requested. The first call does not
        return.

    Raises:
        RuntimeError: outside of a flow run, inside a task, or the run cannot be suspended.
    """
    from runyard.operations.flow_runs.pauses import pause_flow_run as operation

    context = current_flow.get()
    if flow_run_id is None or (context is not None and str(flow_run_id) == context.flow_run.id):
        return _suspend_this(context, wait_for_input, timeout, key)
    question = _Question(Suspended(timeout_seconds=timeout, pause_key=key or str(uuid4())), wait_for_input)
    answer = shared_client().call(operation, question.body(str(flow_run_id), None))
    if answer["state"]["type"] != PAUSED:
        raise RuntimeError(f"Flow run cannot be suspended: {answer['reason'] or answer['state']['name']}")
    return None


def _suspend_this(
    context: FlowRunContext | None, wait_for_input: Any, timeout: float | None, key: str | None
) -> Any:
    if current_task.get() is not None:
        raise RuntimeError("Cannot suspend task runs.")
    if context is None:
        raise RuntimeError("Flow runs can only be suspended from within a flow run.")
    if context.parent is not None:
        raise RuntimeError("Flow run cannot be suspended: it is a subflow; suspend the run that called it.")
    if context is child_processes.inherited:
        raise RuntimeError("Flow run cannot be suspended: this is a child of its process.")
    run = context.flow_run
    question = _Question(
        Suspended(timeout_seconds=timeout, pause_key=key or _next_key(context)), wait_for_input
    )
    if question.key in run.pause_keys:
        return question.answer(run.id)
    log = _logger(context)
    if not context.persist:
        log.warning(
            "The results of completed tasks are not stored: the tasks will run again; use "
            "@flow(persist_result=True)"
        )
    log.info("Suspending, until: runyard flow-run resume %s", run.id)
    raise Pause(question.body(run.id, run.attempt))


def _resume(flow_run_id: Any, run_input: dict[str, Any] | None = None) -> None:
    """Resume a paused or suspended flow run.

    Args:
        flow_run_id: the id of the run.
        run_input: the requested input, by field name.

    Raises:
        NotFound: the run does not exist.
        NotPausedError: the run is not paused.
        FlowPauseTimeout: the pause has expired, and the run has failed.
        RuntimeError: the input is invalid, and the run stays paused; or the run has no deployment.
    """
    from runyard.operations.flow_runs.pauses import ResumeFlowRun
    from runyard.operations.flow_runs.pauses import resume_flow_run as operation

    body = ResumeFlowRun(run_input=run_input)
    answer = shared_client().call(operation, str(flow_run_id), body)
    reason = answer.details.get("reason")
    if answer.status == "ABORT":
        raise NotPausedError(f"Cannot resume flow run {flow_run_id}: it is not paused.")
    if answer.status == "REJECT":
        if answer.state is not None and answer.state.type == FAILED:
            raise FlowPauseTimeout("Flow run can no longer be resumed.")
        raise RuntimeError(f"Cannot resume this run: {reason}")


def _wait_for(
    flow_run_id: Any,
    timeout: float | None = 10800,
    poll_interval: float | None = None,
    client: Any = None,
    log_states: bool = False,
) -> Any:
    """Wait until a flow run ends.

    Args:
        flow_run_id: the id of the run.
        timeout: seconds to wait at most.
        poll_interval: ignored.
        client: ignored.
        log_states: whether to log each state that the run enters.

    Returns:
        The run, as the API returns it.

    Raises:
        NotFound: the run does not exist.
        FlowRunWaitTimeout: the run did not end in time.
    """
    seen = None
    for run in _versions(str(flow_run_id), timeout):
        state = run.state
        if state is not None and log_states and state.id != seen:
            seen = state.id
            get_logger().info("Flow run is in state %r", state.name)
        if state is not None and state.type in TERMINAL:
            return run
    raise FlowRunWaitTimeout(f"Flow run with ID {flow_run_id} exceeded watch timeout of {timeout:g} seconds")


pause_flow_run = sync_compatible(_pause)
apause_flow_run = async_twin(_pause)
suspend_flow_run = sync_compatible(_suspend)
asuspend_flow_run = async_twin(_suspend)
resume_flow_run = sync_compatible(_resume)
aresume_flow_run = async_twin(_resume)
wait_for_flow_run = sync_compatible(_wait_for)
await_for_flow_run = async_twin(_wait_for)


class _Question:
    """One pause: its state, and the requested input."""

    def __init__(self, state: State, wanted: Any) -> None:
        self.state = state
        self.key: str = state.state_details["pause_key"]
        self._model: Any = None
        if wanted is not None:
            from runyard.sdk.input.run_input import keyset_from_paused_state, run_input_subclass_from_type

            self._model = run_input_subclass_from_type(wanted)
            self._keys = keyset_from_paused_state(state)
            state.state_details["run_input_keyset"] = self._keys

    def body(self, flow_run_id: str, attempt: int | None) -> dict[str, Any]:
        """The body of the operation `pause_flow_run`."""
        body = {"flow_run_id": flow_run_id, "attempt": attempt, "state": self.state.to_json()}
        if self._model is None:
            return body
        return {**body, "schema": self._model.model_json_schema(), "description": self._model.described()}

    def answer(self, flow_run_id: str) -> Any:
        """The given input; None if no input was requested."""
        return self._model.load(self._keys, flow_run_id, _sync=True) if self._model is not None else None


def _next_key(context: FlowRunContext) -> str:
    return str(next(context.counters.setdefault("pause:", count(1))))


def _logger(context: FlowRunContext) -> Any:
    return flow_logger(context.flow_run, context.journal)


def _enter(run: FlowRun, state: State) -> None:
    """Enter a state from the rules; resuming after a pause does not increase the run count."""
    tries = run.run_count
    run.enter(state)
    run.run_count = tries


def _resumed(flow_run_id: str, timeout_seconds: float | None) -> State:
    """Wait until the run is resumed; returns its new state.

    Raises:
        FlowPauseTimeout: the run was not resumed in time.
        Abort: the run was ended instead.
    """
    for run in _versions(flow_run_id, timeout_seconds):
        state: State = run.state.to_state()
        if state.type == RUNNING:
            return state
        if is_expired_pause(state):
            break
        if state.type in TERMINAL:
            raise Abort(f"the paused run is {state.name}")
    raise FlowPauseTimeout("Flow run was paused and never resumed.")


def _versions(flow_run_id: str, timeout_seconds: float | None) -> Any:
    """Yield a run now and after each change, until the timeout; in an outage, retry."""
    from runyard.operations.flow_runs.flow_runs import read_flow_run

    client = shared_client()
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    while True:
        left = _POLL_SECONDS if deadline is None else deadline - time.monotonic()
        try:
            token = client.changes()
            yield client.call(read_flow_run, flow_run_id)
            if left <= 0:
                return
            left = _POLL_SECONDS if deadline is None else deadline - time.monotonic()
            client.wait_for_change(token, max(0.0, min(left, _POLL_SECONDS)))
            time.sleep(_LEAST_SECONDS)
        except (ApiUnavailable, StoreError):
            if left <= 0:
                raise
            time.sleep(min(_AGAIN_SECONDS, left))
