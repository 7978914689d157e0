"""Filters as models: `FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[...])))`.

The models are created from a table of the filters of the API. A part may also be given as a mapping.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, create_model

from runyard.domain.states import StateType as StateType  # Prefect has it here too


class Operator(StrEnum):
    """How the fields of one filter are combined."""

    and_ = "and_"
    or_ = "or_"


class FilterBase(BaseModel):
    """The base class of filters."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


# Filter -> field -> its operators; a nested mapping is a nested filter.
_TABLE: dict[str, dict[str, Any]] = {
    "FlowFilter": {
        "id": "any_ not_any_", "deployment": "is_null_", "name": "any_ like_", "tags": "all_ is_null_",
    },
    "FlowRunFilter": {
        "id": "any_ not_any_", "name": "any_ like_", "tags": "all_ any_ is_null_",
        "deployment_id": "any_ is_null_", "work_queue_name": "any_ is_null_",
        "state": {"type": "any_ not_any_", "name": "any_ not_any_"}, "flow_version": "any_",
        "start_time": "before_ after_ is_null_", "end_time": "before_ after_ is_null_",
        "expected_start_time": "before_ after_", "next_scheduled_start_time": "before_ after_",
        "parent_flow_run_id": "any_", "parent_task_run_id": "any_ is_null_",
        "idempotency_key": "any_ not_any_", "created_by": "id_ type_ is_null_",
    },
    "TaskRunFilter": {
        "id": "any_", "name": "any_ like_", "tags": "all_ is_null_",
        "state": {"type": "any_ not_any_", "name": "any_ not_any_"},
        "start_time": "before_ after_ is_null_", "end_time": "before_ after_ is_null_",
        "expected_start_time": "before_ after_", "subflow_runs": "exists_",
        "flow_run_id": "any_ is_null_",
    },
    "DeploymentFilter": {
        "id": "any_ not_any_", "name": "any_ like_", "flow_or_deployment_name": "like_", "paused": "eq_",
        "tags": "all_ any_ is_null_", "work_queue_name": "any_", "concurrency_limit": "ge_ le_ is_null_",
    },
    "WorkPoolFilter": {"id": "any_", "name": "any_", "type": "any_"},
    "WorkQueueFilter": {"id": "any_", "name": "any_ startswith_"},
    "WorkerFilter": {"last_heartbeat_time": "before_ after_", "status": "any_ not_any_"},
    "LogFilter": {
        "level": "ge_ le_", "timestamp": "before_ after_", "flow_run_id": "any_",
        "task_run_id": "any_ is_null_", "text": "query",
    },
    "ArtifactFilter": {
        "id": "any_", "key": "any_ like_ exists_", "flow_run_id": "any_", "task_run_id": "any_",
        "type": "any_ not_any_",
    },
    "ArtifactCollectionFilter": {
        "latest_id": "any_", "key": "any_ like_ exists_", "flow_run_id": "any_", "task_run_id": "any_",
        "type": "any_ not_any_",
    },
    "VariableFilter": {"id": "any_", "name": "any_ like_", "tags": "all_ is_null_"},
    "BlockTypeFilter": {"name": "like_", "slug": "any_"},
    "BlockSchemaFilter": {
        "block_type_id": "any_", "block_capabilities": "all_", "id": "any_", "version": "any_",
    },
    "BlockDocumentFilter": {
        "id": "any_", "is_anonymous": "eq_", "block_type_id": "any_", "name": "any_ like_",
    },
}  # fmt: skip

# Classes whose names differ from their fields.
_NAMES = {
    ("TaskRunFilter", "subflow_runs"): "TaskRunFilterSubFlowRuns",
    ("LogFilter", "text"): "LogFilterTextSearch",
    ("BlockSchemaFilter", "block_capabilities"): "BlockSchemaFilterCapabilities",
}
_COMBINED = {"operator": (Operator | None, None)}


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _make(name: str, fields: dict[str, Any]) -> type[FilterBase]:
    """Create the model of a filter and the models of its parts, as attributes of this module."""
    models: dict[str, Any] = dict(_COMBINED)
    for field, operators in fields.items():
        part = _NAMES.get((name, field), f"{name}{_camel(field)}")
        if isinstance(operators, dict):
            models[field] = (_make(part, operators) | None, None)
            continue
        values: dict[str, Any] = dict.fromkeys(operators.split(), (Any, None))
        if field == "tags" or field == "deployment_id":
            values |= _COMBINED
        model = create_model(part, __base__=FilterBase, __module__=__name__, **values)
        globals()[part] = model  # importable and picklable by its name, like a written class
        models[field] = (model | None, None)
    made: type[FilterBase] = create_model(name, __base__=FilterBase, __module__=__name__, **models)
    globals()[name] = made
    return made


for _name, _fields in _TABLE.items():
    _make(_name, _fields)


def as_body(value: Any) -> dict[str, Any] | None:
    """A filter as the API accepts it; None without a filter."""
    if value is None:
        return None
    dumped: dict[str, Any] = (
        value.model_dump(mode="json", exclude_none=True) if isinstance(value, BaseModel) else dict(value)
    )
    return dumped


if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...  # the classes made above
