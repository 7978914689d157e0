"""The deployment of the current run; without one every attribute is None or empty."""

from __future__ import annotations

import os
from typing import Any

from runyard.client.engine_client import shared_client
from runyard.engine.context import current_flow
from runyard.engine.runtime import flow_run, runtime_overrides

_NAMES = ("flow_run_id", "id", "name", "parameters", "version")


def __getattr__(name: str) -> Any:
    return runtime_overrides.attribute("deployment", name, lambda: _value(name), _NAMES)


def __dir__() -> list[str]:
    return sorted(_NAMES)


def _value(name: str) -> Any:
    context = current_flow.get()
    while context is not None and context.parent is not None:
        context = context.parent
    run = context.flow_run if context is not None else None
    if name == "flow_run_id":
        return run.id if run is not None else os.environ.get("RUNYARD__FLOW_RUN_ID")
    deployment_id = run.deployment_id if run is not None else None
    if run is not None and run.stored and deployment_id is None:
        # The function of `flow_run_name` runs before the run has started.
        deployment_id = flow_run.record_of(run.id).deployment_id
    if name == "id" or deployment_id is None:
        return {} if name == "parameters" and deployment_id is None else deployment_id
    if name == "parameters":
        return dict(context.parameters) if context is not None else {}
    # 0.2 s with pydantic; only for what this process does not know of its run.
    from runyard.operations.deployments.deployments import read_deployment

    return getattr(shared_client().call(read_deployment, deployment_id), name)
