"""What the API answers, by the names of Prefect."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from runyard.operations.deployments.deployment_shapes import Deployment as DeploymentResponse
from runyard.operations.flow_runs.flow_run_shapes import FlowRun as FlowRunResponse
from runyard.operations.flow_runs.flow_run_shapes import OrchestrationResult
from runyard.operations.limits.concurrency_limits import ConcurrencyLimit as GlobalConcurrencyLimitResponse
from runyard.operations.schemas import Model

__all__ = [
    "DeploymentResponse",
    "FlowRunResponse",
    "GlobalConcurrencyLimitResponse",
    "MinimalConcurrencyLimitResponse",
    "OrchestrationResult",
    "SetStateStatus",
    "StateAbortDetails",
    "StateAcceptDetails",
    "StateRejectDetails",
    "StateWaitDetails",
    "WorkerFlowRunResponse",
]


class SetStateStatus(StrEnum):
    """What became of a proposed state."""

    ACCEPT = "ACCEPT"
    REJECT = "REJECT"
    ABORT = "ABORT"
    WAIT = "WAIT"


class StateAcceptDetails(Model):
    """The proposed state holds."""

    type: Literal["accept_details"] = "accept_details"


class StateRejectDetails(Model):
    """Another state holds in its place."""

    type: Literal["reject_details"] = "reject_details"
    reason: str | None = None


class StateAbortDetails(Model):
    """The run is not to go on."""

    type: Literal["abort_details"] = "abort_details"
    reason: str | None = None


class StateWaitDetails(Model):
    """The state is to be proposed again after some seconds."""

    type: Literal["wait_details"] = "wait_details"
    delay_seconds: int
    reason: str | None = None


class MinimalConcurrencyLimitResponse(Model):
    """A global limit, as those who take a slot see it."""

    id: str
    name: str
    limit: int


class WorkerFlowRunResponse(Model):
    """A run that a worker may take, and where it waits."""

    work_pool_id: str
    work_queue_id: str
    flow_run: FlowRunResponse
