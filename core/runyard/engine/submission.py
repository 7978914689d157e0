"""A submitted task for task runners: they run it in a thread, or serialize it for another process."""

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
    from runyard.engine.run_objects import TaskRun
    from runyard.engine.task_definition import TaskDefinition


class Submission:
    """A submitted task. A task runner calls it, which runs the task in the calling thread."""

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
        """Run the task in this thread, and resolve its future."""
        # An exception of the task keeps the frames of this thread alive. So they must not keep the arguments,
        # nor the future, which refers to the exception.
        future = self.future
        del self.future
        try:
            core = run_task(
                self.task, self.run, self.flow, self.journal, self.args, self.kwargs, self.wait_for
            )
            del self.args, self.kwargs, self.wait_for
            ended = [_on_own_loop(core) if self.task.isasync else drive(core)]
        except BaseException as error:
            # Already recorded. The future raises it; the thread continues.
            ended = [outcome.state_of_error(error, "Task")]
        try:
            future.resolve(ended.pop())
        finally:
            del future

    def upstream(self) -> list[TaskFuture]:
        """The futures among its arguments and `wait_for` that are not done."""
        given = (self.args, self.kwargs, self.wait_for)
        return [future for future in futures_in(given) if not future.done()]

    def package(self, around: Any) -> bytes | None:
        """Serialize it for `runyard.engine.remote.execute`; None if the run has ended already.

        Args:
            around: a function that returns `remote.surroundings` of its flow run.
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
        # From now on the other process writes the run's row.
        self.journal.flush()
        return packet

    def finish(self, sent: bytes) -> None:
        """Resolve the future with the outcome from the other process."""
        try:
            state = remote.unpack(sent, self.run)
        except Exception as error:
            state = outcome.state_of_error(error, "Task")
        self.future.resolve(state)

    def lost(self, why: str) -> None:
        """Resolve the future as Crashed: the process that ran the task was lost."""
        self.future.resolve(remote.crash(self.run, self.journal, f"Task run crashed: {why}"))

    def _end(self, state: State) -> None:
        self.run.move(state, self.journal)
        self.future.resolve(state)


def _on_own_loop(core: Any) -> State:
    """Run the core of an async task on a new event loop; returns the state."""
    import asyncio

    ended = []

    async def run() -> None:
        # Not as the result of `run`: asyncio's frames in the traceback would keep it.
        ended.append(await drive_async(core))

    asyncio.run(run())
    return ended.pop()
