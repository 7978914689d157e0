"""Root runs: creates the record of a run, executes the run, and supervises it until it ends."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from runyard.base import ids, write_retries
from runyard.base.errors import (
    ApiUnavailable,
    ParameterError,
    RunAborted,
    StoreError,
)
from runyard.base.exceptions import Abort, RunNameError, TerminationSignal
from runyard.base.thread_calls import unbroken
from runyard.client.engine_client import shared_client
from runyard.domain.states import PAUSED, Crashed, State
from runyard.engine import outcome
from runyard.engine.context import FlowRunContext, current_flow, current_tags
from runyard.engine.effects import drive, drive_async
from runyard.engine.flow_core import retries_of, retry_delay_of, run_flow
from runyard.engine.interrupts import Cancellation, SignalGuard, others_ended, pass_on
from runyard.engine.local_run_lease import KEEPS_LEASE_VARIABLE, LeaseKeeper, held_by_hand
from runyard.engine.parameters import (
    complete,
    concealed,
    render_name,
    signature_of,
    validated,
)
from runyard.engine.recorded_parameters import recorded_parameters
from runyard.engine.run_objects import FlowRun, to_json
from runyard.engine.state_reports import RootReporter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runyard.engine.flow_definition import FlowDefinition


def root_run_by_hand(flow: FlowDefinition, parameters: dict[str, Any]) -> RootRun:
    """A root run that was started by hand and holds its own lease."""
    run, start, parameters, problem = prepare(flow, parameters, name=ids.new_name())
    start |= {**held_by_hand()}
    return RootRun(flow, run, parameters, problem, start)


def stored_root_run(
    flow: FlowDefinition, flow_run_id: str, parameters: dict[str, Any], more: dict[str, Any], name: str = ""
) -> RootRun:
    """A root run that is stored already; `more` is added to the body of its start request."""
    problem: Exception | None = None
    try:
        given = signature_of(flow).complete(parameters)
    except ParameterError as error:
        given, problem = {}, error
    run, start, given, wrong = prepare(flow, given, flow_run_id=flow_run_id)
    run.name = run.name or name
    return RootRun(flow, run, given, problem or wrong, {**start, **more})


def prepare(
    flow: FlowDefinition, parameters: dict[str, Any], name: str | None = None, flow_run_id: str | None = None
) -> tuple[FlowRun, dict[str, Any], dict[str, Any], Exception | None]:
    """Prepare a run: (its record, the body of its start request, validated parameters, the error or None)."""
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
    run.parameters_json, run.context_json = recorded_parameters(flow, shown)
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
    """The run name by `flow_run_name`; its function may read `runyard.engine.runtime.flow_run`."""
    # Nothing is written before the run has started, so the journal does not exist yet.
    journal: Any = None
    token = current_flow.set(FlowRunContext(flow, run, run.parameters, journal, current_flow.get()))
    try:
        return render_name(flow.flow_run_name, complete(flow, run.parameters))
    finally:
        current_flow.reset(token)


# A task that calls a task uses four frames of Python's stack. With this limit tasks can nest as deep as
# plain functions by default. A limit that the user has set stays.
_FRAMES = 5_000
_DEFAULT_FRAMES = 1_000


class RootRun:
    """One root run with its reporter, its journal and its lease keeper."""

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
        self.run = run
        self._is_async = flow.isasync
        self._client = shared_client()
        self._by_hand = start["attempt"] is None
        self.reporter = RootReporter(self._client, start)
        self.reporter.on_begin = self._watch
        self.core = run_flow(flow, run, parameters, problem, self.reporter)
        self._keeper: LeaseKeeper | None = None

    @property
    def begun(self) -> bool:
        """Whether the run has entered Running."""
        return self.run.attempt is not None

    def _watch(self) -> None:
        """The run has started: a run started by hand, or in a container, renews its lease itself."""
        keeps = self._by_hand or KEEPS_LEASE_VARIABLE in os.environ
        if keeps and self.run.attempt is not None:
            self._keeper = LeaseKeeper(self._client, self.run.id, self.run.attempt, self.reporter.journal)
            self.reporter.on_ending = self._keeper.only_renew

    def execute(self) -> State:
        """Run it, on a new event loop if it is async; returns the final state."""
        if not self._is_async:
            return self.call(return_state=True)
        import asyncio

        return asyncio.run(self.call_async(return_state=True))

    def call(self, return_state: bool) -> Any:
        """Run it in this thread."""
        with self.watched():
            # In a list, not in a variable: the exception in the state keeps this frame alive.
            ended = [drive(self.core)]
        return ended.pop() if return_state else self._value_of(ended.pop())

    @contextmanager
    def watched(self, cancellation: Cancellation | None = None) -> Iterator[SignalGuard]:
        """A block that drives the core: SIGTERM ends the run, and the end of the block closes everything."""
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
            write_retries.request_stop()
            raise

    async def call_async(self, return_state: bool) -> Any:
        """Run it on this event loop."""
        import asyncio

        guard = SignalGuard(Cancellation(self.run.id))
        try:
            with guard:
                try:
                    ended = [await drive_async(self.core, lambda: guard.received)]
                finally:
                    await unbroken(self._close)
        except TerminationSignal:
            self._report_stop()
            await others_ended()
            # A program with its own signal handler, such as a web server, ends its loop itself.
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
            write_retries.request_stop()
            raise
        return ended.pop() if return_state else self._value_of(ended.pop())

    def _value_of(self, state: State) -> Any:
        """The result. If the run is suspended, the script that called it exits."""
        if state.type == PAUSED and state.state_details.get("pause_reschedule"):
            _leave(self.run)
        try:
            return state.result()
        finally:
            del state

    def _report_stop(self) -> None:
        """SIGTERM ended the run: report its end if the core could not."""
        if not (self.reporter.ended or self.reporter.left) and self.run.attempt is not None:
            message = "Execution was aborted by a termination signal."
            try:
                drive(self.reporter.end(self.run, Crashed(message=message), stopped=True))
            except Abort:
                pass
            except (StoreError, ApiUnavailable) as error:
                print(f"runyard: the end of this run was not recorded: {error}", file=sys.stderr)

    def _close(self) -> None:
        # Break the reference cycle: the callbacks refer to this object, and it to the run's parameters.
        self.reporter.on_begin = self.reporter.on_ending = lambda: None
        if self._keeper is not None:
            self._keeper.close()
        journal = getattr(self.reporter, "journal", None)
        if journal is not None:
            journal.close()


def _leave(run: FlowRun) -> NoReturn:
    """Exit the script of a suspended flow run, and print how to resume the run."""
    command = f"runyard flow-run resume {run.id}"
    if run.deployment_id is None:
        command += " --entrypoint FILE.py:FLOW"
    print(f"Flow run {run.name!r} is suspended; resume it with: {command}", file=sys.stderr)
    raise SystemExit(0)
