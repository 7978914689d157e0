"""The current flow run; outside of any run every attribute is None or empty."""

from __future__ import annotations

import os
from functools import lru_cache, partial
from typing import Any

from runyard.base import clock
from runyard.client.engine_client import shared_client
from runyard.engine.context import FlowRunContext, current_flow, current_task
from runyard.engine.runtime import runtime_overrides

# Imported inside functions: operations (0.1 s with pydantic), for data that this process does not have.


_NAMES = (
    "api_url", "flow_name", "flow_version", "id", "job_variables", "name", "parameters",
    "parent_deployment_id", "parent_flow_run_id", "root_flow_run_id", "run_count", "scheduled_start_time",
    "tags", "ui_url",
)  # fmt: skip

_WITHOUT = {"tags": [], "parameters": {}, "run_count": 0}
_PATH = "flow-runs/flow-run"


def __getattr__(name: str) -> Any:
    if name.removeprefix("get_") in _NAMES and name.startswith("get_"):
        return partial(__getattr__, name.removeprefix("get_"))  # Prefect has a function for each too
    return runtime_overrides.attribute("flow_run", name, lambda: _value(name), _NAMES)


def __dir__() -> list[str]:
    return sorted(_NAMES)


def _value(name: str) -> Any:
    context = current_flow.get()
    run_id = _id(context)
    if name == "id":
        return run_id
    if name in ("api_url", "ui_url"):
        return (runtime_overrides.api_url if name == "api_url" else runtime_overrides.ui_url)(_PATH, run_id)
    if context is not None:
        return _of(context, name)
    if run_id is not None:
        return _stored(_read(run_id), name)
    if name == "scheduled_start_time":
        return clock.now()
    value = _WITHOUT.get(name)
    return type(value)(value) if isinstance(value, (list, dict)) else value


def _id(context: FlowRunContext | None) -> str | None:
    if context is not None:
        return context.flow_run.id
    task = current_task.get()
    if task is not None:
        return task.task_run.flow_run_id
    return os.environ.get("RUNYARD__FLOW_RUN_ID") or os.environ.get("PREFECT__FLOW_RUN_ID")


def _of(context: FlowRunContext, name: str) -> Any:
    run, parent = context.flow_run, context.parent
    if name in ("name", "flow_name", "flow_version", "run_count"):
        return getattr(run, name)
    if name == "tags":
        return sorted(run.tags)
    if name == "parameters":
        return {**context.bound, **context.parameters}
    if name == "parent_flow_run_id" and parent is not None:
        return parent.flow_run.id
    if name == "parent_deployment_id" and parent is not None:
        return parent.flow_run.deployment_id
    root = context
    while root.parent is not None:
        root = root.parent
    if root.flow_run.deployment_id is None and not root.flow_run.stored:
        # Started by hand: the database has no further information.
        known = {"root_flow_run_id": root.flow_run.id, "scheduled_start_time": run.expected_start_time}
        return known.get(name)
    if name == "scheduled_start_time" and parent is not None:
        return run.expected_start_time
    return _stored(record_of(root.flow_run.id), name)


def _stored(record: Any, name: str) -> Any:
    """An attribute of a stored run."""
    if name in ("name", "tags", "parameters", "run_count", "flow_version", "job_variables"):
        return getattr(record, name)
    if name == "scheduled_start_time":
        return record.expected_start_time
    if name == "flow_name":
        from runyard.operations.deployments.known_flows import read_flow

        return shared_client().call(read_flow, record.flow_id).name
    parent = _parent(record)
    if name == "parent_flow_run_id":
        return parent.id if parent is not None else None
    if name == "parent_deployment_id":
        return parent.deployment_id if parent is not None else None
    while parent is not None:
        record, parent = parent, _parent(parent)
    return record.id


def _parent(record: Any) -> Any:
    """The parent run, whose task run represents this one, or None."""
    if record.parent_task_run_id is None:
        return None
    from runyard.operations.task_runs.task_runs import read_task_run

    task_run = shared_client().call(read_task_run, record.parent_task_run_id)
    return _read(task_run.flow_run_id) if task_run.flow_run_id is not None else None


def _read(run_id: str) -> Any:
    from runyard.operations.flow_runs.flow_runs import read_flow_run

    return shared_client().call(read_flow_run, run_id)


@lru_cache(maxsize=8)
def record_of(run_id: str) -> Any:
    """The record of a stored run, cached; for attributes that do not change during the run."""
    return _read(run_id)
