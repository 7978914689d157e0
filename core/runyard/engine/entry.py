"""Entry points of the engine: call a flow or a task, execute a claimed or stored run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from runyard.base import ids
from runyard.base.errors import (
    RunAborted,
    RunyardError,
)
from runyard.client import short_errors
from runyard.client.engine_client import shared_client
from runyard.engine import child_processes
from runyard.engine.context import FlowRunContext, current_drawing, current_flow
from runyard.engine.effects import drive, drive_async
from runyard.engine.flow_core import run_flow
from runyard.engine.flowless_journal import journal_without_flow
from runyard.engine.generator_runs import stream_root, stream_subflow, stream_task
from runyard.engine.local_run_lease import held_by_hand
from runyard.engine.parameters import (
    bind,
)
from runyard.engine.recorded_parameters import restored
from runyard.engine.resolve import awaited, to_data
from runyard.engine.root_runs import prepare, root_run_by_hand, stored_root_run
from runyard.engine.state_reports import SubflowReporter, stand_in_for
from runyard.engine.task_core import new_run, run_task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runyard.domain.states import State
    from runyard.engine.flow_definition import FlowDefinition
    from runyard.engine.state_reports import TakesReports
    from runyard.engine.task_definition import TaskDefinition


def call_task(
    task: TaskDefinition,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    return_state: bool,
    wait_for: Iterable[Any] | None,
) -> Any:
    """Implements `task(...)`."""
    drawing = current_drawing.get()
    if drawing is not None:
        return drawing.call(task, "task", args, kwargs, return_state, wait_for)
    if task.isgenerator and not return_state:
        return stream_task(task, args, kwargs, wait_for)
    flow = current_flow.get()
    if flow is not None and flow is child_processes.inherited and not child_processes.still_ours(flow):
        flow = None
    journal = flow.journal if flow is not None else journal_without_flow()
    run = new_run(task, flow, journal)
    core = run_task(task, run, flow, journal, args, kwargs, wait_for)
    if task.isasync:
        return _awaited(core, return_state, {"task_run_id": run.id})
    return _given(drive(core), return_state, {"task_run_id": run.id})


async def _awaited(core: Any, return_state: bool, whose: dict[str, str]) -> Any:
    return _given(await drive_async(core), return_state, whose)


def _given(state: State, return_state: bool, whose: dict[str, str]) -> Any:
    """The result of a call for the user's code: the value of the run, or its state with the run's id.

    No other frame holds the state, because the exception in it keeps its frames alive.
    """
    try:
        if return_state:
            state.state_details.update(whose)
            return state
        return state.result()
    finally:
        del state


def call_flow(
    flow: FlowDefinition,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    return_state: bool,
    wait_for: Iterable[Any] | None,
) -> Any:
    """Implements `flow(...)`: runs a root run, or a subflow inside another flow.

    Raises:
        ParameterError: the arguments do not match the signature.
    """
    drawing = current_drawing.get()
    if drawing is not None:
        return drawing.call(flow, "flow", args, kwargs, return_state, wait_for)
    parameters = bind(flow, args, kwargs)
    parent = current_flow.get()
    if parent is not None and parent is child_processes.inherited and not child_processes.still_ours(parent):
        parent = None
    if parent is not None:
        inputs: dict[str, list[dict[str, str]]] = {name: [] for name in ("wait_for", *parameters)}
        to_data(awaited(wait_for), inputs["wait_for"])
        given = {name: to_data(value, inputs[name]) for name, value in parameters.items()}
        if flow.isgenerator and not return_state:
            return stream_subflow(
                flow, lambda: _call_subflow(flow, given, inputs, parent, False, streams=True)
            )
        return _call_subflow(flow, given, inputs, parent, return_state)
    if flow.isgenerator and not return_state:
        return stream_root(flow, lambda: root_run_by_hand(flow, parameters))
    short_errors.install()
    root = root_run_by_hand(flow, parameters)
    if flow.isasync:
        return root.call_async(return_state)
    return root.call(return_state)


def run_claimed(
    flow: FlowDefinition,
    flow_run_id: str,
    attempt: int,
    parameters: dict[str, Any],
    name: str = "",
    reports_to: TakesReports | None = None,
    on_ending: Callable[[], None] = lambda: None,
    on_refused: Callable[[str], None] = lambda reason: None,
    on_ended: Callable[[State], None] = lambda state: None,
) -> int:
    """Execute a run that a worker claimed, in this process.

    Args:
        flow: the loaded flow.
        flow_run_id: the run.
        attempt: its attempt number, the fencing token.
        parameters: as stored with the run.
        name: the name of the run, if known.
        reports_to: receives the states of the run; the default is the client of this process.
        on_ending: called before the end is reported; the hooks of the final state follow.
        on_refused: called with the reason if the run cannot start.
        on_ended: called with the final state, or with Paused if the run is suspended, once it is recorded.

    Returns:
        The exit code: 0 if the end of the run was reported, or if another process has the run.
    """
    root = stored_root_run(flow, flow_run_id, parameters, {"attempt": attempt}, name)
    root.reporter.on_ending = on_ending
    root.reporter.reports_to = reports_to or root.reporter.reports_to
    try:
        root.execute()
    except BaseException as error:
        refused = isinstance(error, RunyardError) and not root.begun
        if refused:
            on_refused(str(error))
        if refused or isinstance(error, RunAborted):
            print(f"runyard: {error}", file=sys.stderr)
        elif not root.reporter.ended:
            raise
    if root.reporter.ended:
        on_ended(root.run.state)
    return 0


def run_again(flow: FlowDefinition, flow_run_id: str, parameters: dict[str, Any]) -> State:
    """Execute a run that has ended again, in this process; it reuses its stored results.

    Args:
        flow: the loaded flow.
        flow_run_id: the run.
        parameters: as stored with the run.

    Returns:
        The final state.

    Raises:
        ParameterError: some of its parameters were not stored.
        Conflict: the run has not ended.
        NotFound: the run does not exist.
    """
    # 0.1 s with pydantic; only to run something again.
    from runyard.operations.flow_runs.flow_runs import read_flow_run

    context = shared_client().call(read_flow_run, flow_run_id).context
    parameters = restored(parameters, context, flow)
    start = {"again": True, **held_by_hand()}
    return stored_root_run(flow, flow_run_id, parameters, start).execute()


def run_waiting(flow: FlowDefinition, flow_run_id: str, parameters: dict[str, Any]) -> State:
    """Execute a run that waits for a worker, in this process; otherwise as `run_again`.

    Raises:
        Conflict: another process executes it, or it has ended.
        NotFound: the run does not exist.
    """
    start = {"waiting": True, **held_by_hand()}
    return stored_root_run(flow, flow_run_id, parameters, start).execute()


def _call_subflow(
    flow: FlowDefinition,
    parameters: dict[str, Any],
    inputs: dict[str, list[dict[str, str]]],
    parent: FlowRunContext,
    return_state: bool,
    streams: bool = False,
) -> Any:
    """Run a subflow; if `streams`, only return its core.

    Args:
        inputs: the task runs that produced the parameters, by parameter name.
    """
    run, _start, parameters, problem = prepare(flow, parameters, name=ids.new_name())
    run.root_flow_run_id = parent.flow_run.root_flow_run_id or parent.flow_run.id
    stand_in = stand_in_for(flow, parent, inputs)
    run.parent_task_run_id = stand_in.id
    core = run_flow(flow, run, parameters, problem, SubflowReporter(parent, stand_in), streams)
    if streams:
        return core
    if flow.isasync:
        return _awaited(core, return_state, {"flow_run_id": run.id})
    return _given(drive(core), return_state, {"flow_run_id": run.id})
