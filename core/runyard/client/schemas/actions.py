"""The request bodies of the API to create and update objects, under Prefect's names."""

from runyard.operations.blocks.block_documents import BlockDocumentCreate, BlockDocumentUpdate
from runyard.operations.blocks.block_types import BlockSchemaCreate, BlockTypeCreate, BlockTypeUpdate
from runyard.operations.deployments.deployment_shapes import DeploymentFlowRunCreate
from runyard.operations.deployments.deployments import DeploymentCreate, DeploymentUpdate
from runyard.operations.deployments.known_flows import FlowCreate, FlowUpdate
from runyard.operations.flow_runs.flow_run_shapes import FlowRunCreate, FlowRunUpdate
from runyard.operations.limits.concurrency_limits import (
    ConcurrencyLimitCreate as GlobalConcurrencyLimitCreate,
)
from runyard.operations.limits.concurrency_limits import (
    ConcurrencyLimitUpdate as GlobalConcurrencyLimitUpdate,
)
from runyard.operations.limits.tag_limits import TagLimitCreate as ConcurrencyLimitCreate
from runyard.operations.records.logs import LogCreate
from runyard.operations.records.stored_artifacts import ArtifactCreate, ArtifactUpdate
from runyard.operations.records.stored_variables import VariableCreate, VariableUpdate
from runyard.operations.schedules.schedule_shapes import DeploymentScheduleCreate, DeploymentScheduleUpdate
from runyard.operations.schemas import StateCreate
from runyard.operations.task_runs.task_runs import TaskRunCreate, TaskRunUpdate
from runyard.operations.work_pools.work_pools import WorkPoolCreate, WorkPoolUpdate
from runyard.operations.work_pools.work_queues import WorkQueueCreate, WorkQueueUpdate

__all__ = [
    "ArtifactCreate",
    "ArtifactUpdate",
    "BlockDocumentCreate",
    "BlockDocumentUpdate",
    "BlockSchemaCreate",
    "BlockTypeCreate",
    "BlockTypeUpdate",
    "ConcurrencyLimitCreate",
    "DeploymentCreate",
    "DeploymentFlowRunCreate",
    "DeploymentScheduleCreate",
    "DeploymentScheduleUpdate",
    "DeploymentUpdate",
    "FlowCreate",
    "FlowRunCreate",
    "FlowRunUpdate",
    "FlowUpdate",
    "GlobalConcurrencyLimitCreate",
    "GlobalConcurrencyLimitUpdate",
    "LogCreate",
    "StateCreate",
    "TaskRunCreate",
    "TaskRunUpdate",
    "VariableCreate",
    "VariableUpdate",
    "WorkPoolCreate",
    "WorkPoolUpdate",
    "WorkQueueCreate",
    "WorkQueueUpdate",
]
