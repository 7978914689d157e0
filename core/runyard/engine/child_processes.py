"""Child processes that a run's code starts record their runs as the run's own process does.

A forked child inherits the run's context. A new interpreter (spawn, forkserver, joblib's loky) unpickles it
with its `multiprocessing.Process` object. The journal of a child writes each record immediately, because a
child ends by `os._exit`, or is killed after its last result, and then cannot flush.
"""

from __future__ import annotations

import os
import sys
from itertools import count
from typing import TYPE_CHECKING, Any

from runyard.base import ids
from runyard.client.engine_client import shared_client
from runyard.engine.context import (
    FlowRunContext,
    TaskRunContext,
    current_flow,
    current_tags,
    current_task,
)
from runyard.engine.journal import Journal
from runyard.engine.logging import prints
from runyard.operations.flow_runs.write_journal import is_open

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runyard.engine.task_definition import TaskDefinition

_PROCESSES = "multiprocessing.process"
# The root runs that this process executes, by the `id()` of their contexts.
_roots: dict[int, FlowRunContext] = {}
# In a child process: the context inherited from the parent; that run may have ended already.
inherited: FlowRunContext | None = None
_forked = False


def entered(context: FlowRunContext) -> None:
    """A root run starts in this process: processes that its code starts belong to the run."""
    _roots[id(context)] = context
    if _PROCESSES in sys.modules:
        _mark_processes()
    elif not any(isinstance(finder, _Watch) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Watch())


def left(context: FlowRunContext) -> None:
    """The root run has ended."""
    _roots.pop(id(context), None)


def is_child() -> bool:
    """Whether this process was forked, or started by `multiprocessing`."""
    processes = sys.modules.get(_PROCESSES)
    return _forked or (processes is not None and processes.parent_process() is not None)


def still_ours(context: FlowRunContext) -> bool:
    """Whether the run of this child process is still executing; if not, reset the child's context.

    A pool can outlive the run that created it, and serve the next run.
    """
    global inherited
    journal = context.journal
    body = {"flow_run_id": journal.flow_run_id, "attempt": journal.attempt}
    if journal.flow_run_id is None or journal.client().call(is_open, body)["open"]:
        return True
    inherited = None
    current_flow.set(None)
    current_task.set(None)
    return False


def _here() -> FlowRunContext | None:
    """The run of the calling code; in a thread without a context, the only root run of this process."""
    found = current_flow.get()
    return found if found is not None or len(_roots) != 1 else next(iter(_roots.values()))


class _Positions(dict[str, "Iterator[str]"]):
    """The positions of runs that a child process starts; they are unique among all processes."""

    def __init__(self) -> None:
        super().__init__()
        self._prefix = ids.new_id()[-8:]

    def setdefault(self, key: str, _counter: Any = None) -> Any:
        """The positions of one task, such as `5e1f09ab.0`, `5e1f09ab.1` ..."""
        found = self.get(key)
        if found is None:
            found = self[key] = (f"{self._prefix}.{number}" for number in count())
        return found


def _after_fork() -> None:
    global _forked, inherited
    _forked = True
    _renew_locks()
    _die_by_default()
    context = inherited = _here()
    if context is None:
        return
    if current_flow.get() is None:
        current_flow.set(context)
    outer: FlowRunContext | None = context
    while outer is not None:
        outer.counters = _Positions()  # type: ignore[assignment]  # yields texts, which positions are used as
        outer.task_runner = None  # its threads are the parent's
        outer = outer.parent
    _roots.clear()


def _die_by_default() -> None:
    """Restore the default signal handlers, so that a signal ends this process immediately.

    Python does not call a handler while the process waits for a lock. The workers of a pool wait for one
    when the pool stops them.
    """
    import signal

    for number in (signal.SIGTERM, signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGTERM)):
        if getattr(signal.getsignal(number), "__module__", "").startswith("runyard.engine."):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def _renew_locks() -> None:
    """Replace locks that another thread of the parent may have held: the child has no such thread."""
    import threading

    for module, name in (
        ("runyard.engine.logging.prints", "_lock"),
        ("runyard.engine.flowless_journal", "_lock"),
    ):
        if module in sys.modules:
            setattr(sys.modules[module], name, threading.Lock())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Heritage:
    """The run context that a new interpreter receives from the process that starts it.

    Args:
        context, task, tags: of the code that starts the process.
    """

    def __init__(self, context: FlowRunContext | None, task: TaskRunContext | None, tags: Any) -> None:
        self._given = (context, task, tags)

    def __reduce__(self) -> Any:
        return adopt, (_packed(*self._given),)


class _Packed:
    """A heritage in a child process, for the processes that the child starts."""

    def __init__(self, packet: bytes | None) -> None:
        self._packet = packet

    def __reduce__(self) -> Any:
        return adopt, (self._packet,)


def _packed(context: FlowRunContext | None, task: TaskRunContext | None, tags: Any) -> bytes | None:
    import copy
    import json
    import pickle

    # 6 ms; most runs start no processes.
    from runyard.engine import remote

    if context is None:
        return None
    # The stored form of the parameters: large values are not sent.
    short = copy.copy(context)
    short.parameters = json.loads(context.flow_run.parameters_json)
    inner = None
    if task is not None:
        inner = (_without_code(task.task), task.task_run, task.log_prints)
    # From now on other processes store results too, so the set of known keys is incomplete.
    context.journal.known_keys = None
    around = remote.surroundings(short)
    return pickle.dumps(remote.packed(around, pickle.dumps((inner, tags))))


def _without_code(task: TaskDefinition) -> TaskDefinition:
    """A copy of a task with its options but without the user's functions, as `remote` sends flows."""
    import copy

    from runyard.engine.remote import elsewhere

    twin = copy.copy(task)
    twin.fn = twin.__wrapped__ = elsewhere
    twin._options, twin._kept = {}, {}
    for name in ("cache_key_fn", "cache_policy", "task_run_name", "retry_condition_fn", "result_storage"):
        setattr(twin, name, None)
    twin.result_serializer = twin.viz_return_value = twin.asset_deps = None
    for name in ("completion", "failure", "running", "rollback", "commit"):
        setattr(twin, f"on_{name}_hooks", [])
    twin.__module__, twin.__qualname__ = __name__, "elsewhere"
    return twin


def adopt(packet: bytes | None) -> _Packed:
    """Join the run in the packet. A new process calls this when it unpickles its Process object."""
    global inherited
    if packet is None:
        return _Packed(None)
    import pickle

    from runyard.engine import remote

    # The process that started this one wrote the packet.
    around, inner = remote.unpacked(pickle.loads(packet))  # noqa: S301
    told = pickle.loads(around)  # noqa: S301  # likewise
    task, tags = pickle.loads(inner)  # noqa: S301  # likewise
    journal = Journal(shared_client(), told.root, told.attempt)
    journal.write_through()
    inherited = told.context(journal)
    inherited.counters = _Positions()
    current_flow.set(inherited)
    current_tags.set(tags)
    log_prints = inherited.log_prints
    if task is not None:
        current_task.set(TaskRunContext(task[0], task[1], {}, task[2]))
        log_prints = task[2]
    if log_prints:
        prints.install()
    return _Packed(packet)


class _Config(dict[str, Any]):
    """The configuration of this process, which `multiprocessing` copies into each Process object."""

    def copy(self) -> dict[str, Any]:
        """A copy with the caller's run context added."""
        context = _here()
        if context is None:
            return dict(self)
        return {**self, "runyard": Heritage(context, current_task.get(), current_tags.get())}


def _mark_processes() -> None:
    process = sys.modules[_PROCESSES].current_process()
    if not isinstance(process._config, _Config):
        process._config = _Config(process._config)


class _Watch:
    """Import hook that acts when a run's code imports `multiprocessing`; other runs do not pay for it."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The normal spec of the module, whose loader then calls `_mark_processes`."""
        if name != _PROCESSES:
            return None
        sys.meta_path.remove(self)
        from importlib.util import find_spec

        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_mark(module: Any) -> None:
                load(module)
                _mark_processes()

            spec.loader.exec_module = load_and_mark  # type: ignore[method-assign]  # of this module alone
        return spec
