"""Ids of flow runs in cache keys: unique within the root run, and the same after a resume."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from runyard.base.exceptions import HashError
from runyard.engine.hashing.digests import hash_objects
from runyard.engine.hashing.hashing_code import bound_values
from runyard.engine.logging import flow_logger
from runyard.engine.parameters import complete

if TYPE_CHECKING:
    from runyard.engine.context import FlowRunContext, TaskRunContext


def scope_of(context: FlowRunContext) -> str:
    """The id of a flow run in cache keys, which stays the same when the root run is resumed.

    A resumed run calls its subflows again. A subflow run is identified by its caller, its parameters, and its
    number among equal calls. If these cannot be hashed, the id is unique.
    """
    if context.scope is None:
        parent = context.parent
        context.scope = context.flow_run.id if parent is None else _scope_of_subflow(context, parent)
    return context.scope


def _scope_of_subflow(context: FlowRunContext, parent: FlowRunContext) -> str:
    """A digest of the caller, the flow, its parameters, and the number of equal calls before.

    If these cannot be hashed, the run's own id; the run's log gets a warning.
    """
    try:
        return _scope(context, parent)
    except HashError as error:
        flow_logger(context.flow_run, context.journal).warning(
            "No key for this subflow run, so what it completes is run again when its root run is resumed: %s",
            error,
        )
        return context.flow_run.id


def _scope(context: FlowRunContext, parent: FlowRunContext) -> str:
    flow, caller = context.flow, context.caller
    around, counters = "", parent.counters
    if caller is not None:
        # Mapped tasks call in any order, so each has its own counter.
        around = _call_of(caller)
        if caller.counters is None:
            caller.counters = {}
        counters = caller.counters
    given = hash_objects(complete(flow, context.parameters), bound_values(flow.fn))
    alike = counters.setdefault(f"scope:{flow.name}:{given}", count())
    return hash_objects(scope_of(parent), around, flow.name, given, next(alike))


def _call_of(caller: TaskRunContext) -> str:
    return hash_objects(caller.task.task_key, caller.parameters)
