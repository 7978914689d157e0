"""Stores and reads the inputs of flow runs by their keys, sync and async."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from runyard.base.errors import NotFound
from runyard.base.syncing import async_twin, sync_compatible
from runyard.client.engine_client import shared_client
from runyard.engine.context import current_flow
from runyard.operations.flow_runs import flow_run_inputs as operations

if TYPE_CHECKING:
    from pydantic import BaseModel


def ensure_flow_run_id(flow_run_id: Any = None) -> str:
    """The given run, or the current one.

    Raises:
        RuntimeError: no run was given, and the caller is outside of a flow run.
    """
    if flow_run_id:
        return str(flow_run_id)
    context = current_flow.get()
    if context is None:
        raise RuntimeError("Must either provide a flow run ID or be within a flow run.")
    return context.flow_run.id


def sender_here() -> str | None:
    """The sender name of the current run, or None."""
    context = current_flow.get()
    return f"prefect.flow-run.{context.flow_run.id}" if context is not None else None


def create(key: str, value: Any, flow_run_id: Any = None, sender: str | None = None) -> None:
    """Store a JSON-able value as an input of a flow run.

    Raises:
        Conflict: the run already has an input with this key.
    """
    body = operations.FlowRunInputCreate(key=key, value=json.dumps(value), sender=sender)
    shared_client().call(operations.create_flow_run_input, ensure_flow_run_id(flow_run_id), body)


def create_from_model(
    key: str, model_instance: BaseModel, flow_run_id: Any = None, sender: str | None = None
) -> None:
    """Store a pydantic model as an input of a flow run; the default sender is the current run."""
    create(key, model_instance.model_dump(mode="json"), flow_run_id, sender or sender_here())


def _filter(
    key_prefix: str, limit: int = 1, exclude_keys: Any = None, flow_run_id: Any = None
) -> list[operations.FlowRunInput]:
    """The inputs of a flow run whose keys have the prefix, the oldest first."""
    body = operations.FlowRunInputFilter(
        prefix=key_prefix, limit=limit, exclude_keys=sorted(exclude_keys or ())
    )
    return shared_client().call(operations.filter_flow_run_input, ensure_flow_run_id(flow_run_id), body)


def read(key: str, flow_run_id: Any = None) -> Any:
    """The value of an input; None if it does not exist."""
    try:
        text = shared_client().call(operations.read_flow_run_input, ensure_flow_run_id(flow_run_id), key)
    except NotFound:
        return None
    return json.loads(text)


def _delete(key: str, flow_run_id: Any = None) -> None:
    """Delete an input.

    Raises:
        NotFound: the run has no input with this key.
    """
    shared_client().call(operations.delete_flow_run_input, ensure_flow_run_id(flow_run_id), key)


create_flow_run_input, acreate_flow_run_input = sync_compatible(create), async_twin(create)
create_flow_run_input_from_model = sync_compatible(create_from_model)
acreate_flow_run_input_from_model = async_twin(create_from_model)
filter_flow_run_input, afilter_flow_run_input = sync_compatible(_filter), async_twin(_filter)
read_flow_run_input, aread_flow_run_input = sync_compatible(read), async_twin(read)
delete_flow_run_input, adelete_flow_run_input = sync_compatible(_delete), async_twin(_delete)
