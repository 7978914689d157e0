"""`flow.visualize()`: the graph of a flow's tasks, found by running the flow without its tasks.

A task call returns its `viz_return_value`, or else a placeholder. The flow can pass a placeholder to other
tasks, index it and calculate with it. A branch or a loop over it needs the real value, and fails.
"""

from __future__ import annotations

import copy
from itertools import count
from typing import TYPE_CHECKING, Any

from runyard.base import ids
from runyard.base.errors import InvalidInput, RunyardError
from runyard.base.markers import allow_failure, quote, unmapped
from runyard.base.syncing import is_async_context
from runyard.domain.states import COMPLETED, RUNNING, State
from runyard.engine.context import FlowRunContext, current_drawing, current_flow, current_task
from runyard.engine.futures import FutureList, TaskFuture
from runyard.engine.parameters import bind
from runyard.engine.run_objects import FlowRun
from runyard.sdk.visualization.drawing_svg import Node, render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runyard.engine.flow_definition import FlowDefinition
    from runyard.engine.runnable import Runnable
    from runyard.engine.task_definition import TaskDefinition


class VisualizationError(RunyardError):
    """A flow cannot be drawn."""


# Prefect's names of the class.
FlowVisualizationError = VisualizationError
VisualizationUnsupportedError = VisualizationError


class Drawing:
    """The graph of a flow.

    Args:
        name: the flow's name.
        nodes: its calls, in order.
    """

    def __init__(self, name: str, nodes: list[Node]) -> None:
        self.name = name
        self.nodes = nodes
        self.format = "svg"
        # The file it was written to, or None.
        self.path: str | None = None

    @property
    def edges(self) -> list[tuple[str, str]]:
        """Pairs of names: (upstream, downstream)."""
        return [(upstream, node.name) for node in self.nodes for upstream in node.upstream]

    @property
    def mermaid(self) -> str:
        """The graph as Mermaid text."""
        names = {node.name: f"n{at}" for at, node in enumerate(self.nodes)}
        around = {"task": ('["', '"]'), "flow": ('[["', '"]]'), "map": ('@{ shape: procs, label: "', '" }')}
        lines = ["flowchart TD"]
        for node in self.nodes:
            before, after = around[node.kind]
            lines.append(f"    {names[node.name]}{before}{node.label.replace(chr(34), '#quot;')}{after}")
        lines += [f"    {names[first]} --> {names[second]}" for first, second in self.edges]
        return "\n".join(lines) + "\n"

    @property
    def svg(self) -> str:
        """The graph as an SVG image."""
        return render(self.name, self.nodes)

    def __str__(self) -> str:
        return self.mermaid if self.format == "mermaid" else self.svg

    def _repr_svg_(self) -> str:
        return self.svg


class Tracker:
    """Records the calls of a flow that is being drawn; the engine calls it instead of running tasks."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._counters: dict[str, Iterator[int]] = {}
        # Results of tasks by id; the reference to the object prevents that Python reuses its id.
        self._known: dict[int, tuple[Any, str]] = {}

    def call(
        self, runnable: Runnable, kind: str, args: Any, kwargs: Any, return_state: bool, wait_for: Any
    ) -> Any:
        """Record a call of a task or a subflow."""
        value = self._note(runnable, kind, args, kwargs, wait_for)
        answer = State(COMPLETED, value=value) if return_state else value
        return _at_once(answer) if runnable.isasync else answer

    def submit(self, task: TaskDefinition, args: Any, kwargs: Any, return_state: bool, wait_for: Any) -> Any:
        """Record a submitted task."""
        value = self._note(task, "task", args, kwargs, wait_for)
        future = DrawnFuture(self.nodes[-1].name, value)
        return future.state if return_state else future

    def map(self, task: TaskDefinition, args: Any, kwargs: Any, return_state: bool, wait_for: Any) -> Any:
        """Record a mapped task: one node for all of its runs."""
        given = [*args, *kwargs.values()]
        lengths = [len(value) for value in given if isinstance(value, (list, tuple, set, range))]
        value = self._note(task, "map", args, kwargs, wait_for, lengths[0] if lengths else None)
        name = self.nodes[-1].name
        futures = FutureList(DrawnFuture(name, value) for _ in range(lengths[0] if lengths else 1))
        return [future.state for future in futures] if return_state else futures

    def _note(
        self, runnable: Runnable, kind: str, args: Any, kwargs: Any, wait_for: Any, times: int | None = None
    ) -> Any:
        """Record a call; returns the value that replaces its result."""
        bind(runnable, args, kwargs)
        name = f"{runnable.name}-{next(self._counters.setdefault(runnable.name, count()))}"
        upstream = tuple(dict.fromkeys(self._origins((args, kwargs, list(wait_for or ())))))
        label = name if times is None else f"{name} (×{times})"
        self.nodes.append(Node(name, kind, upstream, label))
        value = getattr(runnable, "viz_return_value", None)
        if value is None:
            return Placeholder(name)
        return self._own(value, name)

    def _own(self, value: Any, name: str) -> Any:
        """A copy of a value, registered as the result of a call: several calls may return the same value."""
        if type(value) in _TRACED:
            traced = _TRACED[type(value)](value)
            traced._node = name
            return traced
        if value is not True and value is not False:
            try:
                value = copy.copy(value)
            except Exception:  # noqa: S110  # then two calls with this value cannot be distinguished
                pass
            self._known[id(value)] = (value, name)
        return value

    def _origins(self, value: Any, depth: int = 0) -> Iterator[str]:
        """The calls that produced a value."""
        if isinstance(value, (Placeholder, DrawnFuture)) or type(value) in _TRACED.values():
            yield value._node
        elif id(value) in self._known:
            yield self._known[id(value)][1]
        elif isinstance(value, State):
            yield from self._origins(value._value)
        elif isinstance(value, (unmapped, allow_failure, quote)):
            yield from self._origins(value.value, depth)
        elif depth < 20 and isinstance(value, dict):
            for item in (*value.keys(), *value.values()):
                yield from self._origins(item, depth + 1)
        elif depth < 20 and isinstance(value, (list, tuple, set, frozenset)):
            for item in value:
                yield from self._origins(item, depth + 1)
        elif depth < 20 and hasattr(type(value), "__dataclass_fields__"):
            yield from self._origins(vars(value), depth + 1)


class Placeholder:
    """Replaces the result of a task; values derived from it are placeholders of the same task."""

    __slots__ = ("_node",)

    def __init__(self, node: str) -> None:
        self._node = node

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Placeholder(self._node)

    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        return Placeholder(self._node)

    def __getitem__(self, _key: Any) -> Any:
        return Placeholder(self._node)

    __hash__ = object.__hash__

    def __str__(self) -> str:
        return f"<result of {self._node}>"

    __repr__ = __str__


_BINARY = (
    "add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor",
    "lshift", "rshift",
)  # fmt: skip


def _derived(self: Placeholder, *_others: Any) -> Placeholder:
    return Placeholder(self._node)


def _needed(self: Placeholder, *_others: Any) -> Any:
    task = self._node.rpartition("-")[0]
    raise VisualizationError(
        f"the flow needs the result of {self._node}; set a result for the drawing: "
        f"@task(viz_return_value=...) above {task!r}"
    )


for _name in _BINARY:
    setattr(Placeholder, f"__{_name}__", _derived)
    setattr(Placeholder, f"__r{_name}__", _derived)
for _name in ("eq", "ne", "lt", "le", "gt", "ge", "neg", "pos", "abs", "invert", "round"):
    setattr(Placeholder, f"__{_name}__", _derived)
for _name in ("bool", "iter", "len", "int", "float", "index", "contains", "next", "enter", "aiter"):
    setattr(Placeholder, f"__{_name}__", _needed)


class _TracedInt(int):
    _node: str


class _TracedFloat(float):
    _node: str


class _TracedStr(str):
    _node: str


# The interpreter shares values of these types; instances of the subclasses can store their origin.
_TRACED: dict[type, Any] = {int: _TracedInt, float: _TracedFloat, str: _TracedStr}


class DrawnFuture(TaskFuture):
    """The future of a call that is only drawn."""

    def __init__(self, node: str, value: Any) -> None:
        self._node = node
        self._value = value
        self._final = None
        self.task_run_id = ids.new_id()

    @property
    def state(self) -> State:
        """Completed, with the placeholder of the result."""
        return State(COMPLETED, value=self._value)

    def done(self) -> bool:
        """Always True."""
        return True

    def wait(self, timeout: float | None = None) -> None:
        """Return immediately."""

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> Any:
        """The placeholder of the result."""
        return self._value

    def add_done_callback(self, fn: Callable[[TaskFuture], Any]) -> None:
        """Call `fn(future)` immediately."""
        fn(self)

    def __repr__(self) -> str:
        return f"<future of {self._node}>"


async def _at_once(value: Any) -> Any:
    return value


# Drawing


class _Nowhere:
    """A journal that records nothing."""

    flow_run_id = attempt = refused = None

    def __getattr__(self, _name: str) -> Any:
        return lambda *_args, **_kwargs: None


def draw(flow: FlowDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Draw a call of a flow; for an async flow, returns an awaitable.

    Raises:
        ParameterError: the arguments do not match the signature.
        VisualizationError: the flow cannot be drawn.
    """
    parameters = bind(flow, args, kwargs)
    tracker = Tracker()
    run = FlowRun(ids.new_id(), ids.new_name(), flow.name)
    run.parameters = parameters
    run.enter(State(RUNNING))
    context = FlowRunContext(flow, run, parameters, _Nowhere(), None)  # type: ignore[arg-type]  # stands in
    if flow.isasync:
        return _draw_async(flow, context, tracker, args, kwargs)
    with _Around(flow, context, tracker):
        value = flow.fn(*args, **kwargs)
        if flow.isgenerator:
            list(value)
    return Drawing(flow.name, tracker.nodes)


async def _draw_async(
    flow: FlowDefinition,
    context: FlowRunContext,
    tracker: Tracker,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Drawing:
    with _Around(flow, context, tracker):
        value = flow.fn(*args, **kwargs)
        if flow.isgenerator:
            async for _item in value:
                pass
        else:
            await value
    return Drawing(flow.name, tracker.nodes)


class _Around:
    """Sets the contexts of a flow that is being drawn, and converts errors to VisualizationError."""

    def __init__(self, flow: FlowDefinition, context: FlowRunContext, tracker: Tracker) -> None:
        self._flow = flow
        self._context = context
        self._tracker = tracker

    def __enter__(self) -> None:
        self._drawing = current_drawing.set(self._tracker)
        self._around = current_flow.set(self._context)
        self._task = current_task.set(None)

    def __exit__(self, _kind: Any, error: BaseException | None, _trace: Any) -> None:
        current_task.reset(self._task)
        current_flow.reset(self._around)
        current_drawing.reset(self._drawing)
        if isinstance(error, VisualizationError):
            raise VisualizationError(f"flow {self._flow.name!r} cannot be drawn: {error}") from None
        if isinstance(error, Exception):
            raise VisualizationError(
                f"flow {self._flow.name!r} cannot be drawn: {type(error).__name__}: {error}; "
                "if it needs the result of a task, set @task(viz_return_value=...)"
            ) from error


def visualize(flow: FlowDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Implements `flow.visualize(...)`."""
    code = getattr(flow.fn, "__code__", None)
    own = set(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]) if code is not None else set()
    # A parameter of the flow with such a name has priority.
    options = {name: kwargs.pop(name) for name in ("format", "path") if name in kwargs and name not in own}
    path = options.get("path")
    wanted = options.get("format") or ("mermaid" if str(path or "").endswith((".mmd", ".mermaid")) else "svg")
    if wanted not in ("svg", "mermaid"):
        raise InvalidInput(f"invalid format={wanted!r}; use svg or mermaid")
    if path is None and wanted == "svg":
        path = f"{flow.name.replace('/', '-')}.svg"
    found = draw(flow, args, kwargs)
    if flow.isasync:
        return _finish_async(found, wanted, path)
    return _finished(found, wanted, path)


async def _finish_async(drawing: Any, wanted: str, path: Any) -> Drawing:
    return _finished(await drawing, wanted, path)


def _finished(drawing: Drawing, wanted: str, path: Any) -> Drawing:
    drawing.format = wanted
    if path is not None:
        drawing.path = str(path)
        with open(drawing.path, "w", encoding="utf-8") as file:
            file.write(str(drawing))
    return drawing


def run_visualize(flow: FlowDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """As `visualize`; in sync code, an async flow is drawn on a new event loop."""
    answer = visualize(flow, args, kwargs)
    if is_async_context():
        return answer if flow.isasync else _at_once(answer)
    if flow.isasync:
        import asyncio

        return asyncio.run(answer)
    return answer
