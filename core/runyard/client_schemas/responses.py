"""What the API answers, by the names of Prefect."""

from __future__ import annotations

from enum import StrEnum

from runyard.operations.concurrency_limits import ConcurrencyLimit as GlobalConcurrencyLimitResponse
from runyard.operations.deployment_shapes import Deployment as DeploymentResponse
from runyard.operations.flow_run_shapes import FlowRun as FlowRunResponse
from runyard.operations.flow_run_shapes import OrchestrationResult

__all__ = [
    "DeploymentResponse",
    "FlowRunResponse",
    "GlobalConcurrencyLimitResponse",
    "OrchestrationResult",
    "SetStateStatus",
]


class SetStateStatus(StrEnum):
    """What became of a proposed state."""

    ACCEPT = "ACCEPT"
    REJECT = "REJECT"
    ABORT = "ABORT"
    WAIT = "WAIT"
