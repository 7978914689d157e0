"""The names of `prefect.flows` that scripts use, besides flows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from runyard.base.exceptions import MissingFlowError
from runyard.deployments.loading.loading import load_object
from runyard.domain.states import State
from runyard.engine.run_objects import FlowRun
from runyard.sdk.flows import Flow

__all__ = [
    "FlowRun",
    "FlowStateHook",
    "MissingFlowError",
    "State",
    "load_function_and_convert_to_flow",
    "select_flow",
]

FlowStateHook = Callable[[Flow[..., Any], FlowRun, State], Any]


def load_function_and_convert_to_flow(entrypoint: str) -> Flow[..., Any]:
    """Load the flow of an entrypoint; a plain function becomes a flow that logs its prints.

    Raises:
        EntrypointError: the file, module or name is missing, or its code fails.
    """
    found = load_object(entrypoint)
    return found if isinstance(found, Flow) else Flow(found, log_prints=True)


def select_flow(
    flows: Iterable[Flow[..., Any]], flow_name: str | None = None, from_message: str | None = None
) -> Flow[..., Any]:
    """The only flow, or the flow of a name.

    Args:
        from_message: where the flows come from, for the error.

    Raises:
        MissingFlowError: unknown name, or several flows and no name.
    """
    known = {each.name: each for each in flows}
    where = f" {from_message}" if from_message else ""
    if flow_name is not None and flow_name not in known:
        raise MissingFlowError(
            f"flow {flow_name!r}{where} not found; valid are: {', '.join(known) or 'none'}"
        )
    if flow_name is None and len(known) != 1:
        raise MissingFlowError(
            f"found {len(known)} flows{where}; select one by name: {', '.join(known) or 'none'}"
        )
    return known[flow_name if flow_name is not None else next(iter(known))]
