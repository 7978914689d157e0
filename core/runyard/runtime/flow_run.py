"""The flow run around the calling code; outside of any run every attribute is None or empty."""

from __future__ import annotations

import os
from typing import Any

from runyard.context import FlowRunContext, current_flow

_NAMES = (
    "flow_name", "flow_version", "id", "name", "parameters", "parent_deployment_id", "parent_flow_run_id",
    "root_flow_run_id", "run_count", "scheduled_start_time", "tags",
)  # fmt: skip

_WITHOUT = {"tags": [], "parameters": {}, "run_count": 0}


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"runtime.flow_run has no attribute {name!r}; it has {', '.join(_NAMES)}")
    context = current_flow.get()
    if context is None:
        if name == "id":
            return os.environ.get("RUNYARD__FLOW_RUN_ID")
        return _copy(_WITHOUT.get(name))
    return _of(context, name)


def _copy(value: Any) -> Any:
    return type(value)(value) if isinstance(value, (list, dict)) else value


def _of(context: FlowRunContext, name: str) -> Any:
    run, parent = context.flow_run, context.parent
    if name in ("id", "name", "flow_name", "flow_version", "run_count"):
        return getattr(run, name)
    if name == "tags":
        return sorted(run.tags)
    if name == "parameters":
        return dict(context.parameters)
    if name == "parent_flow_run_id":
        return parent.flow_run.id if parent is not None else None
    if name == "parent_deployment_id":
        return parent.flow_run.deployment_id if parent is not None else None
    if name == "root_flow_run_id":
        return run.root_flow_run_id or run.id
    return run.expected_start_time
