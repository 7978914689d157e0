"""What tells the subflows of a run from each other in keys, and stays the same when the run is resumed."""

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
    """What tells a flow run from others in keys, and stays the same when the root run is resumed.

    A resumed run calls its subflows anew: each is known by who calls it, by its parameters, and by its
    number among those called so. One of which no key can be made is like no other.
    """
    if context.scope is None:
        parent = context.parent
        context.scope = context.flow_run.id if parent is None else _scope_of_subflow(context, parent)
    return context.scope


def _scope_of_subflow(context: FlowRunContext, parent: FlowRunContext) -> str:
    """A digest of who calls, which flow and with what, and of how many calls alike came before.

    Where no digest can be made of these, the run's own id, and a line in its log that says so.
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
        # Mapped tasks call in any order: each has its own count.
        around = _call_of(caller)
        if caller.counters is None:
            caller.counters = {}
        counters = caller.counters
    given = hash_objects(complete(flow, context.parameters), bound_values(flow.fn))
    alike = counters.setdefault(f"scope:{flow.name}:{given}", count())
    return hash_objects(scope_of(parent), around, flow.name, given, next(alike))


def _call_of(caller: TaskRunContext) -> str:
    return hash_objects(caller.task.task_key, caller.parameters)
