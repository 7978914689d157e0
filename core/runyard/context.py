"""What runs here and now: the flow run and the task run around the calling code, and tags."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from runyard.exceptions import MissingContextError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from runyard.engine.journal import Journal
    from runyard.engine.runs import FlowRun, TaskRun
    from runyard.flows import Flow
    from runyard.task_runners import TaskRunner
    from runyard.tasks import Task


class FlowRunContext:
    """One execution of a flow.

    Args:
        flow: what is executed.
        flow_run: its record.
        parameters: the validated values by name.
        journal: where what happens is written.
        parent: the context of the flow run that called this one, or None.
    """

    __slots__ = (
        "counters",
        "flow",
        "flow_run",
        "journal",
        "log_prints",
        "parameters",
        "parent",
        "task_runner",
    )

    def __init__(
        self,
        flow: Flow,
        flow_run: FlowRun,
        parameters: dict[str, Any],
        journal: Journal,
        parent: FlowRunContext | None,
    ) -> None:
        self.flow = flow
        self.flow_run = flow_run
        self.parameters = parameters
        self.journal = journal
        self.parent = parent
        inherited = parent.log_prints if parent is not None else False
        self.log_prints: bool = inherited if flow.log_prints is None else flow.log_prints
        # The next position of each task in this run, by its key.
        self.counters: dict[str, Iterator[int]] = {}
        self.task_runner: TaskRunner | None = None

    @classmethod
    def get(cls) -> FlowRunContext | None:
        """The one around the calling code, or None."""
        return current_flow.get()


class TaskRunContext:
    """One execution of a task."""

    __slots__ = ("log_prints", "parameters", "task", "task_run")

    def __init__(
        self, task: Task, task_run: TaskRun, parameters: dict[str, Any] | None, log_prints: bool
    ) -> None:
        self.task = task
        self.task_run = task_run
        self.parameters = parameters
        self.log_prints = log_prints

    @classmethod
    def get(cls) -> TaskRunContext | None:
        """The one around the calling code, or None."""
        return current_task.get()


current_flow: ContextVar[FlowRunContext | None] = ContextVar("runyard_flow", default=None)
current_task: ContextVar[TaskRunContext | None] = ContextVar("runyard_task", default=None)
current_tags: ContextVar[frozenset[str]] = ContextVar("runyard_tags", default=frozenset())


def get_run_context() -> FlowRunContext | TaskRunContext:
    """The context of the innermost run around the calling code.

    Raises:
        MissingContextError: there is none.
    """
    context = current_task.get() or current_flow.get()
    if context is None:
        raise MissingContextError("no run context: this must be called inside a flow or a task")
    return context


class tags:  # noqa: N801  # written like a function in users' code
    """Within the block, runs that start get these tags as well."""

    def __init__(self, *new_tags: str) -> None:
        self._new = new_tags
        self._tokens: list[Any] = []

    def __enter__(self) -> set[str]:
        together = current_tags.get() | frozenset(self._new)
        self._tokens.append(current_tags.set(together))
        return set(together)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        current_tags.reset(self._tokens.pop())
