"""Executes a task run, from its arguments to its final state: one generator for sync and async."""

from __future__ import annotations

import random
from itertools import count
from typing import TYPE_CHECKING, Any

from runyard import settings
from runyard.base import clock
from runyard.base.exceptions import RunTimedOut, Signal, UpstreamTaskError
from runyard.domain.flow_run_rules import retry_wait
from runyard.domain.states import COMPLETED, FAILED, PENDING, RUNNING, AwaitingRetry, State
from runyard.engine import outcome, tag_slots
from runyard.engine.context import (
    TaskRunContext,
    current_flow,
    current_journal,
    current_tags,
    current_task,
    current_transaction,
)
from runyard.engine.effects import Call, Read, Sleep, Wait
from runyard.engine.hooks import call_hooks
from runyard.engine.logging import DEBUG, WARNING, logs_tasks_at, prints, task_logger
from runyard.engine.outside_exceptions import is_from_outside
from runyard.engine.parameters import render_name, signature_of
from runyard.engine.resolve import awaited, futures_in, has_futures, to_data, to_states
from runyard.engine.run_objects import TaskRun, to_json

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    # 7 ms; only for tasks that store results.
    from runyard.engine.caching import Keeping
    from runyard.engine.concurrency.slot_leases import Lease
    from runyard.engine.context import FlowRunContext
    from runyard.engine.journal import Journal
    from runyard.engine.task_definition import TaskDefinition


# A value of `wait_for`: all arguments are resolved already.
READY: Any = object()


def new_run(task: TaskDefinition, flow: FlowRunContext | None, journal: Journal) -> TaskRun:
    """Create and record a Pending run of a task, at the next position in the flow run."""
    own = current_tags.get()
    tags = task.tags | own if own else task.tags
    policy = task._kept.get("policy")
    if policy is None:
        policy = task._kept["policy"] = retry_policy(task)
    key = task.task_key
    if flow is None:
        # Outside of a flow no positions exist; the run's own id is its dynamic key.
        run = TaskRun(task.name, None, key, "", tags, 0, policy, task.version)
        run.dynamic_key = run.id
        run.name = f"{task.name}-{run.id[-4:]}"
    else:
        counter = flow.counters.get(key) or flow.counters.setdefault(key, count())
        owner = flow.flow_run
        position, attempt = next(counter), owner.run_count + owner.resumes
        # The rows of earlier attempts of the flow run stay: later attempts add a suffix to the position.
        dynamic_key = str(position) if attempt <= 1 else f"{position}.{attempt}"
        run = TaskRun(
            f"{task.name}-{position}", flow.flow_run.id, key, dynamic_key, tags, attempt, policy, task.version
        )
    around = current_task.get()
    if around is not None and around.task_run.flow_run_id == run.flow_run_id:
        run.task_inputs["__parents__"] = [{"input_type": "task_run", "id": around.task_run.id}]
    run.move(State(PENDING), journal)
    return run


def retry_policy(task: TaskDefinition) -> str:
    """The retries of a task and the waits before them, as a run's row has them: JSON text."""
    retries = _retries(task)
    if not retries:
        return "{}"
    return to_json({"retries": retries, "retry_delay": _delays(task)})


def _retries(task: TaskDefinition) -> int:
    return settings.get("task_default_retries") if task.retries is None else task.retries


def _delays(task: TaskDefinition) -> float | list[float]:
    delays = task.retry_delay_seconds
    return settings.get("task_default_retry_delay_seconds") if delays is None else delays


def run_task(
    task: TaskDefinition,
    run: TaskRun,
    flow: FlowRunContext | None,
    journal: Journal,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    wait_for: Iterable[Any] | None = None,
    streams: bool = False,
) -> Generator[Any, Any, State]:
    """Run a task whose record is Pending.

    Args:
        streams: whether the values of a generator are passed on; then no result is stored.

    Returns:
        The final state; if an upstream task failed, `NotReady`, a Pending state that never changes.
    """
    journal.check()
    if wait_for is not READY and (wait_for is not None or has_futures(args, kwargs)):
        try:
            args, kwargs = yield from inputs_of(task, run, args, kwargs, wait_for)
        except UpstreamTaskError as error:
            state = State(PENDING, "NotReady", str(error), value=error)
            run.move(state, journal)
            run.let_go()
            return state
    log_prints = task.log_prints
    if log_prints is None:
        log_prints = flow.log_prints if flow is not None else settings.get("logging_log_prints")
    if log_prints:
        prints.install()
    context = TaskRunContext(task, run, None, log_prints, args, kwargs)
    token = current_task.set(context)
    # In a thread or another task, the copied context usually contains the flow already.
    flow_token = current_flow.set(flow) if flow is not None and current_flow.get() is not flow else None
    # Without a flow, log records find their journal here.
    journal_token = current_journal.set(journal) if flow is None else None
    try:
        if task.task_run_name is not None:
            run.name = render_name(task.task_run_name, context.parameters or {})
        if _is_kept(task, flow) and not streams:
            return (yield from _kept(context, flow, journal, args, kwargs))
        return (yield from _attempts(task, run, flow, journal, args, kwargs, None))
    except Signal:
        raise  # the end of the root run decides how its open task runs end
    except BaseException as error:
        if run.state.type not in (COMPLETED, FAILED):
            run.move(outcome.state_of_error(error, "Task"), journal)
            if isinstance(error, Exception):
                return run.state
        raise
    finally:
        run.let_go()
        current_task.reset(token)
        if log_prints:
            prints.uninstall()
        if flow_token is not None:
            current_flow.reset(flow_token)
        if journal_token is not None:
            current_journal.reset(journal_token)


def _persists(task: TaskDefinition, flow: FlowRunContext | None) -> bool:
    if task.persist_result is not None:
        return task.persist_result
    return flow.persist if flow is not None else bool(settings.get("results_persist_by_default"))


def _is_kept(task: TaskDefinition, flow: FlowRunContext | None) -> bool:
    """Whether a run of the task uses stored results or a transaction."""
    if current_transaction.get() is not None or task.on_rollback_hooks or task.on_commit_hooks:
        return True
    return _persists(task, flow)


def _kept(
    context: TaskRunContext,
    flow: FlowRunContext | None,
    journal: Journal,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Generator[Any, Any, State]:
    """Run a task unless its result is stored; store the result, and roll back on failure."""
    from runyard.engine.caching import Keeping

    task, run = context.task, context.task_run

    def logger() -> Any:
        return task_logger(run, flow)

    keeping = Keeping(context, flow, journal, logger, _persists(task, flow))
    try:
        state = yield from keeping.begin()
        if state is not None:
            run.move(state, journal)
            if task.on_completion_hooks:
                yield from call_hooks(task, run, logger)
            yield from keeping.reuse()
            return state
        state = yield from _attempts(task, run, flow, journal, args, kwargs, keeping)
    except GeneratorExit:
        raise
    except BaseException:
        yield from keeping.fail()
        raise
    if state.type != COMPLETED:
        yield from keeping.fail()
    return state


def _attempts(
    task: TaskDefinition,
    run: TaskRun,
    flow: FlowRunContext | None,
    journal: Journal,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    keeping: Keeping | None,
) -> Generator[Any, Any, State]:
    def logger() -> Any:
        return task_logger(run, flow)

    slots: Lease | None = None
    while True:
        if run.tags:
            slots = yield from tag_slots.acquire(task, run, journal)
        run.move(State(RUNNING, "Retrying" if run.run_count else None), journal)
        if task.on_running_hooks:
            yield from call_hooks(task, run, logger)
        call = Call(task.fn, args, kwargs, task.timeout_seconds)
        failure: Exception | None = None
        try:
            value = yield call
            if task.isgenerator:
                value = yield Read(value, call)
            state = outcome.state_of_value((yield from settled(value)), "Task")
        except RunTimedOut as error:
            mine = error.limit is call
            state = (
                outcome.timed_out(task.timeout_seconds or 0, "Task", error)
                if mine
                else outcome.state_of_error(error, "Task")
            )
        except Exception as error:
            state = outcome.state_of_error(error, "Task")
            failure = error
        finally:
            if slots is not None:
                tag_slots.release(task, slots)
        if state.type == FAILED:
            delay = yield from _retry_delay(task, run, state, logger)
            if delay is not None:
                _reset_counters()
                _say_retry(task, run, state, delay, failure, logger)
                if delay > 0:
                    yield from _wait_for_retry(run, state, delay, journal)
                continue
        if failure is not None:
            logger().error("Task run failed with exception: %s", outcome.shown(failure), exc_info=failure)
        if keeping is not None and state.type == COMPLETED:
            yield from keeping.complete(state)
            run.move(state, journal)
            yield from keeping.settle()
        else:
            run.move(state, journal)
        if state.type != COMPLETED:
            logger().error("Finished in state %r", state)
        if task.on_completion_hooks or task.on_failure_hooks:
            yield from call_hooks(task, run, logger)
        return state


def _reset_counters() -> None:
    """Reset the counters of the current task run: its next attempt calls its subflows again."""
    context = current_task.get()
    if context is not None:
        context.counters = None


def settled(value: Any) -> Generator[Any, Any, Any]:
    """Wait for the futures in a returned value; returns it with their states."""
    if type(value) in _SIMPLE:
        return value
    if any(not future.done() for future in futures_in(value)):
        return (yield Wait(lambda: to_states(value)))
    return to_states(value)


_SIMPLE = frozenset((type(None), bool, int, float, str, bytes))


def inputs_of(
    task: TaskDefinition,
    run: TaskRun,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    wait_for: Iterable[Any] | None,
) -> Generator[Any, Any, tuple[tuple[Any, ...], dict[str, Any]]]:
    """Wait for all upstream runs; returns the arguments with results in place of futures."""
    given = (args, kwargs, awaited(wait_for))

    def resolve() -> tuple[tuple[Any, ...], dict[str, Any]]:
        upstream: list[dict[str, str]] = []
        to_data(given[2], upstream)
        if upstream:
            run.task_inputs["wait_for"] = upstream
        new_args = []
        for at, value in enumerate(args):
            inputs: list[dict[str, str]] = []
            new_args.append(to_data(value, inputs))
            if inputs:
                run.task_inputs.setdefault(signature_of(task).name_at(at), []).extend(inputs)
        new_kwargs = {}
        for name, value in kwargs.items():
            inputs = []
            new_kwargs[name] = to_data(value, inputs)
            if inputs:
                run.task_inputs[name] = inputs
        return tuple(new_args), new_kwargs

    if any(not future.done() for future in futures_in(given)):
        return (yield Wait(resolve))
    return resolve()


def _retry_delay(
    task: TaskDefinition, run: TaskRun, state: State, logger: Any
) -> Generator[Any, Any, float | None]:
    """The delay until the next attempt in seconds, or None if the run is not retried."""
    if run.run_count > _retries(task):
        return None
    if task.retry_condition_fn is not None:
        try:
            wanted = yield Call(task.retry_condition_fn, (task, run, state))
        except BaseException as error:
            if is_from_outside(error):
                raise
            logger().error("retry_condition_fn failed; the run is not retried", exc_info=True)
            wanted = False
        if not wanted:
            return None
    delay = retry_wait(_delays(task), run.run_count)
    if task.retry_jitter_factor:
        delay *= 1 + random.uniform(0, task.retry_jitter_factor)  # noqa: S311  # jitter, no secret
    return delay


def _say_retry(
    task: TaskDefinition, run: TaskRun, failed: State, delay: float, failure: Exception | None, logger: Any
) -> None:
    """Log the retry in one line; the traceback only at level DEBUG. The last failure always logs it."""
    if logs_tasks_at(WARNING):
        logger().warning(
            "%s; retry %d/%d starts in %g s", failed.message, run.run_count, _retries(task), delay,
            exc_info=failure if logs_tasks_at(DEBUG) else None,
        )  # fmt: skip


def _wait_for_retry(run: TaskRun, failed: State, delay: float, journal: Journal) -> Generator[Any, Any, None]:
    from datetime import timedelta

    moment = clock.now() + timedelta(seconds=delay)
    run.move(AwaitingRetry(moment, message=failed.message), journal)
    yield Sleep(delay)
