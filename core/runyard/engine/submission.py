"""A submitted task, as task runners get it: run here, or made a packet for another process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.base.exceptions import UpstreamTaskError
from runyard.domain.states import FAILED, PENDING, State
from runyard.engine import outcome, remote
from runyard.engine.context import current_tags
from runyard.engine.effects import drive, drive_async
from runyard.engine.futures import TaskFuture
from runyard.engine.resolve import futures_in
from runyard.engine.task_core import inputs_of, run_task

if TYPE_CHECKING:
    from runyard.engine.context import FlowRunContext
    from runyard.engine.journal import Journal
    from runyard.engine.runs import TaskRun
    from runyard.engine.task_definition import TaskDefinition


class Submission:
    """A submitted task, as its task runner gets it: called, it runs in the calling thread."""

    __slots__ = ("args", "flow", "future", "journal", "kwargs", "options", "run", "tags", "task", "wait_for")

    def __init__(
        self,
        task: TaskDefinition,
        run: TaskRun,
        flow: FlowRunContext | None,
        journal: Journal,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        wait_for: list[Any] | None,
        future: TaskFuture,
    ) -> None:
        self.task = task
        self.run = run
        self.flow = flow
        self.journal = journal
        self.args = args
        self.kwargs = kwargs
        self.wait_for = wait_for
        self.future = future
        self.tags = current_tags.get()
        self.options: Any = None

    def __call__(self) -> None:
        """Run it here, and resolve its future."""
        # The frames of this thread live as long as an exception of the task: what they hold afterwards is
        # neither the arguments nor the future, which holds the exception.
        future = self.future
        del self.future
        try:
            core = run_task(
                self.task, self.run, self.flow, self.journal, self.args, self.kwargs, self.wait_for
            )
            del self.args, self.kwargs, self.wait_for
            ended = [_on_own_loop(core) if self.task.isasync else drive(core)]
        except BaseException as error:
            # Already written down; whoever asks the future gets it, and the thread goes on.
            ended = [outcome.state_of_error(error, "Task")]
        try:
            future.resolve(ended.pop())
        finally:
            del future

    def upstream(self) -> list[TaskFuture]:
        """The futures that it needs and that are not done."""
        given = (self.args, self.kwargs, self.wait_for)
        return [future for future in futures_in(given) if not future.done()]

    def package(self, around: Any) -> bytes | None:
        """It as `runyard.engine.remote.execute` takes it; None where it has ended here instead.

        Args:
            around: a function that gives what `remote.surroundings` made of its flow run.
        """
        try:
            self.journal.check()
            args, kwargs = drive(inputs_of(self.task, self.run, self.args, self.kwargs, self.wait_for))
        except UpstreamTaskError as error:
            self._end(State(PENDING, "NotReady", str(error), value=error))
            return None
        except BaseException as error:
            self.future.resolve(outcome.state_of_error(error, "Task"))
            return None
        try:
            packet = remote.package(self.task, self.run, around(self.flow), args, kwargs, self.tags)
        except Exception as error:
            message = f"Task run cannot be sent to another process: {outcome.describe(error)}"
            self._end(State(FAILED, message=message, value=error))
            return None
        # From here on it is the other process that writes the run's row.
        self.journal.flush()
        return packet

    def finish(self, sent: bytes) -> None:
        """The outcome came back."""
        try:
            state = remote.unpack(sent, self.run)
        except Exception as error:
            state = outcome.state_of_error(error, "Task")
        self.future.resolve(state)

    def lost(self, why: str) -> None:
        """It will not come back: the process that ran it is gone."""
        self.future.resolve(remote.crash(self.run, self.journal, f"Task run crashed: {why}"))

    def _end(self, state: State) -> None:
        self.run.move(state, self.journal)
        self.future.resolve(state)


def _on_own_loop(core: Any) -> State:
    """Run the core of an async task; the state."""
    import asyncio

    ended = []

    async def run() -> None:
        # Not as its result: asyncio's frames, which hold the task of the loop, are in the traceback.
        ended.append(await drive_async(core))

    asyncio.run(run())
    return ended.pop()
