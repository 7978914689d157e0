"""Background tasks, server side: executes a claimed run and reports its records."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from runyard.base.errors import ApiUnavailable, StaleAttempt, StoreError
from runyard.base.thread_calls import in_thread
from runyard.domain.states import FAILED, PENDING, TERMINAL, State
from runyard.engine import outcome, salvage
from runyard.engine.effects import drive, drive_async
from runyard.engine.journal import Journal
from runyard.engine.outages import persist
from runyard.engine.remote import dumped_value
from runyard.engine.run_objects import TaskRun
from runyard.engine.task_core import run_task
from runyard.operations.task_runs.background_tasks import report_background_task

if TYPE_CHECKING:
    from collections.abc import Callable

    from runyard.client import Client
    from runyard.engine.task_definition import TaskDefinition
    from runyard.operations.runs.run_records import ResultRow


# In bytes. Outcomes are rows of the database: what a failure carries along must not fill it.
_LARGEST_EXCEPTION = 100_000


class FencedJournal(Journal):
    """The journal of one background run. Its writes are refused when another server has taken over the run.

    The final state is held back, and written together with the outcome. The journal has no thread: a server
    executes many runs, and one thread writes the records of all of them at intervals.

    Args:
        client: the client that writes.
        task_run_id, attempt: the run, and the number of the claim.
        note: called when records wait, so that the server calls `flush` soon.
    """

    def __init__(
        self, client: Client, task_run_id: str, attempt: int, note: Callable[[FencedJournal], None]
    ) -> None:
        super().__init__(client, None, attempt)
        self._task_run_id = task_run_id
        self._final: list[Any] = []
        self._note = note
        self._noted = False
        # The user's code has ended: only the report is left.
        self.ending = False

    @property
    def run_id(self) -> str | None:
        """The run that is executed."""
        return self._task_run_id

    def task_state(self, run: TaskRun, state: State) -> None:
        """Record a new state of a task run."""
        if run.id == self._task_run_id and state.type in TERMINAL:
            self._final = [(0, run, state)]
        else:
            super().task_state(run, state)

    def flush(self) -> None:
        """Write all records appended before."""
        self._noted = False
        self._drain()

    async def commit_async(self) -> None:
        """As `commit`, without blocking the event loop."""
        await in_thread(self.commit)

    def close(self) -> None:
        """As `flush`."""
        self.flush()

    def end(self, kept: str | None) -> bool:
        """Write the waiting records, the final state and the outcome; False if another server has the run."""
        self.ending = True
        with self._writing:
            waiting = [self._records.popleft() for _ in range(len(self._records))]
            if self.refused is None:
                try:
                    self._end(waiting, kept)
                except StaleAttempt as error:
                    self.refused = error
        return self.refused is None

    def _end(self, waiting: list[Any], kept: str | None) -> None:
        try:
            self._send([*waiting, *self._final], list(self._results), outcome=kept)
            self._results.clear()
        except (StaleAttempt, StoreError, ApiUnavailable):
            raise
        except Exception:
            # A record that cannot be stored must not prevent the others, or the end, from being written.
            self._write(waiting)
            if self.refused is None:
                salvage.write(lambda group, _none: self._send(group, [], outcome=kept), self._final, [])

    def _append(self, record: Any) -> None:
        self._records.append(record)
        if not self._noted:
            self._noted = True
            self._note(self)
        if len(self._records) >= self._limit:
            self.flush()

    def _send(self, group: list[Any], results: list[ResultRow], **fields: Any) -> None:
        told = {**self._body(group), "results": results}
        if not fields:
            # A row contains the current state of the run: do not write it if that is the final state.
            told["task_runs"] = [
                row
                for row in told["task_runs"]
                if row.id != self._task_run_id or row.state_type not in TERMINAL
            ]
        body = {"task_run_id": self._task_run_id, "attempt": self.attempt, "journal": told, **fields}
        persist(lambda: self._client.call(report_background_task, body), "a background task run")


def execute(task: TaskDefinition, claimed: dict[str, Any], journal: FencedJournal) -> State | None:
    """Run a claimed background run in this thread, to its end.

    Args:
        claimed: an item from `claim_background_tasks`.

    Returns:
        The final state; None if another server has taken over the run.
    """
    import pickle

    run = _record(claimed)
    try:
        # The SDK of a process with the same database wrote the payload.
        args, kwargs, wait_for = pickle.loads(base64.b64decode(claimed["payload"]))  # noqa: S301
        core = run_task(task, run, None, journal, args, kwargs, wait_for)
        if task.isasync:
            import asyncio

            state: State = asyncio.run(drive_async(core))
        else:
            state = drive(core)
    except BaseException as error:
        state = run.state
        if state.type == PENDING:
            message = f"The arguments could not be read here: {outcome.describe(error)}"
            state = State(FAILED, message=message, value=error)
            run.move(state, journal)
        elif state.type not in TERMINAL:
            state = outcome.state_of_error(error, "Task")
            run.move(state, journal)
    return state if journal.end(_kept(state)) else None


def _record(claimed: dict[str, Any]) -> TaskRun:
    run = TaskRun(
        claimed["name"], None, claimed["task_key"], claimed["dynamic_key"], claimed["tags"], 0,
        claimed["policy"], claimed["task_version"],
    )  # fmt: skip
    run.id = claimed["task_run_id"]
    run._details = f'{{"task_run_id":"{run.id}"}}'
    run.task_inputs = claimed["task_inputs"]
    run.created_us, run.start_us = claimed["created"], claimed["start_time"]
    run.total_us, run.run_count = claimed["total_run_time"], claimed["run_count"]
    run.enter(State(PENDING))
    return run


def _kept(state: State) -> str:
    """The parts of a final state that its JSON does not contain, as text."""
    import pickle

    try:
        told: dict[str, Any] = {"outcome": dumped_value(state, _LARGEST_EXCEPTION)}
    except Exception as error:
        told = {"missing": f"the result cannot be sent to another process: {outcome.describe(error)}"}
    return base64.b64encode(pickle.dumps(told)).decode()
