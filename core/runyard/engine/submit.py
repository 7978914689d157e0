"""Submitting tasks: runs that go on beside the flow, on its task runner."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from runyard.base.errors import ParameterError
from runyard.base.exceptions import UpstreamTaskError
from runyard.domain.states import FAILED, PENDING, State
from runyard.engine import outcome
from runyard.engine.context import current_drawing, current_flow, current_tags
from runyard.engine.effects import drive, drive_async
from runyard.engine.flowless_journal import journal_without_flow
from runyard.engine.futures import TaskFuture
from runyard.engine.parameters import bind, signature_of
from runyard.engine.resolve import awaited, futures_in
from runyard.engine.task_core import inputs_of, new_run, run_task
from runyard.engine.task_runners import TaskRunner, ThreadPoolTaskRunner

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runyard.engine.context import FlowRunContext
    from runyard.engine.journal import Journal
    from runyard.engine.runs import TaskRun
    from runyard.engine.task_definition import TaskDefinition

_lonely: TaskRunner | None = None
_lock = threading.Lock()


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
        from runyard.engine import remote

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
        from runyard.engine import remote

        try:
            state = remote.unpack(sent, self.run)
        except Exception as error:
            state = outcome.state_of_error(error, "Task")
        self.future.resolve(state)

    def lost(self, why: str) -> None:
        """It will not come back: the process that ran it is gone."""
        from runyard.engine import remote

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


def submit_task(
    task: TaskDefinition,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    return_state: bool,
    wait_for: Iterable[Any] | None,
) -> Any:
    """What `task.submit(...)` does.

    Raises:
        ParameterError: the arguments do not fit the signature; nothing is started then.
    """
    drawing = current_drawing.get()
    if drawing is not None:
        return drawing.submit(task, args, kwargs, return_state, wait_for)
    parameters = bind(task, args, kwargs)
    flow = current_flow.get()
    runner = _runner(flow)
    if _submits_itself(type(runner)):
        future = runner.submit(task, parameters, wait_for=wait_for, dependencies={})
    else:
        future = _start(runner, task, args, kwargs, wait_for)
    if return_state:
        future.wait()
        return future.state
    return future


def submit_to(
    runner: TaskRunner, task: TaskDefinition, parameters: dict[str, Any], wait_for: Iterable[Any] | None
) -> TaskFuture:
    """What `runner.submit(task, parameters)` does.

    Raises:
        ParameterError: the arguments do not fit the signature.
    """
    try:
        signature = signature_of(task)
        args, kwargs = signature.call_with(signature.complete(parameters))
    except ParameterError as error:
        raise ParameterError(f"{task.name}: {error}") from None
    return _start(runner, task, args, kwargs, wait_for)


def _start(
    runner: TaskRunner,
    task: TaskDefinition,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    wait_for: Iterable[Any] | None,
) -> TaskFuture:
    flow = current_flow.get()
    journal = flow.journal if flow is not None else journal_without_flow()
    run = new_run(task, flow, journal)
    future: TaskFuture[Any] = TaskFuture(run)
    upstream = None if wait_for is None else awaited(wait_for)
    work = Submission(task, run, flow, journal, args, kwargs, upstream, future)
    kind = type(runner)
    if kind.submit is TaskRunner.submit or _submits_itself(kind):
        runner.start(work, future)
    else:
        runner.submit(work, future)
    return future


def _submits_itself(kind: type[TaskRunner]) -> bool:
    """Whether a runner of the user's takes tasks and parameters, as Prefect's do, and not what to call."""
    if kind.submit is TaskRunner.submit:
        return False
    own: Any = getattr(kind.submit, "__wrapped__", kind.submit)
    return own.__code__.co_varnames[2:3] != ("future",)


def _runner(flow: FlowRunContext | None) -> TaskRunner:
    """The task runner of a flow run, made when first used; outside of flows one for the process."""
    global _lonely
    with _lock:
        if flow is None:
            if _lonely is None:
                _lonely = ThreadPoolTaskRunner()
            return _lonely
        if flow.task_runner is None:
            given = flow.flow.task_runner
            if given is None:
                flow.task_runner = ThreadPoolTaskRunner()
            else:
                made = given() if isinstance(given, type) else given.duplicate()
                flow.task_runner = made.__enter__()
        return flow.task_runner
