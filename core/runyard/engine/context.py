"""Run contexts: the current flow run, task run, transaction and tags of the calling code."""

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
    from runyard.engine.run_objects import FlowRun, TaskRun
    from runyard.engine.runnable import RunsTasks
    from runyard.engine.task_definition import TaskDefinition

# Imported inside functions: result stores (6 ms), for runs that use their store.


class NotesCalls(Protocol):
    """Receives the calls of flows and tasks instead of running them, while `flow.visualize()` draws."""

    def call(
        self, runnable: Any, kind: str, args: Any, kwargs: Any, return_state: bool, wait_for: Any
    ) -> Any:
        """Record a call of a flow or task; return a placeholder of its result or state, or an awaitable."""

    def submit(self, task: Any, args: Any, kwargs: Any, return_state: bool, wait_for: Any) -> Any:
        """Record a submitted task; return its future or state."""

    def map(self, task: Any, args: Any, kwargs: Any, return_state: bool, wait_for: Any) -> Any:
        """Record a mapped task; return its futures or states."""


class FlowRunContext:
    """One execution of a flow.

    Args:
        flow: the flow.
        flow_run: its record.
        parameters: the validated values by name.
        journal: records the run's events.
        parent: the context of the parent flow run, or None.
        caller: the task run that called the flow, or None.
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
        # For a method: its object, by the name of the `self` parameter. It is not stored.
        self.bound: dict[str, Any] = bound_object(flow)
        self.caller = caller
        # In another process: stand-ins for the parameters that were not sent, for cache keys.
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
        # How the results of each task are stored, see `engine.caching`.
        self.plans: dict[int, Any] | None = None
        # The run's id in cache keys, computed on demand; see `key_scopes.scope_of`.
        self.scope: str | None = None
        # The next position of each task in this run, by its key.
        self.counters: dict[str, Iterator[int]] = {}
        self.task_runner: RunsTasks | None = None

    @property
    def key_parameters(self) -> dict[str, Any]:
        """The parameters for cache keys; for a method with its object."""
        return {**self.unsent, **self.bound, **self.parameters}

    @property
    def result_store(self) -> Any:
        """Where and how the run stores results, a `runyard.engine.results.result_stores.ResultStore`."""
        from runyard.engine.results.result_stores import store_of

        return store_of(self, None)

    @property
    def persist_result(self) -> bool:
        """Whether the result is stored; also the default for its tasks and subflows."""
        return self.persist

    @property
    def start_time(self) -> Any:
        """When the run first entered Running, an aware datetime."""
        return self.flow_run.start_time

    @classmethod
    def get(cls) -> FlowRunContext | None:
        """The current flow run context, or None."""
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
        # A `runyard.engine.transactions.Transaction`, created on demand.
        self.transaction: Any = None
        # Counts the calls of each subflow in this attempt.
        self.counters: dict[str, Iterator[int]] | None = None

    @property
    def parameters(self) -> dict[str, Any] | None:
        """The arguments by name, with the object of a method. Bound on first use; most tasks never use it."""
        if self._parameters is None and self._kwargs is not None:
            self._parameters = complete(self.task, bind(self.task, self._args, self._kwargs))
        return self._parameters

    @parameters.setter
    def parameters(self, values: dict[str, Any] | None) -> None:
        self._parameters = values

    @property
    def result_store(self) -> Any:
        """Where and how the task stores results, a `runyard.engine.results.result_stores.ResultStore`."""
        from runyard.engine.results.result_stores import store_of

        return store_of(current_flow.get(), self.task)

    @property
    def persist_result(self) -> bool:
        """Whether the result is stored."""
        if self.task.persist_result is not None:
            return self.task.persist_result
        flow = current_flow.get()
        return flow.persist if flow is not None else bool(settings.get("results_persist_by_default"))

    @property
    def start_time(self) -> Any:
        """When the run first entered Running, an aware datetime."""
        return self.task_run.start_time

    @classmethod
    def get(cls) -> TaskRunContext | None:
        """The current task run context, or None."""
        return current_task.get()


current_flow: ContextVar[FlowRunContext | None] = current_run.current_flow
current_task: ContextVar[TaskRunContext | None] = current_run.current_task
# A `runyard.engine.transactions.Transaction`; that module declares the exact type.
current_transaction: ContextVar[Any] = ContextVar("runyard_transaction", default=None)
# The journal of a task outside of a flow, if the task has its own journal.
current_journal: ContextVar[Journal | None] = ContextVar("runyard_journal", default=None)
# Set while `flow.visualize()` draws: calls are recorded, and nothing runs.
current_drawing: ContextVar[NotesCalls | None] = ContextVar("runyard_drawing", default=None)
current_tags: ContextVar[frozenset[str]] = ContextVar("runyard_tags", default=frozenset())


def get_run_context() -> FlowRunContext | TaskRunContext:
    """The context of the innermost run of the calling code.

    Raises:
        MissingContextError: the caller is not inside a run.
    """
    context = current_task.get() or current_flow.get()
    if context is None:
        raise MissingContextError("no run context: this must be called inside a flow or a task")
    return context


class TagsContext:
    """The tags of runs that start here: `TagsContext.get().current_tags`."""

    __slots__ = ("current_tags",)

    def __init__(self, current_tags: set[str]) -> None:
        self.current_tags = current_tags

    @classmethod
    def get(cls) -> TagsContext:
        """The current tags."""
        return cls(set(current_tags.get()))


class tags:  # noqa: N801  # written like a function in users' code
    """Adds tags to the runs that start in the block."""

    def __init__(self, *new_tags: str) -> None:
        # Normalized as in the database, so that filters by tag find the runs.
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
