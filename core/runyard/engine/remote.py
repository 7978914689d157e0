"""Task runs in other processes: serializes the task run, executes it there, and deserializes the result.

`package` serializes a task run and the parts of its flow run that the code may need. `execute` runs in any
process with cloudpickle and Runyard: it runs the task with the engine's core and a separate journal, which
is fenced by the run's attempt. It returns the outcome as bytes when the journal is on disk. `unpack` reads
the outcome. The process pool, Dask and Ray differ only in how they transport the bytes.
"""

from __future__ import annotations

import copy
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from runyard import settings
from runyard.base import redaction, texts
from runyard.base.errors import RunCrashed, RunFailed, RunyardError
from runyard.client.engine_client import shared_client
from runyard.compat import imports
from runyard.domain.states import COMPLETED, CRASHED, FAILED, State
from runyard.engine import outcome
from runyard.engine.context import FlowRunContext, current_flow, current_tags, current_task
from runyard.engine.effects import drive, drive_async
from runyard.engine.hashing.digests import Written
from runyard.engine.importable import importable
from runyard.engine.journal import Journal
from runyard.engine.key_scopes import scope_of
from runyard.engine.results import known_results
from runyard.engine.task_core import READY, run_task
from runyard.operations.flow_runs.end_flow_run import report_lost_task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runyard.engine.flow_definition import FlowDefinition
    from runyard.engine.run_objects import FlowRun, TaskRun
    from runyard.engine.task_definition import TaskDefinition

_BOOKKEEPING = ("name", "run_count", "start_us", "end_us", "total_us", "task_inputs")


class RemoteTraceback(Exception):
    """The cause of an exception from another process: its traceback as text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"\n{self.text}"


class _Surroundings:
    """The parts of a task's flow run that another process needs."""

    __slots__ = (
        "attempt",
        "flow",
        "flow_run",
        "log_prints",
        "parameters",
        "persist",
        "root",
        "scope",
        "unsent",
    )

    def __init__(self, context: FlowRunContext) -> None:
        self.flow = _without_code(context.flow)
        self.parameters = _sendable(context.parameters)
        # Parameters that are not sent are still a part of the cache keys computed there.
        given = {**context.bound, **context.parameters}
        self.unsent = {name: Written(given[name]) for name in given if name not in self.parameters}
        self.flow_run: FlowRun = copy.copy(context.flow_run)
        self.flow_run.parameters = self.parameters
        self.root = context.journal.flow_run_id
        self.attempt = context.journal.attempt
        self.log_prints = context.log_prints
        self.persist = context.persist
        self.scope = scope_of(context)

    def context(self, journal: Journal, run: TaskRun | None = None) -> FlowRunContext:
        """The flow run context in the other process; `run` determines the positions of runs inside it.

        Without `run` the caller must set the counters.
        """
        context = FlowRunContext(self.flow, self.flow_run, self.parameters, journal, None)
        context.log_prints, context.persist, context.scope = self.log_prints, self.persist, self.scope
        context.unsent = self.unsent
        if run is not None:
            context.counters = _Positions(run)
        return context


class _Positions(dict[str, "Iterator[Any]"]):
    """Positions of the runs inside a remote task run; they are unique among all processes."""

    def __init__(self, run: TaskRun) -> None:
        super().__init__()
        self._prefix = _prefix(run)

    def setdefault(self, key: str, _counter: Any = None) -> Any:
        """The positions of one task, such as `parent-0-0`, `parent-0-1` ..."""
        from itertools import count

        found = self.get(key)
        if found is None:
            found = self[key] = (f"{self._prefix}-{number}" for number in count())
        return found


def _prefix(run: TaskRun) -> str:
    """The prefix of the positions of the runs inside a remote task run."""
    return f"{run.name}.{run.dynamic_key}" if run.dynamic_key not in run.name else run.name


def elsewhere(*_args: Any, **_kwargs: Any) -> Any:
    """Replaces the function of a flow or task that was sent to this process without its code."""
    raise RuntimeError("this flow runs in another process; only its options are available here")


def _without_code(flow: FlowDefinition) -> FlowDefinition:
    """A copy with the options that tasks read, without the user's functions."""
    twin = copy.copy(flow)
    twin.fn = twin.__wrapped__ = elsewhere
    twin.flow_run_name = twin.task_runner = None
    twin._options, twin._kept = {}, {}
    for name in ("completion", "failure", "cancellation", "crashed", "running"):
        setattr(twin, f"on_{name}_hooks", [])
    return twin


def _sendable(parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters that can be pickled; the others are not sent."""
    import cloudpickle

    kept = {}
    for name, value in parameters.items():
        try:
            cloudpickle.dumps(value)
        except Exception:  # noqa: S112  # a lock, a connection: it is not sent
            continue
        kept[name] = value
    return kept


def surroundings(context: FlowRunContext | None) -> bytes | None:
    """The serialized flow run for `package`; computed once for all its tasks."""
    import cloudpickle

    return None if context is None else cloudpickle.dumps(_Surroundings(context))


def package(
    task: TaskDefinition,
    run: TaskRun,
    around: bytes | None,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    tags: Any,
) -> bytes:
    """Serialize a task run.

    Args:
        around: from `surroundings`.
        args, kwargs: data, without futures.
        tags: the tags of the `tags(...)` blocks at the submission.

    Raises:
        Exception: a value cannot be pickled.
    """
    import pickle

    import cloudpickle

    module = sys.modules.get(task.__module__)
    if module is not None and not importable(module.__name__):
        cloudpickle.register_pickle_by_value(module)
    known = known_results.found_in((args, kwargs))
    inner = cloudpickle.dumps((task, run, args, kwargs, tags, known))
    return pickle.dumps(packed(around, inner))


def packed(around: bytes | None, inner: bytes) -> tuple[Any, ...]:
    """A packet with the data that another process must apply first: settings, import hook, secrets."""
    hooked = any(isinstance(finder, imports.Finder) for finder in sys.meta_path)
    return (_environment(), hooked, redaction.known(), around, inner)


def unpacked(packet: tuple[Any, ...]) -> tuple[Any, bytes]:
    """Apply the packet of `packed` in another process; returns the surroundings and the rest."""
    environment, hooked, secrets, around, inner = packet
    if any(os.environ.get(key) != value for key, value in environment.items()):
        os.environ.update(environment)
    if hooked:
        imports.install(deployed=True)
    redaction.register(secrets)
    return around, inner


def _environment() -> dict[str, str]:
    """The settings, as environment variables; they apply wherever the task runs."""
    found = {key: value for key, value in os.environ.items() if key.startswith(("RUNYARD_", "PREFECT_"))}
    return {**found, "RUNYARD_HOME": settings.home()}


def execute(packet: bytes) -> bytes:
    """Run the packaged task run; returns its outcome as bytes when all its records are on disk."""
    import pickle
    from contextvars import copy_context

    # The flow that owns this process, or that the cluster trusts, sent the packet.
    return copy_context().run(_execute, *unpacked(pickle.loads(packet)))  # noqa: S301


def _execute(around: bytes | None, inner: bytes) -> bytes:
    import pickle

    task, run, args, kwargs, tags, known = pickle.loads(inner)  # noqa: S301  # see `execute`
    known_results.note_again(known)
    told: _Surroundings | None = None if around is None else pickle.loads(around)  # noqa: S301  # likewise
    with _journal(told) as journal:
        flow = None if told is None else told.context(journal, run)
        current_tags.set(tags)
        current_flow.set(flow)
        current_task.set(None)
        try:
            core = run_task(task, run, flow, journal, args, kwargs, READY)
            if task.isasync:
                import asyncio

                state = asyncio.run(drive_async(core))
            else:
                state = drive(core)
        except BaseException as error:
            state = outcome.state_of_error(error, "Task")
        if flow is not None and flow.task_runner is not None:
            flow.task_runner.close()
        return _encode(run, state, journal)


class _journal:  # noqa: N801  # used like a function
    """A block with the journal of a root run in this process; at its end all records are on disk.

    Several tasks of the run may execute at the same time; the last one closes the journal.
    """

    _open: dict[tuple[int, str | None, int | None], list[Any]] = {}  # noqa: RUF012  # shared on purpose
    _lock = threading.Lock()

    def __init__(self, told: _Surroundings | None) -> None:
        root, attempt = (None, None) if told is None else (told.root, told.attempt)
        self._key = (os.getpid(), root, attempt)

    def __enter__(self) -> Journal:
        with self._lock:
            entry = self._open.get(self._key)
            if entry is None:
                entry = self._open[self._key] = [Journal(shared_client(), *self._key[1:]), 0]
            entry[1] += 1
            self._entry = entry
        journal: Journal = entry[0]
        return journal

    def __exit__(self, *_error: object) -> None:
        self._entry[0].flush()
        with self._lock:
            self._entry[1] -= 1
            last = self._entry[1] == 0
            if last:
                del self._open[self._key]
        if last:
            self._entry[0].close()


def _encode(run: TaskRun, state: State, journal: Journal) -> bytes:
    import pickle

    try:
        value = dumped_value(state)
    except Exception as error:
        message = f"Task run completed, but its result cannot be sent back: {outcome.describe(error)}"
        state = State(FAILED, message=message, value=RunFailed(message))
        run.move(state, journal)
        value = dumped_value(state)
    facts = {name: getattr(run, name) for name in _BOOKKEEPING}
    return pickle.dumps((state.to_json(), value, facts, redaction.known()))


def dumped_value(state: State, largest_exception: int | None = None) -> bytes | None:
    """Serialize the value of a state with its traceback and the stored results in it.

    Args:
        largest_exception: an exception with more bytes is replaced by its text.
    """
    import pickle

    import cloudpickle

    if not state.has_value:
        return None
    value = state._value
    if not isinstance(value, BaseException) or state.type == COMPLETED:
        return cloudpickle.dumps((value, None, known_results.found_in(value)))
    trace = None
    if value.__traceback__ is not None:  # the text includes the cause, which pickle drops
        import traceback

        trace = texts.shortened("".join(traceback.format_exception(value)))
    try:
        # An exception class with its own arguments may be pickled but fail to unpickle.
        sent = cloudpickle.dumps((value, trace, []))
        pickle.loads(sent)  # noqa: S301  # created one line above
    except Exception:
        sent = b""
    if not sent or (largest_exception is not None and len(sent) > largest_exception):
        sent = pickle.dumps((RunFailed(outcome.describe(value)), trace, []))
    return sent


def unpack(sent: bytes, run: TaskRun) -> State:
    """The final state from an outcome; also updates the run's record."""
    import pickle

    body, value, facts, secrets = pickle.loads(sent)  # noqa: S301  # from a process that this one trusts
    redaction.register(secrets)
    state = State.from_json(body)
    if value is not None:
        found, trace, known = pickle.loads(value)  # noqa: S301  # as above
        if isinstance(found, BaseException) and trace and found.__cause__ is None:
            found.__cause__ = RemoteTraceback(trace)
        known_results.note_again(known)
        state._value = found
    run.enter(state)
    for name, fact in facts.items():
        setattr(run, name, fact)
    return state


def crash(run: TaskRun, journal: Journal, message: str) -> State:
    """Record that the process of a task run was lost; returns the new state of the run."""
    state = State(CRASHED, message=message, value=RunCrashed(message))
    run.enter(state)
    if journal.refused is None:
        body = {
            "task_run_id": run.id,
            "inside": f"{_prefix(run)}-",
            "message": message,
            "flow_run_id": journal.flow_run_id,
            "attempt": journal.attempt,
        }
        try:
            journal._client.call(report_lost_task, body)
        except RunyardError as error:
            print(f"runyard: the end of task run {run.name} was not recorded: {error}", file=sys.stderr)
    return state
