"""Results and transactions of a run: finds a stored result, stores the new one, rolls back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard import settings
from runyard.base import texts, user_forks
from runyard.base.exceptions import UnreadableResult
from runyard.base.tracebacks import describe
from runyard.domain.states import COMPLETED, State
from runyard.engine.cache_policies import DEFAULT, CacheKeyFnPolicy, CachePolicy, NoCache
from runyard.engine.context import current_transaction
from runyard.engine.effects import Block, Commit, Wait
from runyard.engine.key_scopes import scope_of
from runyard.engine.logging import flow_logger
from runyard.engine.outside_exceptions import is_from_outside
from runyard.engine.results import known_results
from runyard.engine.results.result_stores import ResultStore, options_of_flow
from runyard.engine.runtime import deployment, flow_run, task_run

if TYPE_CHECKING:
    from collections.abc import Generator

    from runyard.engine.context import FlowRunContext, TaskRunContext
    from runyard.engine.journal import Journal
    from runyard.engine.task_definition import TaskDefinition

    # 3 ms, and few tasks run in a transaction.
    from runyard.engine.transactions import Transaction

_RUNS_AGAIN = "The stored result of this %s is not used, so it runs again: %s"


class Plan:
    """How one flow run stores the results of a task.

    Attributes:
        policy: computes their keys; None: the template `result_storage_key`, if set, is the key.
        store: where the results are stored.
    """

    __slots__ = ("policy", "quick", "refresh", "serializable", "store")

    def __init__(self, task: TaskDefinition, flow: FlowRunContext | None) -> None:
        self.policy = policy_of(task)
        storage, serializer = options_of_flow(flow)
        self.store = ResultStore(
            storage if task.result_storage is None else task.result_storage,
            serializer if task.result_serializer is None else task.result_serializer,
            None if self.policy is None else self.policy.key_storage,
            None if self.policy is None else self.policy.lock_manager,
        )
        self.quick = self.store.is_quick
        refresh = task.refresh_cache
        self.refresh: bool = settings.get("tasks_refresh_cache") if refresh is None else refresh
        level = None if self.policy is None else self.policy.isolation_level
        self.serializable = getattr(level, "value", level) == "SERIALIZABLE"


def policy_of(task: TaskDefinition) -> CachePolicy | None:
    """The cache policy of a task; None if `result_storage_key` is the key."""
    policy = task.cache_policy
    if task.cache_key_fn is not None:
        return CacheKeyFnPolicy(task.cache_key_fn)
    if policy is None:
        return None if task.result_storage_key is not None else DEFAULT
    return policy if isinstance(policy, CachePolicy) else CacheKeyFnPolicy(policy)


def _plan_of(task: TaskDefinition, flow: FlowRunContext | None) -> Plan:
    """The plan of a task, created once per flow run."""
    if flow is None:
        return Plan(task, None)
    plans = flow.plans
    if plans is None:
        plans = flow.plans = {}
    plan = plans.get(id(task))
    if plan is None:
        # The reference to the task prevents that Python reuses its id.
        plan = plans[id(task)] = (Plan(task, flow), task)
    found: Plan = plan[0]
    return found


class Keeping:
    """The stored results of one task run, from its start to its end."""

    __slots__ = ("_context", "_flow", "_journal", "_locked", "_logger", "key", "plan", "transaction")

    def __init__(
        self,
        context: TaskRunContext,
        flow: FlowRunContext | None,
        journal: Journal,
        logger: Any,
        persist: bool,
    ) -> None:
        self._context = context
        self._flow = flow
        self._journal = journal
        self._logger = logger
        self._locked = False
        self.key: str | None = None
        self.plan = _plan_of(context.task, flow) if persist else None
        self.transaction: Transaction | None = None

    def begin(self) -> Generator[Any, Any, State | None]:
        """Start. Returns the final state if a stored result exists, else None."""
        context, plan = self._context, self.plan
        if plan is not None:
            self.key = self._key(plan)
        task = context.task
        if current_transaction.get() is not None or task.on_commit_hooks or task.on_rollback_hooks:
            return (yield from self._begin_transaction(task))
        if plan is None or self.key is None:
            return None
        store, key = plan.store, self.key
        if plan.serializable:
            holder = context.task_run.id
            yield Wait(lambda: store.acquire_lock(key, holder))
            self._locked = True
        if plan.refresh or self._is_new(plan, key):
            return None
        try:
            return self._cached(store.find(key) if plan.quick else (yield Block(lambda: store.find(key))))
        except UnreadableResult as error:
            self._logger().warning(_RUNS_AGAIN, "task", error)
            return None

    def _is_new(self, plan: Plan, key: str) -> bool:
        """Whether no result can exist: the key belongs to this run, which has not stored a result with it."""
        known = self._journal.known_keys
        if known is None or texts.indexed(key) in known or plan.store.storage is not None:
            return False
        return plan.policy is not None and plan.policy.of_one_run

    def _begin_transaction(self, task: TaskDefinition) -> Generator[Any, Any, State | None]:
        from runyard.engine.transactions import Transaction

        plan = self.plan if self.key is not None else None
        self.transaction = Transaction(
            self.key,
            None if plan is None else plan.store,
            isolation_level="SERIALIZABLE" if plan is not None and plan.serializable else None,
            overwrite=plan is not None and plan.refresh,
            expiration=task.cache_expiration,
            logger=self._logger(),
        )
        yield from self.transaction.entering()
        if not self.transaction.is_committed():
            return None
        try:
            return self._cached((yield Block(self.transaction.read)))
        except UnreadableResult as error:
            self._logger().warning(_RUNS_AGAIN, "task", error)
            self.transaction.reopen()
            return None

    def _cached(self, record: Any) -> State | None:
        if record is None:
            return None
        return State(COMPLETED, "Cached", data=record.metadata, value=record.result)

    def complete(self, state: State) -> Generator[Any, Any, None]:
        """The task completed: store its value and add the reference to the state."""
        task, transaction = self._context.task, self.transaction
        if transaction is not None:
            if self.key is not None:
                state.data = {"storage_key": self.key}
                self._note_staged(state._value)
            transaction.stage(state._value, list(task.on_rollback_hooks), list(task.on_commit_hooks))
            yield from transaction.leaving(failed=False)
        elif self.plan is not None and self.key is not None:
            yield from self._write(self.plan, self.key, state)

    def _note_staged(self, value: Any) -> None:
        """Register a result that is written only when the parent transaction commits."""
        if self.plan is None or self.transaction is None or self.transaction.parent is None:
            return
        serializer = self.plan.store.serializer
        try:
            known_results.note(value, serializer, serializer.dumps(value))
        except BaseException as error:
            if is_from_outside(error):
                raise
            self._logger().debug("This result cannot be written", exc_info=True)  # the commit will report it

    def _write(self, plan: Plan, key: str, state: State) -> Generator[Any, Any, None]:
        root, flow = None, self._flow
        if flow is not None and plan.policy is not None and plan.policy.of_one_run:
            root = flow.flow_run.root_flow_run_id or flow.flow_run.id
        expiration = self._context.task.cache_expiration

        def prepare() -> Any:
            return plan.store.prepare(state._value, key, expiration, root)

        try:
            record, row = prepare() if plan.quick else (yield Block(prepare))
        except BaseException as error:
            if is_from_outside(error):
                raise
            self._logger().warning(
                "The result of this task could not be stored, so the task may run again: %s",
                describe(error),
            )
            return
        state.data = record.metadata
        if row is not None:
            self._journal.result(row)

    def settle(self) -> Generator[Any, Any, None]:
        """After the final state was recorded: write it and the result to disk before the task returns."""
        if self.transaction is not None:
            if self.transaction.is_rolled_back():
                self._note_undone()
            else:
                self.transaction.when_undone = self._note_undone
        elif self.key is not None:
            yield Commit(self._journal)
            self._journal.check()
            yield from self._unlock()

    def _note_undone(self) -> None:
        """Record that the completed task was rolled back."""
        message = "The task was rolled back with its transaction."
        self._context.task_run.move(State(COMPLETED, "RolledBack", message), self._journal)

    def reuse(self) -> Generator[Any, Any, None]:
        """A stored result was found: only release the lock of the key."""
        if self.transaction is not None:
            yield from self.transaction.leaving(failed=False)
        yield from self._unlock()

    def fail(self) -> Generator[Any, Any, None]:
        """The task did not complete: roll back and release the lock."""
        if self.transaction is not None:
            yield from self.transaction.leaving(failed=True)
        yield from self._unlock()

    def _unlock(self) -> Generator[Any, Any, None]:
        if self._locked and self.plan is not None and self.key is not None:
            self._locked = False
            store, key, holder = self.plan.store, self.key, self._context.task_run.id
            yield Block(lambda: store.release_lock(key, holder))

    def _key(self, plan: Plan) -> str | None:
        """The storage key of the run's result; None: the result is neither read nor stored."""
        context, flow = self._context, self._flow
        parameters = context.parameters or {}
        try:
            if plan.policy is None:
                key = _formatted(context.task.result_storage_key, parameters)
            elif isinstance(plan.policy, NoCache):
                return None
            else:
                compute, around = plan.policy.compute_key, {} if flow is None else flow.key_parameters
                key = user_forks.held(lambda: compute(context, parameters, around))
        except BaseException as error:
            if is_from_outside(error):
                raise
            self._logger().warning(
                "No cache key for this task run, so its result is not stored: %s", describe(error)
            )
            return None
        # An empty key counts as None; otherwise all calls would share one result.
        return str(key) if key else None


def _formatted(template: str | None, parameters: dict[str, Any]) -> str | None:
    """The storage key from a template such as `"{flow_run.name}-{parameters[day]}.json"`."""
    if template is None:
        return None
    known = {"parameters": parameters, "flow_run": flow_run, "task_run": task_run, "deployment": deployment}
    return template.format(**{**parameters, **known})


def _flow_store(context: FlowRunContext) -> ResultStore:
    return ResultStore(*options_of_flow(context))


def find_flow_result(context: FlowRunContext) -> Generator[Any, Any, State | None]:
    """The final state of a subflow that completed in an earlier attempt of its root run, or None."""
    store, key = _flow_store(context), f"{scope_of(context)}-result"
    known = context.journal.known_keys
    if known is not None and texts.indexed(key) not in known and store.storage is None:
        return None
    try:
        record = yield Block(lambda: store.find(key))
    except UnreadableResult as error:
        flow_logger(context.flow_run, context.journal).warning(_RUNS_AGAIN, "flow", error)
        return None
    if record is None:
        return None
    return State(COMPLETED, "Cached", data=record.metadata, value=record.result)


def keep_flow_result(context: FlowRunContext, state: State, log: Any) -> None:
    """Store a flow's return value and add the reference to its state; the journal writes both."""
    run, store = context.flow_run, _flow_store(context)
    try:
        record, row = store.prepare(
            state._value, f"{scope_of(context)}-result", None, run.root_flow_run_id or run.id
        )
    except BaseException as error:
        if is_from_outside(error):
            raise
        log.warning("The result of this flow could not be stored: %s", describe(error))
        return
    state.data = record.metadata
    if row is not None:
        context.journal.result(row)
