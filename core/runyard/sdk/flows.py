"""Flows: the `@flow` decorator and what it makes."""

from __future__ import annotations

from runyard.engine import checks
from runyard.engine.runnable import P, R, Runnable, documentation, function_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Self, TypeVar, Unpack, overload

    from runyard.deployments.deployment_options import DeploymentOptions, DeployOptions, ServeOptions
    from runyard.deployments.runner import RunnerDeployment
    from runyard.engine.calls import FlowCalls as Base
    from runyard.engine.task_runners import TaskRunner
    from runyard.sdk.decorator_options import FlowOptions

    S = TypeVar("S")
else:
    Base = Runnable


class Flow(Base[P, R]):
    """A function whose runs are recorded; calling it runs it.

    Args:
        fn: the function, sync or async.
        name: by default the function's name with hyphens.
        version: free text, kept with each run.
        flow_run_name: a template over the parameters (`"{date}-load"`), or a function that gives a name.
        retries: how often a failed run is tried again; by default the setting.
        retry_delay_seconds: the wait before each retry: a number, or a list of them.
        task_runner: where submitted tasks run; by default threads.
        description: for people; by default the docstring.
        timeout_seconds: how long a run may take before it fails as TimedOut.
        validate_parameters: whether pydantic checks and coerces arguments by their annotations.
        persist_result: whether the results of the flow and of its tasks and subflows that do not
            say are kept, so that a resumed run does not run again what had completed.
        result_storage, result_serializer: where and how, see `runyard.results.ResultStore`.
        cache_result_in_memory: accepted; a result stays in memory as long as its state.
        log_prints: whether `print` goes to the run's log; None: as the calling run.
        on_completion, on_failure, on_cancellation, on_crashed, on_running: lists of functions of
            (flow, flow_run, state), called when a run enters that state.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str | None = None,
        version: str | None = None,
        flow_run_name: str | Callable[[], str] | None = None,
        retries: int | None = None,
        retry_delay_seconds: float | list[float] | None = None,
        task_runner: TaskRunner | type[TaskRunner] | None = None,
        description: str | None = None,
        timeout_seconds: float | None = None,
        validate_parameters: bool = True,
        persist_result: bool | None = None,
        result_storage: Any = None,
        result_serializer: Any = None,
        cache_result_in_memory: bool = True,
        log_prints: bool | None = None,
        on_completion: Iterable[Callable[..., Any]] | None = None,
        on_failure: Iterable[Callable[..., Any]] | None = None,
        on_cancellation: Iterable[Callable[..., Any]] | None = None,
        on_crashed: Iterable[Callable[..., Any]] | None = None,
        on_running: Iterable[Callable[..., Any]] | None = None,
    ) -> None:
        options = {key: value for key, value in locals().items() if key not in ("self", "fn", "__class__")}
        name = checks.flow_name(name or function_name(fn).strip("<>").replace("_", "-"))
        super().__init__(fn, name, options)
        self.version = checks.version(version)
        self.flow_run_name = checks.run_name("flow_run_name", flow_run_name)
        self.retries = checks.retries(retries)
        self.retry_delay_seconds = checks.delays(retry_delay_seconds)
        self.task_runner = checks.runner(task_runner)
        self.description = checks.text("description", description) or documentation(fn)
        self.timeout_seconds = checks.timeout(timeout_seconds)
        self.should_validate_parameters = checks.flag("validate_parameters", validate_parameters)
        if persist_result is None and (result_storage is not None or result_serializer is not None):
            persist_result = True
        self.persist_result = checks.flag("persist_result", persist_result)
        self.result_storage = checks.storage(result_storage)
        self.result_serializer = checks.serializer(result_serializer)
        self.cache_result_in_memory = checks.flag("cache_result_in_memory", cache_result_in_memory)
        self.log_prints = checks.flag("log_prints", log_prints)
        self.on_completion_hooks = checks.hooks("on_completion", on_completion)
        self.on_failure_hooks = checks.hooks("on_failure", on_failure)
        self.on_cancellation_hooks = checks.hooks("on_cancellation", on_cancellation)
        self.on_crashed_hooks = checks.hooks("on_crashed", on_crashed)
        self.on_running_hooks = checks.hooks("on_running", on_running)
        # The storage and the entrypoint of a flow that `from_source` loaded.
        self.source: tuple[Any, str] | None = None

    if not TYPE_CHECKING:  # checkers read `engine.calls`

        def __call__(
            self, *args: Any, return_state: bool = False, wait_for: Iterable[Any] | None = None, **kwargs: Any
        ) -> Any:
            """Run the flow, inside another flow as its subflow.

            Args:
                return_state: give the final State instead of the value; nothing is raised then.
                wait_for: futures that must be done before.

            Returns:
                What the function returned; for an async flow an awaitable of it.

            Raises:
                ParameterError: the arguments do not fit.
                Exception: what the function raised.
            """
            from runyard.engine.run import call_flow

            return call_flow(self, args, kwargs, return_state, wait_for)

    def with_options(self, **options: Any) -> Self:
        """A copy of the flow with some options changed."""
        copy = super().with_options(**options)
        copy.source = self.source
        return copy

    def validate_parameters(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """The parameters by name, checked and coerced by their annotations.

        Raises:
            ParameterError: they do not fit.
        """
        from runyard.engine.parameters import signature_of, validated

        return validated(self, signature_of(self).complete(parameters))

    def on_completion(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """Call `fn(flow, flow_run, state)` when a run completes; usable as a decorator."""
        self.on_completion_hooks.append(fn)
        return fn

    def on_failure(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """Call `fn(flow, flow_run, state)` when a run fails; usable as a decorator."""
        self.on_failure_hooks.append(fn)
        return fn

    def on_cancellation(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """Call `fn(flow, flow_run, state)` when a run is cancelled; usable as a decorator."""
        self.on_cancellation_hooks.append(fn)
        return fn

    def on_crashed(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """Call `fn(flow, flow_run, state)` when a run crashes; usable as a decorator."""
        self.on_crashed_hooks.append(fn)
        return fn

    def on_running(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """Call `fn(flow, flow_run, state)` when a run starts; usable as a decorator."""
        self.on_running_hooks.append(fn)
        return fn

    def visualize(self, *args: Any, **kwargs: Any) -> Any:
        """Draw the graph of the flow's tasks, which are not run; see `runyard.sdk.visualization.drawing`.

        Args:
            args, kwargs: what the flow is called with, and two options that are not the flow's:
            format: `svg` or `mermaid`.
            path: where to write it; an SVG goes to `NAME.svg` by default.

        Returns:
            The drawing, whose text is `str()` of it; in async code an awaitable of it.

        Raises:
            VisualizationError: the flow decides by the result of a task that has no viz_return_value.
        """
        from runyard.sdk.visualization.drawing import run_visualize

        return run_visualize(self, args, kwargs)

    def to_deployment(self, name: str, **options: Unpack[DeploymentOptions]) -> RunnerDeployment:
        """A deployment of this flow, for `serve(...)` and `deploy(...)`.

        Args:
            name: of the deployment.
            options: as `runyard.deployments.deployment_options.DeploymentOptions` tells.
        """
        from runyard.deployments.runner import to_deployment

        return to_deployment(self, name, **options)

    def deploy(self, name: str, work_pool_name: str | None = None, **options: Unpack[DeployOptions]) -> str:
        """Make a deployment of this flow, whose runs the workers of a pool start.

        Args:
            name: of the deployment.
            work_pool_name: by default the setting.
            options: as `runyard.deployments.deployment_options.DeployOptions` tells.

        Returns:
            The deployment's id; in async code an awaitable of it.

        Raises:
            RunyardError: the deployment is refused.
        """
        from runyard.deployments.runner import deploy_flow

        return deploy_flow(self, name, work_pool_name, **options)

    def serve(self, name: str | None = None, **options: Unpack[ServeOptions]) -> None:
        """Make a deployment of this flow and start its runs from this process, until Ctrl-C.

        Args:
            name: of the deployment; by default the flow's.
            options: as `runyard.deployments.deployment_options.ServeOptions` tells.
        """
        from runyard.workers.serving_deployments import serve_flow

        serve_flow(self, name, **options)

    @classmethod
    def from_source(cls, source: Any, entrypoint: str) -> Flow:
        """Load a flow from a git address, a folder or a storage; in async code awaited.

        Args:
            source: such as `https://github.com/team/flows.git`.
            entrypoint: `path/file.py:function`, below the source.
        """
        from runyard.deployments.loading.from_source import load

        return load(source, entrypoint)

    @classmethod
    async def afrom_source(cls, source: Any, entrypoint: str) -> Flow:
        """As `from_source`, for async code."""
        from runyard.deployments.loading.from_source import load

        return await load(source, entrypoint, _sync=False)

    async def adeploy(
        self, name: str, work_pool_name: str | None = None, **options: Unpack[DeployOptions]
    ) -> str:
        """As `deploy`, for async code."""
        from runyard.deployments.runner import deploy_flow

        return await deploy_flow(self, name, work_pool_name, _sync=False, **options)

    async def ato_deployment(self, name: str, **options: Unpack[DeploymentOptions]) -> RunnerDeployment:
        """As `to_deployment`, for async code."""
        from runyard.deployments.runner import to_deployment

        return await to_deployment(self, name, _sync=False, **options)

    async def avisualize(self, *args: Any, **kwargs: Any) -> Any:
        """As `visualize`, for async code."""
        from runyard.base.thread_calls import in_thread
        from runyard.sdk.visualization.drawing import run_visualize

        return await in_thread(lambda: run_visualize(self, args, kwargs))

    def __repr__(self) -> str:
        return f"<flow {self.name!r}>"


if TYPE_CHECKING:

    @overload
    def flow(fn: Callable[P, S], /) -> Flow[P, S]: ...
    @overload
    def flow(
        fn: None = None, /, **options: Unpack[FlowOptions]
    ) -> Callable[[Callable[P, S]], Flow[P, S]]: ...


def flow(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a flow: `@flow`, or `@flow(name=..., retries=...)` with the options of Flow."""
    if fn is None:
        return lambda function: Flow(function, **options)
    return Flow(fn, **options)


# `flow.from_source(...)` is how Prefect's users write it.
flow.from_source = Flow.from_source  # type: ignore[attr-defined]  # an attribute of a function
flow.afrom_source = Flow.afrom_source  # type: ignore[attr-defined]  # likewise


def __getattr__(name: str) -> Any:
    # Prefect has these beside its flows.
    if name in ("serve", "aserve"):
        from runyard.workers import serving_deployments

        return getattr(serving_deployments, name)
    if name == "deploy":
        from runyard.deployments.runner import deploy

        return deploy
    if name == "load_flow_from_entrypoint":
        from runyard.deployments.loading.loading import load_flow

        return load_flow
    # `from runyard.sdk.flows import flow` asks for `__path__` first.
    if not name.startswith("__"):
        from runyard.prefect_names import flow_names

        if name in flow_names.__all__:
            return getattr(flow_names, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
