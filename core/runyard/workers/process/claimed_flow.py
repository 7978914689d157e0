"""The flow of a claimed run: reads the run, fetches its code, loads its flow."""

from __future__ import annotations

from typing import Any

from runyard.base.errors import EntrypointError
from runyard.client import connect
from runyard.deployments import local_flows
from runyard.deployments.loading.loading import load_flow
from runyard.operations.deployments.deployments import read_deployment
from runyard.operations.flow_runs.flow_runs import read_flow_run
from runyard.workers.process import run_code


def load_run(flow_run_id: str) -> tuple[Any, dict[str, Any]]:
    """Fetch the code of a deployment's run, and load its flow.

    Returns:
        The flow, and the run's parameters.

    Raises:
        RunyardError: the run is not found, or its code cannot be fetched or loaded.
    """
    return load(read(flow_run_id))


def read(flow_run_id: str) -> dict[str, Any]:
    """Read `flow_run` and `deployment` of a run, as the API returns them."""
    client = connect()
    run = client.call(read_flow_run, flow_run_id)
    deployment = client.call(read_deployment, run.deployment_id) if run.deployment_id else None
    return {
        "flow_run": run.model_dump(mode="json"),
        "deployment": deployment.model_dump(mode="json") if deployment else None,
    }


def load(claim: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Fetch the code of a run, and load its flow.

    Args:
        claim: `flow_run` and `deployment`, as the API returns them.

    Returns:
        The flow, and the run's parameters.

    Raises:
        RunyardError: its code cannot be fetched or loaded.
    """
    run, deployment = claim["flow_run"], claim["deployment"]
    if deployment is None or not deployment.get("entrypoint"):
        raise EntrypointError(
            f"flow run {run['name']} has no entrypoint: its deployment was deleted or has none; redeploy it"
        )
    directory = run_code.bring(deployment)
    if local_flows.is_local(deployment["entrypoint"]):
        return local_flows.load(deployment["entrypoint"]), run.get("parameters") or {}
    return load_flow(deployment["entrypoint"], directory), run.get("parameters") or {}
