"""Background tasks, client side: submits runs to the processes that serve the task; their futures.

The arguments and the outcome are stored with the run, both as cloudpickle: any process with access to the
database can read the result.
"""

from __future__ import annotations

import base64
import os
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

from runyard.base import clock
from runyard.base.errors import MissingResult, RunyardError
from runyard.base.markers import allow_failure
from runyard.base.syncing import also_awaited, async_twin
from runyard.base.thread_calls import release_thread
from runyard.client.engine_client import shared_client
from runyard.domain.states import COMPLETED, Scheduled, State
from runyard.engine import outcome
from runyard.engine.context import current_drawing, current_flow, current_tags, current_task
from runyard.engine.futures import FutureList, TaskFuture, call_back
from runyard.engine.mapping import map_task
from runyard.engine.parameters import bind, signature_of
from runyard.engine.remote import RemoteTraceback
from runyard.engine.resolve import awaited, futures_in, replace, to_data
from runyard.engine.results import known_results
from runyard.engine.run_objects import TaskRun
from runyard.engine.task_core import retry_policy
from runyard.operations.task_runs.background_tasks import read_background_task, submit_background_tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runyard.engine.task_definition import TaskDefinition

R = TypeVar("R", covariant=True)

# Changes are noticed immediately; this is the longest wait if a notification is missed.
_LOOK_SECONDS = 10.0


class BackgroundFuture(TaskFuture[R]):
    """The future of a run that another process executes; it can be sent to other processes.

    Args:
        task_run_id: the run.
        name: the name of the run, for messages.
    """

    def __init__(self, task_run_id: str, name: str = "") -> None:
        self.task_run_id = task_run_id
        self._name = name
        self._final = None
        self._missing: str | None = None

    def __reduce__(self) -> Any:
        return type(self), (self.task_run_id, self._name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BackgroundFuture) and other.task_run_id == self.task_run_id

    def __hash__(self) -> int:
        return hash(self.task_run_id)

    @property
    def state(self) -> State:
        """The current state of the run."""
        return self._final or self._look()

    def done(self) -> bool:
        """Whether the run has ended."""
        if self._final is None:
            self._look()
        return self._final is not None

    @also_awaited
    def wait(self, timeout: float | None = None) -> None:
        """Wait until the run ends, at most `timeout` seconds.

        Raises:
            NotFound: the run was deleted.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        client = shared_client()
        while self._final is None:
            token = client.changes()
            self._look()
            left = _LOOK_SECONDS if deadline is None else min(_LOOK_SECONDS, deadline - time.monotonic())
            if self._final is not None or left <= 0:
                return
            client.wait_for_change(token, left)

    @also_awaited
    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> R:
        """The task's return value.

        Args:
            timeout: seconds to wait at most.
            raise_on_failure: if the task failed, raise its exception; False returns the exception.

        Raises:
            TimeoutError: the run has not ended yet.
            MissingResult: the result could not be stored, or was deleted.
            Exception: the exception of the task.
        """
        self.wait(timeout)
        if self._final is None:
            raise TimeoutError(f"background task run {self._name} was not over after {timeout} s")
        if self._missing is not None and self._final.type == COMPLETED:
            raise MissingResult(self._missing)
        value: R = self._final.result(raise_on_failure=raise_on_failure)
        return value

    wait_async = async_twin(wait)
    result_async = async_twin(result)

    def add_done_callback(self, fn: Callable[[TaskFuture], Any]) -> None:
        """Call `fn(future)` in a waiting thread when the run ends. Its exceptions are logged."""

        def work() -> None:
            try:
                self.wait()
                call_back(fn, self)
            finally:
                release_thread()

        threading.Thread(target=work, name="runyard-future", daemon=True).start()

    def resolve(self, state: State) -> None:
        """Set the final state of the run."""
        self._final = state

    def _look(self) -> State:
        found = shared_client().call(read_background_task, {"task_run_id": self.task_run_id})
        state = State.from_json(found["state"])
        if found["done"]:
            self._missing = _fill(state, found["outcome"])
            self._final = state
        return state

    def __repr__(self) -> str:
        return f"<future of background task run {self._name or self.task_run_id!r}>"


# Prefect's name of the class.
PrefectDistributedFuture = BackgroundFuture


def served_name(task: TaskDefinition) -> str:
    """The name of a task that submitting and serving processes share.

    It consists of the file's name and the function's qualified name. So a task has the same name whether it
    is imported or loaded by its path, and a task with changed code executes the waiting runs.
    """
    function = getattr(task.fn, "__func__", task.fn)
    code = getattr(function, "__code__", None)
    path = code.co_filename if code is not None else task.__module__
    stem = os.path.splitext(os.path.basename(path))[0]
    if stem == "__init__":
        stem = os.path.basename(os.path.dirname(path))
    return f"{stem}:{task.__qualname__ or task.name}"


def delay_task(
    task: TaskDefinition, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Iterable[Any] | None = None
) -> BackgroundFuture:
    """Implements `task.delay(...)`.

    Raises:
        ParameterError: the arguments do not match the signature.
        UpstreamTaskError: a future among the arguments failed.
        RunyardError: an argument cannot be pickled.
    """
    drawing = current_drawing.get()
    if drawing is not None:
        drawn: BackgroundFuture = drawing.submit(task, args, kwargs, False, wait_for)
        return drawn
    future, entry = _prepared(task, args, kwargs, wait_for)
    _submit([entry])
    return future


def delay_map(
    task: TaskDefinition, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Iterable[Any] | None
) -> FutureList:
    """Implements `task.map(..., deferred=True)`: submits all runs or none."""
    entries: list[_Entry] = []

    def start(
        task: TaskDefinition, args: tuple[Any, ...], kwargs: dict[str, Any], _state: bool, wait_for: Any
    ) -> BackgroundFuture:
        future, entry = _prepared(task, args, kwargs, wait_for)
        entries.append(entry)
        return future

    futures: FutureList = map_task(task, args, kwargs, False, wait_for, start)
    if entries:
        _submit(entries)
    return futures


class _Rows:
    """Replaces a journal, to collect the rows of states."""

    def __init__(self) -> None:
        self.states: list[tuple[Any, ...]] = []

    def task_state(self, run: TaskRun, state: State) -> None:
        """Record a new state of a task run."""
        self.states.append(run.state_row(state))


_Entry = tuple[TaskRun, list[tuple[Any, ...]], dict[str, Any]]


def _prepared(
    task: TaskDefinition, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Iterable[Any] | None
) -> tuple[BackgroundFuture, _Entry]:
    """The future of a run that is not submitted yet, and the rows to write."""
    bind(task, args, kwargs)
    run = TaskRun(
        task.name,
        None,
        task.task_key,
        "",
        task.tags | current_tags.get(),
        0,
        retry_policy(task),
        task.version,
    )
    run.dynamic_key = run.id
    run.name = f"{task.name}-{run.id[-4:]}"
    upstream: dict[str, None] = {}
    name_at = signature_of(task).name_at
    new_args = tuple(_settled(value, run, name_at(at), upstream) for at, value in enumerate(args))
    new_kwargs = {name: _settled(value, run, name, upstream) for name, value in kwargs.items()}
    first = None if wait_for is None else _settled(awaited(wait_for), run, "wait_for", upstream)
    around_task, around_flow = current_task.get(), current_flow.get()
    if around_task is not None:
        run.task_inputs["__parents__"] = [{"input_type": "task_run", "id": around_task.task_run.id}]
    elif around_flow is not None:
        run.task_inputs["__parents__"] = [{"input_type": "flow_run", "id": around_flow.flow_run.id}]
    rows = _Rows()
    run.enter(Scheduled())
    rows.task_state(run, run.state)
    told = {
        "task_run_id": run.id,
        "created": run.created_us,
        "task": served_name(task),
        "payload": _packed(task, (new_args, new_kwargs, first)),
        "upstream": list(upstream),
    }
    return BackgroundFuture(run.id, run.name), (run, rows.states, told)


def _settled(value: Any, run: TaskRun, name: str, upstream: dict[str, None]) -> Any:
    """An argument for another process: futures of background runs stay, the results replace all others."""
    inputs: list[dict[str, str]] = []

    def swap(item: Any) -> Any:
        ids = [inner.task_run_id for inner in futures_in(item) if isinstance(inner, BackgroundFuture)]
        if not ids:
            return to_data(item, inputs)
        upstream.update(dict.fromkeys(ids))
        inputs.extend({"input_type": "task_run", "id": each} for each in ids)
        return allow_failure(replace(item.value, swap)) if isinstance(item, allow_failure) else item

    new = replace(value, swap)
    if inputs:
        run.task_inputs.setdefault(name, []).extend(inputs)
    return new


def _packed(task: TaskDefinition, given: Any) -> str:
    import sys

    import cloudpickle

    module = sys.modules.get(task.__module__)
    if module is not None and module.__name__.startswith("_runyard_"):
        # Loaded from a file under a name that other processes cannot import.
        cloudpickle.register_pickle_by_value(module)
    try:
        return base64.b64encode(cloudpickle.dumps(given)).decode()
    except Exception as error:
        raise RunyardError(
            f"{task.name}.delay(): an argument cannot be sent to another process: {outcome.describe(error)}"
        ) from error


def _submit(entries: list[_Entry]) -> None:
    now = clock.now_us()
    body = {
        "task_runs": [run.row(now) for run, _, _ in entries],
        "task_run_states": [row for _, states, _ in entries for row in states],
        "tasks": [told for _, _, told in entries],
    }
    shared_client().call(submit_background_tasks, body)


def _fill(state: State, kept: str | None) -> str | None:
    """Restore the value of a final state; if it is missing, returns the reason if known."""
    import pickle

    if not kept:
        return None
    try:
        told = pickle.loads(base64.b64decode(kept))  # noqa: S301  # written by `background_run`
        # An earlier release wrote only the value; for a failure, a tuple of the value and the traceback.
        form, packed = ("outcome", told["outcome"]) if "outcome" in told else ("value", told.get("value"))
        value: Any = None if packed is None else pickle.loads(packed)  # noqa: S301  # likewise
    except Exception as error:
        return f"the result cannot be read in this process: {outcome.describe(error)}"
    if packed is None:
        missing: str | None = told.get("missing")
        return missing
    trace, known = None, []
    if form == "outcome":
        value, trace, known = value
    elif state.type != COMPLETED and isinstance(value, tuple):
        value, trace = value
    if trace and value.__cause__ is None:
        value.__cause__ = RemoteTraceback(trace)
    known_results.note_again(known)
    state._value = value
    return None
