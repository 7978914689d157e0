"""Flows: the `@flow` decorator and the class Flow."""

from __future__ import annotations

from runyard.engine.flow_definition import FlowDefinition
from runyard.engine.runnable import P, R

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar, Unpack, overload

    from runyard.deployments.deploy_from_python import RunnerDeployment
    from runyard.deployments.deployment_options import DeploymentOptions, DeployOptions, ServeOptions
    from runyard.sdk.calls import FlowCalls as Base
    from runyard.sdk.decorator_options import FlowOptions

    S = TypeVar("S")
else:
    Base = FlowDefinition

# Imported inside functions, since every script imports this: the engine (45 ms), deployments, serving (0.2 s
# with pydantic), drawing (56 ms).


class Flow(Base[P, R]):
    """A function whose runs are recorded. Calling it runs it.

    Args:
        fn: the function, sync or async.
        name: the default is the function's name with hyphens.
        version: any text, stored with each run.
        flow_run_name: a template with parameters (`"{date}-load"`), or a function that returns a name.
        retries: how often a failed run is retried; the default is a setting.
        retry_delay_seconds: the delay before each retry: a number, or a list of numbers.
        task_runner: runs submitted tasks; the default is threads.
        description: a description for users; the default is the docstring.
        timeout_seconds: a run that takes longer fails as TimedOut.
        validate_parameters: whether pydantic validates and coerces arguments by their annotations.
        persist_result: whether to store the result of the flow, and by default those of its tasks and
            subflows, so that a resumed run does not repeat completed tasks.
        result_storage, result_serializer: how results are stored, see
            `runyard.engine.results.result_stores.ResultStore`.
        cache_result_in_memory: accepted for compatibility; a result stays in memory as long as its state.
        log_prints: whether `print` goes to the run's log; None: as in the calling run.
        on_completion, on_failure, on_cancellation, on_crashed, on_running: lists of functions of
            (flow, flow_run, state), called when a run enters that state.
    """

    if not TYPE_CHECKING:  # type checkers read `sdk/calls.pyi`

        def __call__(
            self, *args: Any, return_state: bool = False, wait_for: Iterable[Any] | None = None, **kwargs: Any
        ) -> Any:
            """Run the flow; inside another flow, as a subflow.

            Args:
                return_state: return the final State instead of the value, and never raise.
                wait_for: futures that must be done before the run starts.

            Returns:
                The function's return value; for an async flow, an awaitable of it.

            Raises:
                ParameterError: the arguments are invalid.
                Exception: the exception of the function.
            """
            from runyard.engine.entry import call_flow

            return call_flow(self, args, kwargs, return_state, wait_for)

    def validate_parameters(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """The parameters by name, validated and coerced by their annotations.

        Raises:
            ParameterError: the parameters are invalid.
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
        """Draw the graph of the flow's tasks without running them; see `runyard.sdk.visualization.drawing`.

        Args:
            args, kwargs: the arguments of the flow, and two further options:
            format: `svg` or `mermaid`.
            path: the file to write; the default for SVG is `NAME.svg`.

        Returns:
            The drawing; `str()` gives its text. In async code an awaitable of it.

        Raises:
            VisualizationError: the flow needs the result of a task without viz_return_value.
        """
        from runyard.sdk.visualization.drawing import run_visualize

        return run_visualize(self, args, kwargs)

    def to_deployment(self, name: str, **options: Unpack[DeploymentOptions]) -> RunnerDeployment:
        """A deployment of this flow, for `serve(...)` and `deploy(...)`.

        Args:
            name: the name of the deployment.
            options: see `runyard.deployments.deployment_options.DeploymentOptions`.
        """
        from runyard.deployments.deploy_from_python import to_deployment

        return to_deployment(self, name, **options)

    def deploy(self, name: str, work_pool_name: str | None = None, **options: Unpack[DeployOptions]) -> str:
        """Create or update a deployment of this flow; the workers of a work pool start its runs.

        Args:
            name: the name of the deployment.
            work_pool_name: the work pool; the default is a setting.
            options: see `runyard.deployments.deployment_options.DeployOptions`.

        Returns:
            The deployment's id; in async code an awaitable of it.

        Raises:
            RunyardError: the deployment is refused.
        """
        from runyard.deployments.deploy_from_python import deploy_flow

        return deploy_flow(self, name, work_pool_name, **options)

    def serve(self, name: str | None = None, **options: Unpack[ServeOptions]) -> None:
        """Create or update a deployment of this flow, and start its runs from this process, until Ctrl-C.

        Args:
            name: the name of the deployment; the default is the flow's name.
            options: see `runyard.deployments.deployment_options.ServeOptions`.
        """
        from runyard.workers.serve_from_python import serve_flow

        serve_flow(self, name, **options)

    @classmethod
    def from_source(cls, source: Any, entrypoint: str) -> Flow:
        """Load a flow from a git URL, a folder or a storage; async code awaits the call.

        Args:
            source: such as `https://github.com/team/flows.git`.
            entrypoint: `path/file.py:function`, relative to the source.
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
        from runyard.deployments.deploy_from_python import deploy_flow

        return await deploy_flow(self, name, work_pool_name, _sync=False, **options)

    async def ato_deployment(self, name: str, **options: Unpack[DeploymentOptions]) -> RunnerDeployment:
        """As `to_deployment`, for async code."""
        from runyard.deployments.deploy_from_python import to_deployment

        return await to_deployment(self, name, _sync=False, **options)

    async def avisualize(self, *args: Any, **kwargs: Any) -> Any:
        """As `visualize`, for async code."""
        from runyard.base.thread_calls import in_thread
        from runyard.sdk.visualization.drawing import run_visualize

        return await in_thread(lambda: run_visualize(self, args, kwargs))


if TYPE_CHECKING:

    @overload
    def flow(fn: Callable[P, S], /) -> Flow[P, S]: ...
    @overload
    def flow(
        fn: None = None, /, **options: Unpack[FlowOptions]
    ) -> Callable[[Callable[P, S]], Flow[P, S]]: ...


def flow(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Turn a function into a flow: `@flow`, or `@flow(name=..., retries=...)` with the options of Flow."""
    if fn is None:
        return lambda function: Flow(function, **options)
    return Flow(fn, **options)


# Identifies the decorator in a file, even if the file imports it under another name.
flow.makes = FlowDefinition  # type: ignore[attr-defined]  # an attribute of a function
# Prefect's users write `flow.from_source(...)`.
flow.from_source = Flow.from_source  # type: ignore[attr-defined]  # likewise
flow.afrom_source = Flow.afrom_source  # type: ignore[attr-defined]  # likewise
