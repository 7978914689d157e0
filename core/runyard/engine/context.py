"""What runs here and now: the flow run and the task run around the calling code, and tags."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from runyard import settings
from runyard.base import current_run, texts
from runyard.base.exceptions import MissingContextError
from runyard.engine.parameters import bind, bound_object, complete

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from runyard.engine.flow_definition import FlowDefinition
    from runyard.engine.journal import Journal
    from runyard.engine.runnable import RunsTasks
    from runyard.engine.runs import FlowRun, TaskRun
    from runyard.engine.task_definition import TaskDefinition


class NotesCalls(Protocol):
    """What is called instead of running a flow or a task, while `flow.visualize()` draws the calls."""

    def call(
        self, runnable: Any, kind: str, args: Any, kwargs: Any, return_state: bool, wait_for: Any
    ) -> Any:
        """A call of a `flow` or a `task`; what stands for its result, its state, or an awaitable of it."""

    def submit(self, task: Any, args: Any, kwargs: Any, return_state: bool, wait_for: Any) -> Any:
        """A submitted task: its future or state."""

    def map(self, task: Any, args: Any, kwargs: Any, return_state: bool, wait_for: Any) -> Any:
        """A mapped task: its futures or states."""


class FlowRunContext:
    """One execution of a flow.

    Args:
        flow: what is executed.
        flow_run: its record.
        parameters: the validated values by name.
        journal: where what happens is written.
        parent: the context of the flow run that called this one, or None.
        caller: the task run in which it was called, or None.
    """

    __slots__ = (
        "bound",
        "caller",
        "counters",
        "flow",
        "flow_run",
        "journal",
        "log_prints",
        "parameters",
        "parent",
        "persist",
        "plans",
        "scope",
        "task_runner",
        "unsent",
    )

    def __init__(
        self,
        flow: FlowDefinition,
        flow_run: FlowRun,
        parameters: dict[str, Any],
        journal: Journal,
        parent: FlowRunContext | None,
        caller: TaskRunContext | None = None,
    ) -> None:
        self.flow = flow
        # The object of a method, by the name it has there: a parameter that is not stored.
        self.bound: dict[str, Any] = bound_object(flow)
        self.caller = caller
        # In another process: the parameters that stayed behind, as keys know them.
        self.unsent: dict[str, Any] = {}
        self.flow_run = flow_run
        self.parameters = parameters
        self.journal = journal
        self.parent = parent
        if flow.log_prints is not None:
            self.log_prints: bool = flow.log_prints
        else:
            self.log_prints = parent.log_prints if parent is not None else settings.get("logging_log_prints")
        if flow.persist_result is not None:
            self.persist: bool = flow.persist_result
        else:
            self.persist = (
                parent.persist if parent is not None else settings.get("results_persist_by_default")
            )
        # How the results of each task are kept here, see `engine.caching`.
        self.plans: dict[int, Any] | None = None
        # By what keys know the run, once it is asked for; see `key_scopes.scope_of`.
        self.scope: str | None = None
        # The next position of each task in this run, by its key.
        self.counters: dict[str, Iterator[int]] = {}
        self.task_runner: RunsTasks | None = None

    @property
    def key_parameters(self) -> dict[str, Any]:
        """The values that the run differs by from others of its flow: of a method its object as well."""
        return {**self.unsent, **self.bound, **self.parameters}

    @property
    def result_store(self) -> Any:
        """Where and how results of the run are kept, a `runyard.engine.results.result_stores.ResultStore`."""
        from runyard.engine.results.result_stores import store_of

        return store_of(self, None)

    @property
    def persist_result(self) -> bool:
        """Whether the result is kept, and those of tasks and subflows that do not say."""
        return self.persist

    @property
    def start_time(self) -> Any:
        """When the run first ran, an aware datetime."""
        return self.flow_run.start_time

    @classmethod
    def get(cls) -> FlowRunContext | None:
        """The one around the calling code, or None."""
        return current_flow.get()


class TaskRunContext:
    """One execution of a task."""

    __slots__ = (
        "_args",
        "_kwargs",
        "_parameters",
        "counters",
        "log_prints",
        "task",
        "task_run",
        "transaction",
    )

    def __init__(
        self,
        task: TaskDefinition,
        task_run: TaskRun,
        parameters: dict[str, Any] | None,
        log_prints: bool,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        self.task = task
        self.task_run = task_run
        self._parameters = parameters
        self._args = args
        self._kwargs = kwargs
        self.log_prints = log_prints
        # Of `runyard.engine.transactions`, once the task asks for it.
        self.transaction: Any = None
        # How many subflows were called alike in this attempt.
        self.counters: dict[str, Iterator[int]] | None = None

    @property
    def parameters(self) -> dict[str, Any] | None:
        """The arguments by name, with the object of a method; bound when first asked for, which most tasks
        never do."""
        if self._parameters is None and self._kwargs is not None:
            self._parameters = complete(self.task, bind(self.task, self._args, self._kwargs))
        return self._parameters

    @parameters.setter
    def parameters(self, values: dict[str, Any] | None) -> None:
        self._parameters = values

    @property
    def result_store(self) -> Any:
        """Where and how the task's results are kept, a `runyard.engine.results.result_stores.ResultStore`."""
        from runyard.engine.results.result_stores import store_of

        return store_of(current_flow.get(), self.task)

    @property
    def persist_result(self) -> bool:
        """Whether the result is kept."""
        if self.task.persist_result is not None:
            return self.task.persist_result
        flow = current_flow.get()
        return flow.persist if flow is not None else bool(settings.get("results_persist_by_default"))

    @property
    def start_time(self) -> Any:
        """When the run first ran, an aware datetime."""
        return self.task_run.start_time

    @classmethod
    def get(cls) -> TaskRunContext | None:
        """The one around the calling code, or None."""
        return current_task.get()


current_flow: ContextVar[FlowRunContext | None] = current_run.current_flow
current_task: ContextVar[TaskRunContext | None] = current_run.current_task
# A `runyard.engine.transactions.Transaction`, which gives it this type.
current_transaction: ContextVar[Any] = ContextVar("runyard_transaction", default=None)
# Of a task that runs outside of any flow, where it has a journal of its own.
current_journal: ContextVar[Journal | None] = ContextVar("runyard_journal", default=None)
# The calls of a flow that is being drawn: they are noted, and nothing runs.
current_drawing: ContextVar[NotesCalls | None] = ContextVar("runyard_drawing", default=None)
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


class TagsContext:
    """The tags that runs get which start here: `TagsContext.get().current_tags`."""

    __slots__ = ("current_tags",)

    def __init__(self, current_tags: set[str]) -> None:
        self.current_tags = current_tags

    @classmethod
    def get(cls) -> TagsContext:
        """Those around the calling code."""
        return cls(set(current_tags.get()))


class tags:  # noqa: N801  # written like a function in users' code
    """Within the block, runs that start get these tags as well."""

    def __init__(self, *new_tags: str) -> None:
        # Equal to what the database holds, so that runs are found by them.
        self._new = [texts.name(tag) for tag in new_tags]
        self._tokens: list[Any] = []

    def __enter__(self) -> set[str]:
        together = current_tags.get() | frozenset(self._new)
        self._tokens.append(current_tags.set(together))
        return set(together)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        current_tags.reset(self._tokens.pop())
