"""Reports the states of flow runs: a root run proposes them to the rules, a subflow records them."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

from runyard.base import clock, ids, texts
from runyard.base.errors import ApiUnavailable, NotFound, StaleAttempt, StoreError
from runyard.base.exceptions import Abort, TerminationSignal
from runyard.domain.states import (
    COMPLETED,
    CRASHED,
    FAILED,
    PAUSED,
    PENDING,
    RUNNING,
    SCHEDULED,
    TERMINAL,
    AwaitingRetry,
    State,
)
from runyard.engine.context import current_task
from runyard.engine.effects import Block, Sleep
from runyard.engine.journal import Journal
from runyard.engine.logging import ERROR, INFO, stored_by_report
from runyard.engine.outages import persist
from runyard.engine.outcome import crash_message, is_signal
from runyard.engine.run_objects import TaskRun
from runyard.operations.flow_runs.end_flow_run import report_state
from runyard.operations.flow_runs.start_flow_run import start_flow_run

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from runyard.client import Client
    from runyard.engine.context import FlowRunContext
    from runyard.engine.flow_definition import FlowDefinition
    from runyard.engine.run_objects import FlowRun
    from runyard.operations.operation import Operation


# The core's log messages when a run enters Running, and when it has ended.
BEGINNING = "Beginning %s %r for flow %r"
FINISHED = "Finished in state %r"


class TakesReports(Protocol):
    """Receives the states of a run: a client, or an object with the same method."""

    def call(self, operation: Operation[..., Any], /, body: dict[str, Any]) -> Any:
        """Run `start_flow_run` or `report_state`."""
        ...


class Reporter(Protocol):
    """The interface of both reporters for the core."""

    journal: Journal
    parent: FlowRunContext | None
    word: str
    # Whether the last report also stored the log record that the core is about to write.
    told: bool

    def begin(self, run: FlowRun) -> Generator[Any, Any, None]:
        """Move the run to Running.

        Raises:
            Abort: the rules refuse it.
        """
        ...

    def retry(self, run: FlowRun, failed: State, delay_seconds: float) -> Generator[Any, Any, None]:
        """Wait, and move the run to Running again."""
        ...

    def end(self, run: FlowRun, state: State, stopped: bool) -> Generator[Any, Any, State]:
        """Report the final state; returns the state that the run has entered."""
        ...

    def suspend(self, run: FlowRun, body: dict[str, Any]) -> Generator[Any, Any, State]:
        """Report that the run is suspended; returns its state."""
        ...


class RootReporter(Reporter):
    """Reports the states of a run that holds its own lease.

    Args:
        client: sends the requests.
        start: the body of `start_flow_run`.
    """

    parent: FlowRunContext | None = None
    word = "flow run"
    told = False

    def __init__(self, client: Client, start: dict[str, Any]) -> None:
        self._client = client
        # Receives the states of the run.
        self.reports_to: TakesReports = client
        # The id distinguishes a repeated start, whose response was lost, from a start by another process.
        self._start = {**start, "start_id": ids.new_id()}
        self.ended = False
        # The process was asked to stop, and the run may start again: it stays Running until the process ends.
        self.left = False
        # Called when the run is Running and its journal is open.
        self.on_begin: Callable[[], None] = lambda: None
        # Called before the end is reported. After it the process may continue for long: hooks, and `atexit`
        # functions of the user's code.
        self.on_ending: Callable[[], None] = lambda: None

    def begin(self, run: FlowRun) -> Generator[Any, Any, None]:
        """Propose Running; wait as long as the rules require."""

        def begin() -> Any:
            # A claimed run survives a restart of the database; a run by hand reports the error immediately.
            if self._start.get("attempt") is None:
                return ask()
            return persist(ask, "the start of this run")

        def ask() -> Any:
            asked = clock.now_us()
            answer = self.reports_to.call(start_flow_run, self._start)
            clock.agree(answer.get("now", asked), asked, clock.now_us())
            return answer

        while True:
            # One transaction for the first state and the first log record: each commit waits for the disk.
            self._start["beginning"] = self._beginning(run)
            answer = yield Block(lambda: self._refused(begin))
            self._start["attempt"] = answer["attempt"]
            if answer["status"] != "WAIT":
                break
            try:
                yield Sleep(max(0.05, float(answer["delay_seconds"])))
            except BaseException as error:
                if not is_signal(error):
                    raise
                yield from self._give_up(run, error)
                raise
        state = State.from_json(answer["state"])
        if answer["status"] != "ACCEPT" or state.type != RUNNING:
            raise Abort(answer["reason"] or f"the run is {state.name}")
        self.told = self._start["beginning"] is not None
        run.attempt, run.name, run.flow_id = answer["attempt"], answer["name"], answer["flow_id"]
        run.deployment_id, run.tags = answer["deployment_id"], answer["tags"]
        run.created_us, run.start_us = answer["created"], answer["start_time"]
        run.enter(state)
        run.run_count, run.retries_used = answer["run_count"], answer["retries_used"]
        self.journal = Journal(self._client, run.id, run.attempt)
        run.resumes, run.pause_keys = answer["resumes"], set(answer["pause_keys"])
        if run.run_count + run.resumes == 1:
            self.journal.known_keys = set()
        self.on_begin()

    @staticmethod
    def _beginning(run: FlowRun) -> tuple[Any, ...] | None:
        return (
            stored_by_report(run, INFO, BEGINNING, "flow run", run.name, run.flow_name) if run.name else None
        )

    def _give_up(self, run: FlowRun, error: BaseException) -> Generator[Any, Any, None]:
        """A signal arrived while the run waited to start: it will not be executed."""
        run.attempt = self._start["attempt"]
        state = State(CRASHED, message=crash_message(error))
        run.enter(state)
        yield from self._propose(run, state, stopped=isinstance(error, TerminationSignal))
        self.ended = True

    def retry(self, run: FlowRun, failed: State, delay_seconds: float) -> Generator[Any, Any, None]:
        """Report the failure, wait in AwaitingRetry as the rules decide, and enter Running again.

        The run keeps its lease meanwhile, so that no other process can take it over.
        """
        answer = yield from self._propose(run, failed)
        waiting = State.from_json(answer["state"])
        if waiting.type != SCHEDULED:
            raise Abort(answer["reason"] or f"the run is {waiting.name}")
        run.enter(waiting)
        run.pause_keys.clear()
        # By the monotonic clock; the scheduled time is only for display.
        if delay_seconds > 0:
            yield Sleep(delay_seconds)
        again = State(RUNNING, state_details={"waited": True})
        while True:
            answer = yield from self._propose(run, again)
            if answer["status"] != "WAIT":
                break
            yield Sleep(max(0.05, float(answer["delay_seconds"])))
        self._enter(run, again, answer)

    def end(self, run: FlowRun, state: State, stopped: bool) -> Generator[Any, Any, State]:
        """Report the end, after all earlier records are on disk.

        A run that another process will execute again stays Running.
        """
        finished = stored_by_report(run, INFO if state.type == COMPLETED else ERROR, FINISHED, state)
        logs = self.journal.take_logs() if finished else None
        if logs is None:
            yield Block(self.journal.flush)
        self.journal.check()
        self.on_ending()
        # Forced: the core has decided that no retry is left, whatever the rules count.
        more = {"logs": logs or (), "finished": finished} if finished else {}
        try:
            answer = yield from self._propose(run, state, stopped, force=state.type == FAILED, **more)
        except BaseException:
            self.journal.put_back(logs)
            raise
        self.told = bool(more) and answer["finished"]
        if stopped and State.from_json(answer["state"]).type == RUNNING:
            self.left = True
            return run.state
        self._enter(run, state, answer)
        self.ended = True
        return run.state

    def suspend(self, run: FlowRun, body: dict[str, Any]) -> Generator[Any, Any, State]:
        """Report that the run is suspended, after all earlier records are on disk.

        Raises:
            Abort: it cannot be suspended, for example because it is being cancelled.
        """
        # 0.1 s with pydantic; few runs pause.
        from runyard.operations.flow_runs.pauses import pause_flow_run

        yield Block(self.journal.flush)
        self.journal.check()
        yield Block(self.journal.commit)
        self.on_ending()

        def report() -> Any:
            return persist(lambda: self._client.call(pause_flow_run, body), "the pause of this run")

        answer = yield Block(lambda: self._refused(report))
        state = State.from_json(answer["state"])
        if state.type != PAUSED:
            raise Abort(answer["reason"] or f"the run is {state.name}")
        run.enter(state)
        self.ended = True
        return state

    def _enter(self, run: FlowRun, proposed: State, answer: dict[str, Any]) -> None:
        """Enter the state from a response, with the value that only this process has."""
        state = State.from_json(answer["state"])
        if state.type == proposed.type:
            state._value = proposed._value
        elif state.type not in TERMINAL:
            raise Abort(answer["reason"] or f"the run is {state.name}")
        run.enter(state)
        run.run_count = answer["run_count"]

    def _propose(
        self, run: FlowRun, state: State, stopped: bool = False, force: bool = False, **more: Any
    ) -> Generator[Any, Any, dict[str, Any]]:
        body = {
            "flow_run_id": run.id,
            "attempt": run.attempt,
            "state": state.to_json(),
            "stopped": stopped,
            "force": force,
            **more,
        }

        def report() -> Any:
            try:
                return self._persisted(body)
            except (StaleAttempt, StoreError, ApiUnavailable, NotFound):
                raise
            except Exception as error:
                # A record or a part of the state cannot be stored: report the state without them.
                note = f"Not all of this state could be stored: {texts.told(error)}"
                bare = State(state.type, state.name, f"{state.message}\n{note}" if state.message else note)
                if "scheduled_time" in state.state_details:
                    bare.state_details["scheduled_time"] = state.state_details["scheduled_time"]
                self.journal.put_back(body.pop("logs", None))
                self.journal.flush()
                return self._persisted({**body, "state": bare.to_json()})

        return (yield Block(lambda: self._refused(report)))

    def _persisted(self, body: dict[str, Any]) -> Any:
        return persist(lambda: self.reports_to.call(report_state, body), "the state of this run")

    def _refused(self, call: Any) -> Any:
        try:
            return call()
        except StaleAttempt as error:
            raise Abort(str(error)) from error


class SubflowReporter(Reporter):
    """Records the states of a subflow run and of the task run that represents it.

    Args:
        parent: the calling run.
        stand_in: the task run that represents the subflow in the caller's graph.
    """

    word = "subflow run"
    told = False

    def __init__(self, parent: FlowRunContext, stand_in: TaskRun) -> None:
        self.parent: FlowRunContext = parent
        self.journal = parent.journal
        self._stand_in = stand_in

    def begin(self, run: FlowRun) -> Generator[Any, Any, None]:
        """Record Pending and Running."""
        self.journal.check()
        self._move(run, State(PENDING))
        self._move(run, State(RUNNING))
        return
        yield  # makes this a generator, as the interface requires

    def retry(self, run: FlowRun, failed: State, delay_seconds: float) -> Generator[Any, Any, None]:
        """Record AwaitingRetry, wait, and record Retrying."""
        moment = clock.now() + timedelta(seconds=delay_seconds)
        self._move(run, AwaitingRetry(moment, message=failed.message))
        if delay_seconds > 0:
            yield Sleep(delay_seconds)
        self._move(run, State(RUNNING, "Retrying", failed.message))

    def end(self, run: FlowRun, state: State, stopped: bool) -> Generator[Any, Any, State]:
        """Record the end; if the run is stopped, the end of the root run decides."""
        if not stopped:
            self._move(run, state)
        else:
            run.enter(state)
        return state
        yield  # as in `begin`

    def suspend(self, run: FlowRun, body: dict[str, Any]) -> Generator[Any, Any, State]:
        """Always raises: a subflow runs in its parent's process, which cannot end for it."""
        raise Abort("subflow runs cannot be suspended")
        yield  # as in `begin`

    def _move(self, run: FlowRun, state: State) -> None:
        run.move(state, self.journal)
        details = {**state.state_details, "child_flow_run_id": run.id}
        twin = State(
            state.type, state.name, state.message, state.data, state.timestamp_us, details, ids.new_id()
        )
        self._stand_in.move(twin, self.journal)


def stand_in_for(
    flow: FlowDefinition, parent: FlowRunContext, inputs: dict[str, list[dict[str, str]]]
) -> TaskRun:
    """The task run that represents a subflow in the graph of the calling run, with its inputs."""
    task_key = f"{flow.__qualname__ or flow.name}-flow"
    # Counted by the unique key of the row: several flows with different names may share one function.
    counter = parent.counters.setdefault(f"flow:{task_key}", count())
    position, attempt = next(counter), parent.flow_run.run_count + parent.flow_run.resumes
    key = str(position) if attempt <= 1 else f"{position}.{attempt}"
    task = current_task.get()
    stand_in = TaskRun(f"{flow.name}-{position}", parent.flow_run.id, task_key, key, (), attempt)
    stand_in.task_inputs = {name: upstream for name, upstream in inputs.items() if upstream}
    if task is not None:
        stand_in.task_inputs["__parents__"] = [{"input_type": "task_run", "id": task.task_run.id}]
    return stand_in
