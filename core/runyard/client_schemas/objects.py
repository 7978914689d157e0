"""What the API shows: runs, flows, deployments, pools and the rest, by the names of Prefect."""

from __future__ import annotations

from enum import StrEnum

from runyard.operations.artifacts import Artifact, ArtifactCollection
from runyard.operations.block_documents import BlockDocument
from runyard.operations.block_types import BlockSchema, BlockType
from runyard.operations.concurrency_limits import ConcurrencyLimit as GlobalConcurrencyLimit
from runyard.operations.deployment_shapes import ConcurrencyOptions, Deployment
from runyard.operations.flow_run_inputs import FlowRunInput
from runyard.operations.flow_run_shapes import FlowRun, FlowRunPolicy
from runyard.operations.flows import Flow
from runyard.operations.logs import Log
from runyard.operations.schedule_shapes import DeploymentSchedule
from runyard.operations.tag_limits import TagLimit as ConcurrencyLimit
from runyard.operations.task_runs import TaskRun, TaskRunPolicy
from runyard.operations.variables import Variable
from runyard.operations.work_pools import WorkPool
from runyard.operations.work_queues import WorkQueue
from runyard.operations.workers import Worker
from runyard.states import TERMINAL, State, StateType

TERMINAL_STATES = TERMINAL

__all__ = [
    "TERMINAL_STATES",
    "Artifact",
    "ArtifactCollection",
    "BlockDocument",
    "BlockSchema",
    "BlockType",
    "ConcurrencyLimit",
    "ConcurrencyLimitStrategy",
    "ConcurrencyOptions",
    "Deployment",
    "DeploymentSchedule",
    "DeploymentStatus",
    "Flow",
    "FlowRun",
    "FlowRunInput",
    "FlowRunPolicy",
    "GlobalConcurrencyLimit",
    "Log",
    "State",
    "StateType",
    "TaskRun",
    "TaskRunPolicy",
    "Variable",
    "WorkPool",
    "WorkPoolStatus",
    "WorkQueue",
    "WorkQueueStatus",
    "Worker",
    "WorkerStatus",
]


class WorkPoolStatus(StrEnum):
    """Whether somebody works for a pool."""

    READY = "READY"
    NOT_READY = "NOT_READY"
    PAUSED = "PAUSED"


class WorkQueueStatus(StrEnum):
    """Whether somebody asks for the runs of a queue."""

    READY = "READY"
    NOT_READY = "NOT_READY"
    PAUSED = "PAUSED"


class WorkerStatus(StrEnum):
    """Whether a worker is there."""

    ONLINE = "ONLINE"
    OFFLINE = "OFFLINE"


class DeploymentStatus(StrEnum):
    """Whether somebody would run a deployment."""

    READY = "READY"
    NOT_READY = "NOT_READY"


class ConcurrencyLimitStrategy(StrEnum):
    """What becomes of a run that finds no free slot of its deployment."""

    ENQUEUE = "ENQUEUE"
    CANCEL_NEW = "CANCEL_NEW"
