"""The responses of the API, under Prefect's names."""

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
    """The outcome of a proposed state."""

    ACCEPT = "ACCEPT"
    REJECT = "REJECT"
    ABORT = "ABORT"
    WAIT = "WAIT"


class StateAcceptDetails(Model):
    """The proposed state was accepted."""

    type: Literal["accept_details"] = "accept_details"


class StateRejectDetails(Model):
    """Another state was set instead."""

    type: Literal["reject_details"] = "reject_details"
    reason: str | None = None


class StateAbortDetails(Model):
    """The run must stop."""

    type: Literal["abort_details"] = "abort_details"
    reason: str | None = None


class StateWaitDetails(Model):
    """The client must propose the state again after some seconds."""

    type: Literal["wait_details"] = "wait_details"
    delay_seconds: int
    reason: str | None = None


class MinimalConcurrencyLimitResponse(Model):
    """A global limit in the response to a request for slots."""

    id: str
    name: str
    limit: int


class WorkerFlowRunResponse(Model):
    """A run that a worker may claim, with its work pool and work queue."""

    work_pool_id: str
    work_queue_id: str
    flow_run: FlowRunResponse
