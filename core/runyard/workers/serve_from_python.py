"""`flow.serve` and `serve(a, b)`: deployments whose runs start as child processes of this process."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from runyard.base.errors import InvalidInput, NotFound, RunyardError
from runyard.base.quoting import command_of
from runyard.base.syncing import also_awaited, async_twin, is_async_context
from runyard.base.thread_calls import unbroken
from runyard.client.engine_client import shared_client
from runyard.deployments import local_flows
from runyard.deployments.deploy_from_python import RunnerDeployment, apply_all
from runyard.deployments.loading import loading
from runyard.operations.deployments.deployments import pause_deployment
from runyard.workers.serving_loop import serve_deployments

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Unpack

    from runyard.deployments.deployment_options import DeploymentOptions
    from runyard.engine.flow_definition import FlowDefinition
    from runyard.workers.serving_loop import ServingLoop


def serve(
    *deployments: RunnerDeployment,
    pause_on_shutdown: bool = True,
    print_starting_message: bool = True,
    limit: int | None = None,
    webserver: bool = False,
    on_start: Callable[[ServingLoop], None] | None = None,
) -> None:
    """Create deployments, and start their runs in child processes until Ctrl-C or SIGTERM.

    Args:
        deployments: from `flow.to_deployment(...)`.
        pause_on_shutdown: pause the schedules at the end, as no process starts their runs any more.
        print_starting_message: print the served deployments and the command that creates a run.
        limit: the maximum number of concurrent runs; None: no limit.
        webserver: serve GET /health and GET /metrics over HTTP.
        on_start: called with the loop; the loop's `stop` works like Ctrl-C.

    Raises:
        InvalidInput: an argument is not a deployment, or no deployment is given.
        RunyardError: a deployment is invalid.

    While the script is loaded for a run or a deployment, this function does nothing.
    """
    if loading.executing is not None:
        # Otherwise each run of a served script would serve the script again.
        file = loading.executing
        print(f"serve() in {file} is left out while the file is loaded for a run", file=sys.stderr)
        return
    if not deployments:
        raise InvalidInput("nothing to serve; pass the results of flow.to_deployment(...)")
    for each in deployments:
        if not isinstance(each, RunnerDeployment):
            raise InvalidInput(f"serve() takes results of flow.to_deployment(...), not {each!r}")
        # This process runs it, also if it had a pool; and its last serving may have paused it.
        each.work_pool_name = each.work_queue_name = None
        each.paused = bool(each.paused)
    if limit is not None and limit < 1:
        raise InvalidInput(f"limit={limit} is below 1")
    client = shared_client()
    made = apply_all(deployments)

    def started(serving: ServingLoop) -> None:
        if print_starting_message:
            _greet(list(deployments))
        if on_start is not None:
            on_start(serving)

    try:
        with local_flows.handed_on({each.entrypoint: each.flow for each in deployments}):
            serve_deployments(client, [each.id for each in made], limit, webserver, started)
    except KeyboardInterrupt:
        pass  # Ctrl-C before the loop, which handles it as a stop request, had started
    finally:
        if pause_on_shutdown:
            _pause([(each.id, one.full_name) for each, one in zip(made, deployments, strict=True)])


async def aserve(*deployments: RunnerDeployment, **options: Any) -> None:
    """Like `serve`, without blocking the event loop; cancelling it works like Ctrl-C."""
    import asyncio

    loops: list[ServingLoop] = []
    told, stopped = options.pop("on_start", None), False

    def on_start(serving: ServingLoop) -> None:
        loops.append(serving)
        if stopped:
            serving.stop()
        if told is not None:
            told(serving)

    def stop() -> None:
        nonlocal stopped
        stopped = True
        for each in loops:
            each.stop()

    await unbroken(lambda: serve(*deployments, on_start=on_start, **options), stop)
    await asyncio.sleep(0)  # a pending cancellation is raised here


def serve_flow(flow: FlowDefinition, name: str | None = None, global_limit: Any = None, **given: Any) -> None:
    """Implements `flow.serve(...)`: some options are for `serve`, the others for the deployment."""
    own = ("pause_on_shutdown", "print_starting_message", "limit", "webserver")
    serving = {key: given.pop(key) for key in own if key in given}
    options: DeploymentOptions = given  # type: ignore[assignment]  # from_flow refuses unknown options
    if global_limit is not None:
        options["concurrency_limit"] = global_limit
    serve(RunnerDeployment.from_flow(flow, name or flow.name, **options), **serving)


class Runner:
    """Serves deployments that are added one by one.

    Args:
        name, query_seconds, prefetch_seconds, heartbeat_seconds: accepted for compatibility; the loop notices
            runs at once, and heartbeats follow the settings.
        pause_on_shutdown, limit, webserver: as in `serve`.
    """

    def __init__(
        self,
        name: str | None = None,
        query_seconds: float | None = None,
        prefetch_seconds: float | None = None,
        heartbeat_seconds: float | None = None,
        limit: int | None = None,
        pause_on_shutdown: bool = True,
        webserver: bool = False,
    ) -> None:
        self.name = name
        self._options: dict[str, Any] = {
            "pause_on_shutdown": pause_on_shutdown, "limit": limit, "webserver": webserver,
        }  # fmt: skip
        self._deployments: list[RunnerDeployment] = []
        self._loops: list[ServingLoop] = []

    @also_awaited
    def add_deployment(self, deployment: RunnerDeployment) -> None:
        """Add a deployment to serve after `start`."""
        self._deployments.append(deployment)

    @also_awaited
    def add_flow(
        self, flow: FlowDefinition, name: str | None = None, **options: Unpack[DeploymentOptions]
    ) -> None:
        """Add a deployment of this flow to serve; `options` as in `flow.to_deployment`."""
        self.add_deployment(RunnerDeployment.from_flow(flow, name or flow.name, **options))

    def start(self) -> Any:
        """Serve until stopped; await the result in async code."""
        act = aserve if is_async_context() else serve
        return act(*self._deployments, on_start=self._loops.append, **self._options)

    @also_awaited
    def stop(self) -> None:
        """Stop like Ctrl-C, from another thread."""
        for each in self._loops:
            each.stop()

    aadd_deployment = async_twin(add_deployment)
    aadd_flow = async_twin(add_flow)
    astop = async_twin(stop)


def _greet(deployments: list[RunnerDeployment]) -> None:
    if len(deployments) == 1:
        print(f"Your flow {deployments[0].flow_name!r} is being served and polling for scheduled runs!")
    else:
        print("Your deployments are being served and polling for scheduled runs!")
    for each in deployments:
        print(f"    {each.full_name}")
    command = command_of("runyard deployment run", deployments[0].full_name)
    print(f"\nCreate a run with:\n\n    {command}\n", flush=True)


def _pause(made: list[tuple[str, str]]) -> None:
    client = shared_client()
    for deployment_id, name in made:
        try:
            client.call(pause_deployment, deployment_id)
        except NotFound:
            continue  # deleted meanwhile
        except RunyardError as error:
            print(f"The schedules of {name} could not be paused: {error}", flush=True)
        else:
            print(f"The schedules of {name} are paused until it is served again.", flush=True)
