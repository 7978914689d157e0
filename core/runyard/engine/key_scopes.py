"""What tells the subflows of a run from each other in keys, and stays the same when the run is resumed."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from runyard.base.exceptions import HashError
from runyard.engine.hashing.digests import hash_objects
from runyard.engine.hashing.hashing_code import bound_values
from runyard.engine.parameters import complete

if TYPE_CHECKING:
    from runyard.engine.context import FlowRunContext, TaskRunContext


def scope_of_subflow(context: FlowRunContext, parent: FlowRunContext) -> str:
    """A digest of who calls, which flow and with what, and of how many calls alike came before.

    Where no digest can be made of these, the run's own id, and a line in its log that says so.
    """
    try:
        return _scope(context, parent)
    except HashError as error:
        from runyard.engine.logging import flow_logger

        flow_logger(context.flow_run, context.journal).warning(
            "No key for this subflow run, so what it completes is run again when its root run is resumed: %s",
            error,
        )
        return context.flow_run.id


def _scope(context: FlowRunContext, parent: FlowRunContext) -> str:
    flow, caller = context.flow, context.caller
    around, counters = "", parent.counters
    if caller is not None:
        # Mapped tasks call in any order: each has its own count.
        around = _call_of(caller)
        if caller.counters is None:
            caller.counters = {}
        counters = caller.counters
    given = hash_objects(complete(flow, context.parameters), bound_values(flow.fn))
    alike = counters.setdefault(f"scope:{flow.name}:{given}", count())
    return hash_objects(parent.scope, around, flow.name, given, next(alike))


def _call_of(caller: TaskRunContext) -> str:
    return hash_objects(caller.task.task_key, caller.parameters)
