"""Executes a flow run, from its parameters to its final state: one generator for sync and async."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard import settings
from runyard.base import texts, write_retries
from runyard.base.exceptions import Abort, Pause, RunNameError, RunTimedOut, TerminationSignal
from runyard.domain.flow_run_rules import retry_wait
from runyard.domain.states import COMPLETED, FAILED, RUNNING, State
from runyard.engine import child_processes, outcome
from runyard.engine.context import (
    FlowRunContext,
    current_flow,
    current_task,
    current_transaction,
)
from runyard.engine.effects import Block, Call, Commit, Read, Wait
from runyard.engine.hooks import call_hooks
from runyard.engine.logging import flow_logger, prints
from runyard.engine.parameters import signature_of
from runyard.engine.state_reports import BEGINNING, FINISHED
from runyard.engine.task_core import settled
from runyard.engine.task_runners.runner_protocol import TaskRunner

if TYPE_CHECKING:
    from collections.abc import Generator

    from runyard.engine.flow_definition import FlowDefinition
    from runyard.engine.journal import Journal
    from runyard.engine.run_objects import FlowRun
    from runyard.engine.state_reports import Reporter

# Imported inside functions: `caching` (8 ms), for subflows and flows that store results.


def retries_of(flow: FlowDefinition) -> int:
    """The number of retries of a run of the flow."""
    return settings.get("flow_default_retries") if flow.retries is None else flow.retries


def retry_delay_of(flow: FlowDefinition) -> float | list[float]:
    """The delay before each retry of a run of the flow in seconds, or a list of delays."""
    delay = flow.retry_delay_seconds
    return settings.get("flow_default_retry_delay_seconds") if delay is None else delay


def run_flow(
    flow: FlowDefinition,
    run: FlowRun,
    parameters: dict[str, Any],
    problem: Exception | None,
    reporter: Reporter,
    streams: bool = False,
) -> Generator[Any, Any, State]:
    """Run a flow.

    Args:
        run: its record, not started yet.
        parameters: validated values by name.
        problem: the validation error of the parameters; the run fails with it.
        reporter: reports the run's states: to the orchestration rules for a root run, to the
            journal for a subflow.
        streams: whether the values of a generator are passed on; then no result is stored.

    Returns:
        The final state.

    Raises:
        Abort: the orchestrator refused to let the run start or continue.
    """
    yield from reporter.begin(run)
    context = FlowRunContext(flow, run, parameters, reporter.journal, reporter.parent, current_task.get())
    if context.log_prints:
        prints.install()
    if context.parent is None:
        child_processes.entered(context)
    else:
        reporter.journal.subflows[run.id] = (flow, run)
    flow_token, task_token = current_flow.set(context), current_task.set(None)
    around = current_transaction.set(None) if current_transaction.get() is not None else None
    try:
        if context.persist and not streams and context.parent is not None and problem is None:
            from runyard.engine.caching import find_flow_result

            # At the start, not at the end: equal calls are distinguished by the order in which they start.
            known = yield from find_flow_result(context)
            if known is not None:
                return (yield from reporter.end(run, known, stopped=False))
        return (yield from _attempts(flow, run, context, problem, reporter, streams))
    finally:
        run.let_go()
        reporter.journal.subflows.pop(run.id, None)
        child_processes.left(context)
        current_flow.reset(flow_token)
        current_task.reset(task_token)
        if context.log_prints:
            prints.uninstall()
        if around is not None:
            current_transaction.reset(around)


def _attempts(
    flow: FlowDefinition,
    run: FlowRun,
    context: FlowRunContext,
    problem: Exception | None,
    reporter: Reporter,
    streams: bool,
) -> Generator[Any, Any, State]:
    log = flow_logger(run, reporter.journal)
    told = {"run_record_stored": reporter.told}
    log.info(BEGINNING, reporter.word, run.name, flow.name, extra=told)
    ending: BaseException | None = None
    state: State
    while True:
        try:
            state = yield from _attempt(flow, run, context, problem, log)
        except Abort:
            yield from _close_runner(context, cancel=True)
            raise
        except Pause as pause:
            # Tasks that run already complete, and the resumed run reuses their results.
            yield from _close_runner(context, cancel=False)
            state = yield from reporter.suspend(run, pause.body)
            return state
        except BaseException as error:
            write_retries.request_stop()
            ending = error
            state = outcome.state_of_error(error, "Flow")
        # Failures and crashes have separate retry counts.
        tries = run.retries_used + 1
        if state.type == FAILED and problem is None and tries <= retries_of(flow):
            delay = retry_wait(retry_delay_of(flow), tries)
            log.info("%s; retry %d/%d starts in %g s", state.message, tries, retries_of(flow), delay)
            context.counters.clear()
            try:
                yield from reporter.retry(run, state, delay)
            except BaseException as error:
                ending = error
                state = outcome.state_of_error(error, "Flow")
            else:
                run.retries_used += 1
                continue
        break
    try:
        yield from _close_runner(context, cancel=ending is not None)
        if context.persist and state.type == COMPLETED and not streams:
            yield from _keep_result(context, state, reporter, log)
    except BaseException as error:
        if not outcome.is_signal(error):
            raise
        # The signal arrived while the flow waited for its tasks, or stored its result.
        write_retries.request_stop()
        ending, state = error, outcome.state_of_error(error, "Flow")
        yield from _close_runner(context, cancel=True)
    if context.parent is not None and reporter.journal.subflows.pop(run.id, None) is None:
        raise Abort("the run around it was stopped, and has ended it")
    state = yield from reporter.end(run, state, stopped=isinstance(ending, TerminationSignal))
    if state.type == RUNNING and ending is not None:
        log.error("Told to end; the run may start again, as the crash retries of its deployment allow")
        raise ending
    if context.parent is None and ending is not None and outcome.is_signal(ending):
        yield from _end_subflows(reporter.journal, state)
    told = {"run_record_stored": reporter.told}
    (log.info if state.type == COMPLETED else log.error)(FINISHED, state, extra=told)
    yield from call_hooks(flow, run, lambda: log)
    if ending is not None and not isinstance(ending, GeneratorExit):
        raise ending
    return state


def _end_subflows(journal: Journal, ended: State) -> Generator[Any, Any, None]:
    """Call the hooks of subflows in other threads, which ended with the root run: no signal reaches them."""
    while journal.subflows:
        _, (flow, run) = journal.subflows.popitem()
        run.enter(State(ended.type, message=ended.message))
        log = flow_logger(run, journal)
        yield from call_hooks(flow, run, lambda log=log: log)


def _keep_result(
    context: FlowRunContext, ended: State, reporter: Reporter, log: Any
) -> Generator[Any, Any, None]:
    from runyard.engine.caching import keep_flow_result

    yield Block(lambda: keep_flow_result(context, ended, log))
    # Write it to disk before the run ends, as for a task: the parent may be retried immediately.
    yield Commit(reporter.journal)
    reporter.journal.check()


def _attempt(
    flow: FlowDefinition, run: FlowRun, context: FlowRunContext, problem: Exception | None, log: Any
) -> Generator[Any, Any, State]:
    if problem is not None:
        what = "Naming the run" if isinstance(problem, RunNameError) else "Validation of flow parameters"
        message = f"{what} failed with error: {texts.told(problem)}"
        log.error("%s", message)
        return State(FAILED, message=message, value=problem)
    yield from call_hooks(flow, run, lambda: log)
    args, kwargs = signature_of(flow).call_with(context.parameters)
    call = Call(flow.fn, args, kwargs, flow.timeout_seconds)
    try:
        value = yield call
        if flow.isgenerator:
            value = yield Read(value, call)
        value = yield from settled(value)
        return outcome.state_of_value(value, "Flow")
    except RunTimedOut as error:
        if error.limit is call:
            return outcome.timed_out(flow.timeout_seconds or 0, "Flow", error)
        return outcome.state_of_error(error, "Flow")
    except Exception as error:
        state = outcome.state_of_error(error, "Flow")
        log.error("Encountered an exception during execution: %s", outcome.shown(error), exc_info=error)
        return state


def _close_runner(context: FlowRunContext, cancel: bool) -> Generator[Any, Any, None]:
    runner = context.task_runner
    if runner is None:
        return
    kind = Block if cancel else Wait
    if type(runner).__exit__ is TaskRunner.__exit__:
        yield kind(lambda: runner.close(cancel))
    else:  # the user's own runner, which is closed as a context manager
        yield kind(lambda: runner.__exit__(None, None, None))
    context.task_runner = None
