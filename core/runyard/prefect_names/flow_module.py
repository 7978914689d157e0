"""The module `prefect.flows`: our flows, and Prefect's other names, which are loaded on demand."""

from __future__ import annotations

from runyard.sdk import flows
from runyard.sdk.flows import Flow, flow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Flow", "flow"]


def __getattr__(name: str) -> Any:
    # `from prefect.flows import flow` asks for `__path__` first. The other names load deployments (0.1 s).
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in ("serve", "aserve"):
        # `from prefect.flows import flow` needs none of these (160 to 220 ms).
        from runyard.workers import serve_from_python

        return getattr(serve_from_python, name)
    if name == "deploy":
        from runyard.deployments.deploy_from_python import deploy

        return deploy
    if name == "load_flow_from_entrypoint":
        from runyard.deployments.loading.loading import load_flow

        return load_flow
    from runyard.prefect_names import flow_names

    return getattr(flow_names if name in flow_names.__all__ else flows, name)
