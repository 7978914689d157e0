"""The models of deployments: to create, to update, to show, and the changes of a deploy."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from runyard.operations.schedules.schedule_shapes import DeploymentSchedule, DeploymentScheduleCreate
from runyard.operations.schemas import MOST_SECONDS, Input, Model, StateCreate, Time, check_name

OnLost = Literal["crash", "retry", "resume"]
POLICIES = (
    "crash_retries", "crash_retry_delay_seconds", "on_lost", "max_run_seconds", "max_lateness_seconds",
)  # fmt: skip
"""The fields of a deployment for runs that do not end by their own code."""
PLAIN = ("version", "description", "concurrency_limit", "path", "entrypoint", *POLICIES)
"""The fields that are stored as they are given."""

# These would break `flow/name` references and URLs.


class ConcurrencyOptions(Input):
    """What happens to a run when the concurrency limit of its deployment is full."""

    collision_strategy: Literal["ENQUEUE", "CANCEL_NEW"] = "ENQUEUE"
    grace_period_seconds: int | None = None


class GlobalConcurrencyLimit(Model):
    """The concurrency limit of a deployment. `active_slots` is the number of its runs that execute now."""

    id: str
    created: Time
    updated: Time
    active: bool = True
    name: str
    limit: int
    active_slots: int = 0
    slot_decay_per_second: float = 0.0


class Deployment(Model):
    """A deployment: which flow runs, with which parameters, when, and in which work pool."""

    id: str
    created: Time
    updated: Time
    name: str
    version: str | None = None
    version_info: dict[str, Any] | None = None
    description: str | None = None
    flow_id: str
    flow_name: str | None = None
    paused: bool = False
    schedules: list[DeploymentSchedule] = Field(default_factory=list)
    concurrency_limit: int | None = None
    global_concurrency_limit: GlobalConcurrencyLimit | None = None
    concurrency_options: ConcurrencyOptions | None = None
    job_variables: dict[str, Any] = Field(default_factory=dict)
    parameters: dict[str, Any] = Field(default_factory=dict)
    tags: list[str] = Field(default_factory=list)
    labels: dict[str, Any] = Field(default_factory=dict)
    work_queue_name: str | None = None
    work_queue_id: str | None = None
    work_pool_name: str | None = None
    last_polled: Time | None = None
    parameter_openapi_schema: dict[str, Any] | None = None
    path: str | None = None
    pull_steps: list[dict[str, Any]] | None = None
    entrypoint: str | None = None
    storage_document_id: str | None = None
    infrastructure_document_id: str | None = None
    created_by: dict[str, Any] | None = None
    updated_by: dict[str, Any] | None = None
    status: Literal["READY", "NOT_READY"] = "NOT_READY"
    enforce_parameter_schema: bool = True
    crash_retries: int | None = None
    crash_retry_delay_seconds: float | None = None
    on_lost: OnLost | None = None
    max_run_seconds: float | None = None
    max_lateness_seconds: float | None = None
    triggers: list[dict[str, Any]] | None = None
    owner: str | None = None


class _DeploymentFields(Input):
    """The fields of a deployment. A field that is not given keeps its stored value."""

    only_null = ("global_concurrency_limit_id",)  # here each deployment has its own limit

    version: str | None = None
    version_info: dict[str, Any] | None = None
    description: str | None = None
    paused: bool | None = None
    schedules: list[DeploymentScheduleCreate] | None = None
    concurrency_limit: int | None = Field(default=None, ge=0)
    concurrency_options: ConcurrencyOptions | None = None
    job_variables: dict[str, Any] | None = None
    parameters: dict[str, Any] | None = None
    tags: list[str] | None = None
    labels: dict[str, Any] | None = None
    work_pool_name: str | None = None
    work_queue_name: str | None = None
    parameter_openapi_schema: dict[str, Any] | None = None
    path: str | None = None
    pull_steps: list[dict[str, Any]] | None = None
    entrypoint: str | None = None
    storage_document_id: str | None = None
    infrastructure_document_id: str | None = None
    enforce_parameter_schema: bool | None = None
    crash_retries: int | None = Field(default=None, ge=0)
    crash_retry_delay_seconds: float | None = Field(default=None, ge=0, le=MOST_SECONDS)
    on_lost: OnLost | None = None
    max_run_seconds: float | None = Field(default=None, gt=0, le=MOST_SECONDS)
    max_lateness_seconds: float | None = Field(default=None, gt=0, le=MOST_SECONDS)
    triggers: list[dict[str, Any]] | None = None


class DeploymentUpdate(_DeploymentFields):
    """Changes to a deployment. Only the given fields change."""


class DeploymentCreate(_DeploymentFields):
    """A deployment to create. If the flow already has one of that name, it is updated."""

    name: str
    flow_id: str

    @field_validator("name")
    @classmethod
    def _name(cls, name: str) -> str:
        check_name("deployment", name)
        return name


class DeploymentApply(_DeploymentFields):
    """A deployment as a project's file declares it, with the name of its flow."""

    name: str
    flow_name: str

    @field_validator("name")
    @classmethod
    def _name(cls, name: str) -> str:
        check_name("deployment", name)
        return name


class DeploymentsApply(Input):
    """The deployments that one file declares. `owner` identifies the file.

    Args:
        prune: delete the deployments of this owner that are not in the list.
        whole: the list is all that the file declares: also return what prune would delete.
        dry_run: change nothing, only return what would change.
    """

    deployments: list[DeploymentApply]
    owner: str
    prune: bool = False
    whole: bool = False
    dry_run: bool = False


class Change(Model):
    """A field that a deploy changed."""

    field: str
    before: Any = None
    after: Any = None


class AppliedDeployment(Model):
    """The result for one deployment. One that `left` was declared before, is not now, and stays.

    The changes of a created deployment are its fields, with None before.
    """

    deployment: Deployment
    action: Literal["created", "updated", "unchanged", "deleted", "left"]
    changes: list[Change] = Field(default_factory=list)


class DeploymentFlowRunCreate(Input):
    """A run of a deployment to create."""

    state: StateCreate | None = None
    name: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    enforce_parameter_schema: bool | None = None
    context: dict[str, Any] = Field(default_factory=dict)
    infrastructure_document_id: str | None = None
    empirical_policy: dict[str, Any] = Field(default_factory=dict)
    tags: list[str] = Field(default_factory=list)
    idempotency_key: str | None = None
    labels: dict[str, Any] | None = None
    parent_task_run_id: str | None = None
    work_queue_name: str | None = None
    job_variables: dict[str, Any] | None = None


class DeploymentRunCreate(DeploymentFlowRunCreate):
    """A run of a deployment to create, with parameters as typed text.

    Args:
        deployment: `flow/name`, a name, an id or the beginning of an id.
        parameter_texts: typed values by parameter. They are read according to the schema of the flow.
        parameters_text: the text of a JSON object with all parameters.
        name_template: the name of the run. `{parameter}` is replaced by the value of the parameter.
        strict: reject unknown parameters and job variables, even if the deployment does not enforce them.
    """

    deployment: str
    parameter_texts: dict[str, str] = Field(default_factory=dict)
    parameters_text: str | None = None
    name_template: str | None = None
    strict: bool = False


class ScheduledRunsOfDeployments(Input):
    """The deployments that a process serves and whose due runs it requests."""

    deployment_ids: list[str]
    scheduled_before: Time | None = None
    limit: int | None = Field(default=None, ge=0)
