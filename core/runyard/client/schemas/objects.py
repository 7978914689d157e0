"""The objects of the API: runs, flows, deployments, work pools and others, under Prefect's names."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import ConfigDict, Field

from runyard.base.state_details import StateDetails
from runyard.domain.states import TERMINAL, State, StateType
from runyard.operations.blocks.block_documents import BlockDocument
from runyard.operations.blocks.block_types import DEFAULT_BLOCK_SCHEMA_VERSION, BlockSchema, BlockType
from runyard.operations.deployments.deployment_shapes import ConcurrencyOptions, Deployment
from runyard.operations.deployments.known_flows import Flow
from runyard.operations.flow_runs.flow_run_inputs import FlowRunInput
from runyard.operations.flow_runs.flow_run_shapes import FlowRun, FlowRunPolicy
from runyard.operations.limits.concurrency_limits import ConcurrencyLimit as GlobalConcurrencyLimit
from runyard.operations.limits.tag_limits import TagLimit as ConcurrencyLimit
from runyard.operations.records.logs import Log
from runyard.operations.records.stored_artifacts import Artifact, ArtifactCollection
from runyard.operations.records.stored_variables import Variable
from runyard.operations.schedules.schedule_shapes import DeploymentSchedule
from runyard.operations.schemas import Model
from runyard.operations.task_runs.task_runs import TaskRun, TaskRunPolicy
from runyard.operations.work_pools.work_pools import WorkPool
from runyard.operations.work_pools.work_queues import WorkQueue
from runyard.operations.work_pools.workers import Worker

TERMINAL_STATES = TERMINAL
DEFAULT_AGENT_WORK_POOL_NAME = "default-agent-pool"

__all__ = [
    "DEFAULT_AGENT_WORK_POOL_NAME",
    "DEFAULT_BLOCK_SCHEMA_VERSION",
    "TERMINAL_STATES",
    "Artifact",
    "ArtifactCollection",
    "BlockDocument",
    "BlockSchema",
    "BlockType",
    "ConcurrencyLimit",
    "ConcurrencyLimitConfig",
    "ConcurrencyLimitStrategy",
    "ConcurrencyOptions",
    "Constant",
    "CreatedBy",
    "Deployment",
    "DeploymentSchedule",
    "DeploymentStatus",
    "Flow",
    "FlowRun",
    "FlowRunInput",
    "FlowRunPolicy",
    "FlowRunResult",
    "GlobalConcurrencyLimit",
    "Integration",
    "Log",
    "Parameter",
    "RunInput",
    "State",
    "StateDetails",
    "StateType",
    "TaskRun",
    "TaskRunPolicy",
    "TaskRunResult",
    "UpdatedBy",
    "Variable",
    "VersionInfo",
    "WorkPool",
    "WorkPoolStatus",
    "WorkPoolStorageConfiguration",
    "WorkQueue",
    "WorkQueueStatus",
    "Worker",
    "WorkerMetadata",
    "WorkerStatus",
]


class WorkPoolStatus(StrEnum):
    """Whether a worker of the work pool is online."""

    READY = "READY"
    NOT_READY = "NOT_READY"
    PAUSED = "PAUSED"


class WorkQueueStatus(StrEnum):
    """Whether a worker polls the work queue."""

    READY = "READY"
    NOT_READY = "NOT_READY"
    PAUSED = "PAUSED"


class WorkerStatus(StrEnum):
    """Whether a worker is online."""

    ONLINE = "ONLINE"
    OFFLINE = "OFFLINE"


class DeploymentStatus(StrEnum):
    """Whether a worker can run the deployment."""

    READY = "READY"
    NOT_READY = "NOT_READY"


class ConcurrencyLimitStrategy(StrEnum):
    """How a run is handled if its deployment's limit has no free slot."""

    ENQUEUE = "ENQUEUE"
    CANCEL_NEW = "CANCEL_NEW"


class ConcurrencyLimitConfig(ConcurrencyOptions):
    """A deployment's limit, and how runs above it are handled.

    Args:
        limit: the maximum number of concurrent runs.
    """

    limit: int = Field(ge=0)


class VersionInfo(Model):
    """The version of a deployment: its type such as `vcs:git`, the version, and further details."""

    model_config = ConfigDict(extra="allow")

    type: str
    version: str


class RunInput(Model):
    """An input of a task run; each kind has a class."""

    model_config = ConfigDict(frozen=True)

    input_type: str


class TaskRunResult(RunInput):
    """The result of a task run."""

    input_type: Literal["task_run"] = "task_run"
    id: str


class FlowRunResult(RunInput):
    """The result of a flow run."""

    input_type: Literal["flow_run"] = "flow_run"
    id: str


class Parameter(RunInput):
    """A parameter of the flow."""

    input_type: Literal["parameter"] = "parameter"
    name: str


class Constant(RunInput):
    """A value of a type."""

    input_type: Literal["constant"] = "constant"
    type: str


class CreatedBy(Model):
    """The creator of an object: a kind such as `DEPLOYMENT` or `SCHEDULE`, its id and its name."""

    id: str | None = None
    type: str | None = None
    display_value: str | None = None


class UpdatedBy(CreatedBy):
    """The author of the last update of an object."""


class Integration(Model):
    """A package that a worker has installed."""

    name: str
    version: str


class WorkerMetadata(Model):
    """The metadata that a worker reports."""

    model_config = ConfigDict(extra="allow")

    integrations: list[Integration] = Field(default_factory=list)


class WorkPoolStorageConfiguration(Model):
    """The storage for the code of a work pool's runs."""

    bundle_upload_step: dict[str, Any] | None = None
    bundle_execution_step: dict[str, Any] | None = None
    default_result_storage_block_id: str | None = None
