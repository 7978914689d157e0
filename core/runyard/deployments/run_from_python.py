"""`run_deployment`: creates a run of a deployment from Python, and waits for its end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from runyard.base import clock
from runyard.base.errors import InvalidInput
from runyard.base.syncing import async_twin, sync_compatible
from runyard.client.engine_client import shared_client
from runyard.domain.states import PENDING, TERMINAL, Scheduled, State
from runyard.engine.context import current_flow, current_tags, current_task
from runyard.engine.recorded_parameters import as_json
from runyard.engine.resolve import to_data
from runyard.engine.run_objects import TaskRun

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from runyard.engine.context import FlowRunContext
    from runyard.operations.deployments.deployments import Deployment
    from runyard.operations.flow_runs.flow_runs import FlowRun


@sync_compatible
def run_deployment(
    name: str,
    client: Any = None,
    parameters: dict[str, Any] | None = None,
    scheduled_time: datetime | None = None,
    flow_run_name: str | None = None,
    timeout: float | None = None,
    poll_interval: float | None = 5,
    tags: Iterable[str] | None = None,
    idempotency_key: str | None = None,
    work_queue_name: str | None = None,
    as_subflow: bool | None = True,
    job_variables: dict[str, Any] | None = None,
) -> FlowRun:
    """Create a run of a deployment, and wait until it has finished. In async code, await it.

    Args:
        name: `flow/deployment`, an id, or a unique name or id prefix.
        client: accepted for compatibility; this program's own connection is used.
        parameters: instead of the deployment's; futures in them are waited for. They are sent as JSON:
            dates and keys of dicts as strings, sets and tuples as lists.
        scheduled_time: when to start; default: now.
        flow_run_name: default: generated.
        timeout: seconds to wait for the end; None: forever, 0: not at all.
        poll_interval: the longest time between two checks, in seconds; changes are noticed at once.
        tags: more tags of the run.
        idempotency_key: a second call with the same key returns the same run.
        work_queue_name: instead of the deployment's queue.
        as_subflow: inside a flow, show the run in its graph.
        job_variables: merged over the deployment's.

    Returns:
        The run in its current state.

    Raises:
        NotFound: the deployment does not exist.
        ParameterError: the parameters are invalid, or have no JSON form.
        InvalidInput: the timeout is negative.
    """
    if timeout is not None and timeout < 0:
        raise InvalidInput(f"timeout={timeout} is negative; use None to wait forever, 0 not to wait")
    body: dict[str, Any] = {"tags": sorted({*(tags or ()), *current_tags.get()})}
    optional = {
        "name": flow_run_name,
        "idempotency_key": idempotency_key,
        "work_queue_name": work_queue_name,
        "job_variables": job_variables,
    }
    body.update({key: value for key, value in optional.items() if value is not None})
    created = _create(name, parameters or {}, scheduled_time, body, bool(as_subflow))
    return _wait(created, timeout, poll_interval or 5)


arun_deployment = async_twin(run_deployment)


def _create(
    name: str, parameters: dict[str, Any], when: datetime | None, body: dict[str, Any], as_subflow: bool
) -> FlowRun:
    # A flow that imports `run_deployment` and never calls it is spared pydantic (140 ms).
    from runyard.operations.deployments.deployment_shapes import DeploymentRunCreate
    from runyard.operations.deployments.deployments import find_deployment
    from runyard.operations.flow_runs.create_deployment_run import run_deployment
    from runyard.operations.schemas import StateCreate

    client = shared_client()
    state = Scheduled(when or clock.now())
    body = {
        **body,
        "deployment": name,
        "parameters": as_json(to_data(parameters), f"deployment {name!r}"),
        "state": StateCreate(type=state.type, name=state.name, state_details=state.state_details),
    }
    flow = current_flow.get()
    if flow is not None and as_subflow:
        # Its task run has the deployment's own name, and is stored before the run that refers to it.
        deployment = client.call(find_deployment, name)
        body["deployment"] = deployment.id
        body["parent_task_run_id"] = _tracking_task_run(flow, deployment)
    return client.call(run_deployment, DeploymentRunCreate(**body)).flow_run


def _tracking_task_run(flow: FlowRunContext, deployment: Deployment) -> str:
    """The task run that represents the new run in the calling flow, with the same states."""
    from itertools import count

    key = f"run_deployment-{deployment.name}"
    position = next(flow.counters.setdefault(key, count()))
    attempt = flow.flow_run.run_count
    dynamic_key = str(position) if attempt <= 1 else f"{position}.{attempt}"
    run = TaskRun(f"{deployment.name}-{position}", flow.flow_run.id, key, dynamic_key, (), attempt)
    around = current_task.get()
    if around is not None:
        run.task_inputs = {"__parents__": [{"input_type": "task_run", "id": around.task_run.id}]}
    run.move(State(PENDING), flow.journal)
    # This row must exist before the run that refers to it.
    flow.journal.flush()
    return run.id


def _wait(run: FlowRun, timeout: float | None, poll_interval: float) -> FlowRun:
    """The finished run, or the run after `timeout` seconds."""
    from runyard.operations.flow_runs.flow_runs import read_flow_run

    client = shared_client()
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = poll_interval if deadline is None else min(poll_interval, deadline - time.monotonic())
        if run.state_type in TERMINAL or left <= 0:
            return run
        token = client.changes()
        run = client.call(read_flow_run, run.id)
        if run.state_type not in TERMINAL:
            client.wait_for_change(token, left)
            run = client.call(read_flow_run, run.id)
