"""The doors of the engine: calling a flow or a task, and executing a run that a worker claimed."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runyard.base import ids, write_retries
from runyard.base.errors import (
    ApiUnavailable,
    ParameterError,
    RunAborted,
    RunyardError,
    StoreError,
)
from runyard.base.exceptions import Abort, RunNameError, TerminationSignal
from runyard.client import uncaught
from runyard.client.shared_client import shared_client
from runyard.domain.states import PAUSED
from runyard.engine import child_processes, outcome
from runyard.engine.context import FlowRunContext, current_drawing, current_flow, current_tags
from runyard.engine.effects import drive, drive_async
from runyard.engine.flow_core import retries_of, retry_delay_of, run_flow
from runyard.engine.flowless_journal import journal_without_flow
from runyard.engine.interrupts import Cancellation, SignalGuard, others_ended, pass_on
from runyard.engine.local_supervisor import KEEPS_LEASE_VARIABLE, LeaseKeeper, held_by_hand
from runyard.engine.parameters import (
    bind,
    complete,
    concealed,
    recorded,
    render_name,
    signature_of,
    validated,
)
from runyard.engine.runs import FlowRun, to_json
from runyard.engine.state_reports import RootReporter, SubflowReporter, stand_in_for
from runyard.engine.task_core import new_run, run_task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

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
    """What `task(...)` does."""
    drawing = current_drawing.get()
    if drawing is not None:
        return drawing.call(task, "task", args, kwargs, return_state, wait_for)
    if task.isgenerator and not return_state:
        from runyard.engine.streams import stream_task

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
    """What the user's code gets of a run: its value, or its state, which says whose it is if it is returned.

    The state stands in no other frame: those live as long as the exception that it holds.
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
    """What `flow(...)` does: a root run, or inside another flow a subflow.

    Raises:
        ParameterError: the arguments do not fit the signature.
    """
    drawing = current_drawing.get()
    if drawing is not None:
        return drawing.call(flow, "flow", args, kwargs, return_state, wait_for)
    parameters = bind(flow, args, kwargs)
    parent = current_flow.get()
    if parent is not None and parent is child_processes.inherited and not child_processes.still_ours(parent):
        parent = None
    if parent is not None:
        from runyard.engine.resolve import awaited, to_data

        inputs: dict[str, list[dict[str, str]]] = {name: [] for name in ("wait_for", *parameters)}
        to_data(awaited(wait_for), inputs["wait_for"])
        given = {name: to_data(value, inputs[name]) for name, value in parameters.items()}
        if flow.isgenerator and not return_state:
            from runyard.engine.streams import stream_subflow

            return stream_subflow(
                flow, lambda: _call_subflow(flow, given, inputs, parent, False, streams=True)
            )
        return _call_subflow(flow, given, inputs, parent, return_state)
    if flow.isgenerator and not return_state:
        from runyard.engine.streams import stream_root

        return stream_root(flow, lambda: _by_hand(flow, parameters))
    uncaught.install()
    root = _by_hand(flow, parameters)
    if flow.isasync:
        return root.call_async(return_state)
    return root.call(return_state)


def _by_hand(flow: FlowDefinition, parameters: dict[str, Any]) -> _Root:
    """A root run that holds a lease of its own."""
    run, start, parameters, problem = _prepare(flow, parameters, name=ids.new_name())
    start |= {**held_by_hand()}
    return _Root(flow, run, parameters, problem, start)


def run_claimed(
    flow: FlowDefinition,
    flow_run_id: str,
    attempt: int,
    parameters: dict[str, Any],
    name: str = "",
    reports_to: TakesReports | None = None,
    on_ending: Callable[[], None] = lambda: None,
    on_refused: Callable[[str], None] = lambda reason: None,
) -> int:
    """Execute a run that a worker claimed, in this process.

    Args:
        flow: the loaded flow.
        flow_run_id: which run.
        attempt: its fencing token.
        parameters: as stored with the run.
        name: of the run, where it is known.
        reports_to: takes the states of the run; by default the client of this process.
        on_ending: called before the end is reported; the hooks of the final state follow.
        on_refused: called with the reason when the run cannot begin.

    Returns:
        The exit code: 0 when the end of the run was reported, or when it was not ours to run.
    """
    root = _stored(flow, flow_run_id, parameters, {"attempt": attempt}, name)
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
    return 0


def run_again(flow: FlowDefinition, flow_run_id: str, parameters: dict[str, Any]) -> State:
    """Execute a run that is over once more, in this process: what it kept is not computed again.

    Args:
        flow: the loaded flow.
        flow_run_id: which run.
        parameters: as stored with the run.

    Returns:
        The final state.

    Raises:
        ParameterError: some of its parameters were not kept.
        Conflict: the run is not over.
        NotFound: there is none.
    """
    from runyard.engine.recording import restored
    from runyard.operations.flow_runs.flow_runs import read_flow_run

    context = shared_client().call(read_flow_run, flow_run_id).context
    parameters = restored(parameters, context, flow)
    start = {"again": True, **held_by_hand()}
    return _stored(flow, flow_run_id, parameters, start).execute()


def run_waiting(flow: FlowDefinition, flow_run_id: str, parameters: dict[str, Any]) -> State:
    """Execute a run that waits for a worker in this process; otherwise as `run_again`.

    Raises:
        Conflict: somebody executes it, or it is over.
        NotFound: there is none.
    """
    start = {"waiting": True, **held_by_hand()}
    return _stored(flow, flow_run_id, parameters, start).execute()


def _stored(
    flow: FlowDefinition, flow_run_id: str, parameters: dict[str, Any], more: dict[str, Any], name: str = ""
) -> _Root:
    """A run that the database knows, perhaps by name; `more` goes into the body of its start."""
    problem: Exception | None = None
    try:
        given = signature_of(flow).complete(parameters)
    except ParameterError as error:
        given, problem = {}, error
    run, start, given, wrong = _prepare(flow, given, flow_run_id=flow_run_id)
    run.name = run.name or name
    return _Root(flow, run, given, problem or wrong, {**start, **more})


def _prepare(
    flow: FlowDefinition, parameters: dict[str, Any], name: str | None = None, flow_run_id: str | None = None
) -> tuple[FlowRun, dict[str, Any], dict[str, Any], Exception | None]:
    """A run's record and what its start needs: (record, body, validated parameters, what is wrong)."""
    problem: Exception | None = None
    try:
        parameters = validated(flow, parameters)
    except Exception as error:
        problem = error
    run = FlowRun(flow_run_id or ids.new_id(), name or "", flow.name, current_tags.get())
    run.parameters, run.flow_version, run.stored = parameters, flow.version, flow_run_id is not None
    if problem is None and flow.flow_run_name is not None:
        try:
            name = run.name = _name(flow, run)
        except Exception as error:
            problem = RunNameError(f"no name by flow_run_name: {outcome.describe(error)}")
            problem.__cause__ = error
    shown = parameters if problem is None else concealed(flow, parameters)
    run.parameters_json, run.context_json = recorded(flow, shown)
    retries = retries_of(flow)
    if retries:
        run.policy = to_json({"retries": retries, "retry_delay": retry_delay_of(flow)})
    body = {
        "flow_run_id": run.id,
        "attempt": None,
        "flow_name": flow.name,
        "flow_version": flow.version,
        "name": name,
        "parameters": run.parameters_json,
        "context": run.context_json,
        "empirical_policy": run.policy,
        "tags": sorted(run.tags),
    }
    return run, body, parameters, problem


def _name(flow: FlowDefinition, run: FlowRun) -> str:
    """What `flow_run_name` gives; a function may ask `runyard.engine.runtime.flow_run` about the run."""
    # Nothing is written before the run has begun, so there is no journal yet.
    journal: Any = None
    token = current_flow.set(FlowRunContext(flow, run, run.parameters, journal, current_flow.get()))
    try:
        return render_name(flow.flow_run_name, complete(flow, run.parameters))
    finally:
        current_flow.reset(token)


# A task that calls a task takes four frames of Python's stack: with this limit tasks may call each
# other as deep as plain functions may by default. One that the user has set stays.
_FRAMES = 5_000
_DEFAULT_FRAMES = 1_000


class _Root:
    """One root run: its reporter, its journal, what watches over it."""

    def __init__(
        self,
        flow: FlowDefinition,
        run: FlowRun,
        parameters: dict[str, Any],
        problem: Exception | None,
        start: dict[str, Any],
    ) -> None:
        if sys.getrecursionlimit() == _DEFAULT_FRAMES:
            sys.setrecursionlimit(_FRAMES)
        self._run = run
        self._run_is_async = flow.isasync
        self._client = shared_client()
        self._by_hand = start["attempt"] is None
        self.reporter = RootReporter(self._client, start)
        self.reporter.on_begin = self._watch
        self._core = run_flow(flow, run, parameters, problem, self.reporter)
        self._keeper: LeaseKeeper | None = None

    @property
    def begun(self) -> bool:
        """Whether the run was made Running."""
        return self._run.attempt is not None

    def _watch(self) -> None:
        """The run has begun: one that was started by hand, or is in a container, renews its lease itself."""
        keeps = self._by_hand or KEEPS_LEASE_VARIABLE in os.environ
        if keeps and self._run.attempt is not None:
            self._keeper = LeaseKeeper(self._client, self._run.id, self._run.attempt, self.reporter.journal)
            self.reporter.on_ending = self._keeper.spare

    def execute(self) -> State:
        """Run it, on an event loop of its own if it is async; the final state."""
        if not self._run_is_async:
            return self.call(return_state=True)
        import asyncio

        return asyncio.run(self.call_async(return_state=True))

    def call(self, return_state: bool) -> Any:
        """Run it in this thread."""
        with self.watched():
            # Held by no name: the frame lives as long as the exception that the state holds.
            ended = [drive(self._core)]
        return ended.pop() if return_state else self._value_of(ended.pop())

    @contextmanager
    def watched(self, cancellation: Cancellation | None = None) -> Iterator[SignalGuard]:
        """A block that drives the core: SIGTERM ends it, and at its end everything is closed."""
        guard = SignalGuard(cancellation)
        try:
            with guard:
                try:
                    yield guard
                finally:
                    self._close()
        except TerminationSignal:
            self._report_stop()
            if pass_on() and cancellation is not None:
                from asyncio import CancelledError

                raise CancelledError from None
            raise SystemExit(143) from None
        except Abort as error:
            raise RunAborted(str(error)) from None
        except KeyboardInterrupt:
            write_retries.hurry()
            raise

    async def call_async(self, return_state: bool) -> Any:
        """Run it on this event loop."""
        import asyncio

        from runyard.base.thread_calls import unbroken

        guard = SignalGuard(Cancellation(self._run.id))
        try:
            with guard:
                try:
                    ended = [await drive_async(self._core, lambda: guard.received)]
                finally:
                    await unbroken(self._close)
        except TerminationSignal:
            self._report_stop()
            await others_ended()
            # A program that answers signals itself, such as a web server, ends its loop when it is ready.
            if pass_on():
                raise asyncio.CancelledError from None
            raise SystemExit(143) from None
        except Abort as error:
            raise RunAborted(str(error)) from None
        except asyncio.CancelledError:
            if guard.interrupted:
                await others_ended()
                raise KeyboardInterrupt from None
            raise
        except KeyboardInterrupt:
            write_retries.hurry()
            raise
        return ended.pop() if return_state else self._value_of(ended.pop())

    def _value_of(self, state: State) -> Any:
        """The result; a suspended run has none: who called it ends."""
        if state.type == PAUSED and state.state_details.get("pause_reschedule"):
            from runyard.sdk.pausing import leave

            leave(self._run)
        try:
            return state.result()
        finally:
            del state

    def _report_stop(self) -> None:
        """SIGTERM ended the run. If it came in a moment when the core could not report, do it now."""
        if not (self.reporter.ended or self.reporter.left) and self._run.attempt is not None:
            from runyard.domain.states import Crashed

            message = "Execution was aborted by a termination signal."
            try:
                drive(self.reporter.end(self._run, Crashed(message=message), stopped=True))
            except Abort:
                pass
            except (StoreError, ApiUnavailable) as error:
                print(f"runyard: the end of this run was not recorded: {error}", file=sys.stderr)

    def _close(self) -> None:
        # They refer to this object, which refers to the run's parameters.
        self.reporter.on_begin = self.reporter.on_ending = lambda: None
        if self._keeper is not None:
            self._keeper.close()
        journal = getattr(self.reporter, "journal", None)
        if journal is not None:
            journal.close()


def _call_subflow(
    flow: FlowDefinition,
    parameters: dict[str, Any],
    inputs: dict[str, list[dict[str, str]]],
    parent: FlowRunContext,
    return_state: bool,
    streams: bool = False,
) -> Any:
    """Run it; where it streams, only give the core.

    Args:
        inputs: the task runs that the parameters came from, by name.
    """
    run, _start, parameters, problem = _prepare(flow, parameters, name=ids.new_name())
    run.root_flow_run_id = parent.flow_run.root_flow_run_id or parent.flow_run.id
    stand_in = stand_in_for(flow, parent, inputs)
    run.parent_task_run_id = stand_in.id
    core = run_flow(flow, run, parameters, problem, SubflowReporter(parent, stand_in), streams)
    if streams:
        return core
    if flow.isasync:
        return _awaited(core, return_state, {"flow_run_id": run.id})
    return _given(drive(core), return_state, {"flow_run_id": run.id})
