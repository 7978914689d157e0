"""The client's methods for deployments, schedules, work pools, work queues and workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.base.errors import NotFound
from runyard.client.schemas.filters import as_body
from runyard.client.user_client.calling import Caller, given, listing
from runyard.client.user_client.run_calls import state_body
from runyard.operations.deployments import deployments
from runyard.operations.deployments.deployment_shapes import (
    Deployment,
    DeploymentFlowRunCreate,
    ScheduledRunsOfDeployments,
)
from runyard.operations.flow_runs import create_deployment_run, poll_due_runs
from runyard.operations.flow_runs.flow_run_shapes import FlowRun
from runyard.operations.schedules import schedules
from runyard.operations.schedules.schedule_shapes import (
    DeploymentSchedule,
    DeploymentScheduleCreate,
    DeploymentScheduleUpdate,
)
from runyard.operations.work_pools import work_pools, work_queues, workers

if TYPE_CHECKING:
    from datetime import datetime


class Work(Caller):
    """Methods for deployments and work pools."""

    def create_deployment(self, flow_id: Any, name: str, **fields: Any) -> str:
        """Create a deployment, or update the deployment with that name; returns its id."""
        body = deployments.DeploymentCreate(flow_id=str(flow_id), name=name, **given(**fields))
        return str(self._call(deployments.create_deployment, body).id)

    def read_deployment(self, deployment_id: Any) -> Deployment:
        """A deployment by its id."""
        return self._call(deployments.read_deployment, str(deployment_id))

    def read_deployment_by_name(self, name: str) -> Deployment:
        """A deployment by `flow/deployment`.

        Raises:
            NotFound: the deployment does not exist.
        """
        flow_name, slash, deployment_name = name.partition("/")
        if not slash:
            raise NotFound(f"invalid deployment name {name!r}; use flow/deployment")
        return self._call(deployments.read_deployment_by_name, flow_name, deployment_name)

    def read_deployments(
        self,
        *,
        flow_filter: Any = None,
        flow_run_filter: Any = None,
        task_run_filter: Any = None,
        deployment_filter: Any = None,
        work_pool_filter: Any = None,
        work_queue_filter: Any = None,
        limit: int | None = None,
        sort: Any = None,
        offset: int = 0,
    ) -> list[Deployment]:
        """The deployments that match the filters."""
        body = listing(
            limit,
            offset,
            sort,
            flows=flow_filter,
            flow_runs=flow_run_filter,
            task_runs=task_run_filter,
            deployments=deployment_filter,
            work_pools=work_pool_filter,
            work_queues=work_queue_filter,
        )
        return self._call(deployments.filter_deployments, body)

    def update_deployment(self, deployment_id: Any, deployment: Any) -> None:
        """Update a deployment from a DeploymentUpdate or a mapping."""
        body = deployment if hasattr(deployment, "model_dump") else deployments.DeploymentUpdate(**deployment)
        self._call(deployments.update_deployment, str(deployment_id), body)

    def delete_deployment(self, deployment_id: Any) -> None:
        """Delete a deployment."""
        self._call(deployments.delete_deployment, str(deployment_id))

    def pause_deployment(self, deployment_id: Any) -> None:
        """Pause the schedules of a deployment."""
        self._call(deployments.pause_deployment, str(deployment_id))

    def resume_deployment(self, deployment_id: Any) -> None:
        """Resume the schedules of a deployment."""
        self._call(deployments.resume_deployment, str(deployment_id))

    def set_deployment_paused_state(self, deployment_id: Any, paused: bool) -> None:
        """Pause or resume the schedules of a deployment."""
        (self.pause_deployment if paused else self.resume_deployment)(deployment_id)

    def create_flow_run_from_deployment(
        self,
        deployment_id: Any,
        *,
        parameters: dict[str, Any] | None = None,
        context: dict[str, Any] | None = None,
        state: Any = None,
        name: str | None = None,
        tags: Any = None,
        idempotency_key: str | None = None,
        parent_task_run_id: Any = None,
        work_queue_name: str | None = None,
        job_variables: dict[str, Any] | None = None,
        labels: dict[str, Any] | None = None,
        enforce_parameter_schema: bool | None = None,
    ) -> FlowRun:
        """Create a run of a deployment."""
        fields = given(
            parameters=parameters,
            context=context,
            state=None if state is None else state_body(state),
            name=name,
            tags=None if tags is None else sorted(tags),
            idempotency_key=idempotency_key,
            parent_task_run_id=parent_task_run_id,
            work_queue_name=work_queue_name,
            job_variables=job_variables,
            labels=labels,
            enforce_parameter_schema=enforce_parameter_schema,
        )
        operation = create_deployment_run.create_flow_run_from_deployment
        return self._call(operation, str(deployment_id), DeploymentFlowRunCreate(**fields))

    def read_deployment_schedules(self, deployment_id: Any) -> list[DeploymentSchedule]:
        """The schedules of a deployment."""
        return self._call(schedules.read_deployment_schedules, str(deployment_id))

    def create_deployment_schedules(
        self, deployment_id: Any, schedules_: list[tuple[Any, bool]]
    ) -> list[DeploymentSchedule]:
        """Create schedules from pairs of a schedule and whether it is active."""
        body = [
            DeploymentScheduleCreate(
                schedule=schedule.model_dump(exclude_none=True)
                if hasattr(schedule, "model_dump")
                else schedule,
                active=active,
            )
            for schedule, active in schedules_
        ]
        return self._call(schedules.create_deployment_schedules, str(deployment_id), body)

    def update_deployment_schedule(
        self, deployment_id: Any, schedule_id: Any, active: bool | None = None, schedule: Any = None
    ) -> None:
        """Update a schedule, or whether it is active."""
        body = DeploymentScheduleUpdate(**given(active=active, schedule=schedule))
        self._call(schedules.update_deployment_schedule, str(deployment_id), str(schedule_id), body)

    def delete_deployment_schedule(self, deployment_id: Any, schedule_id: Any) -> None:
        """Delete a schedule."""
        self._call(schedules.delete_deployment_schedule, str(deployment_id), str(schedule_id))

    def create_work_pool(self, work_pool: Any) -> work_pools.WorkPool:
        """Create a work pool from a WorkPoolCreate."""
        return self._call(work_pools.create_work_pool, work_pool)

    def read_work_pool(self, work_pool_name: str) -> work_pools.WorkPool:
        """A work pool by its name."""
        return self._call(work_pools.read_work_pool, work_pool_name)

    def read_work_pools(
        self, limit: int | None = None, offset: int = 0, work_pool_filter: Any = None
    ) -> list[work_pools.WorkPool]:
        """The work pools that match the filter."""
        return self._call(work_pools.filter_work_pools, listing(limit, offset, work_pools=work_pool_filter))

    def update_work_pool(self, work_pool_name: str, work_pool: Any) -> None:
        """Update a work pool from a WorkPoolUpdate."""
        self._call(work_pools.update_work_pool, work_pool_name, work_pool)

    def delete_work_pool(self, work_pool_name: str) -> None:
        """Delete a work pool."""
        self._call(work_pools.delete_work_pool, work_pool_name)

    def create_work_queue(self, name: str, work_pool_name: str, **fields: Any) -> work_queues.WorkQueue:
        """Create a queue of a work pool; `fields` are description, is_paused, concurrency_limit, priority."""
        body = work_queues.WorkQueueCreate(name=name, **given(**fields))
        return self._call(work_queues.create_work_queue, work_pool_name, body)

    def read_work_queue(self, id: Any) -> work_queues.WorkQueue:
        """A queue by its id."""
        return self._call(work_queues.read_work_queue_by_id, str(id))

    def read_work_queue_by_name(self, name: str, work_pool_name: str) -> work_queues.WorkQueue:
        """A queue by its name and the name of its work pool."""
        return self._call(work_queues.read_work_queue, work_pool_name, name)

    def read_work_queues(
        self,
        work_pool_name: str | None = None,
        work_queue_filter: Any = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> list[work_queues.WorkQueue]:
        """The queues of a work pool, or of all work pools."""
        body = listing(limit, offset, work_queues=work_queue_filter)
        if work_pool_name is None:
            return self._call(work_queues.filter_all_work_queues, body)
        return self._call(work_queues.filter_work_queues, work_pool_name, body)

    def update_work_queue(self, id: Any, **changes: Any) -> None:
        """Update a queue."""
        self._call(work_queues.update_work_queue_by_id, str(id), work_queues.WorkQueueUpdate(**changes))

    def delete_work_queue_by_id(self, id: Any) -> None:
        """Delete a queue."""
        self._call(work_queues.delete_work_queue_by_id, str(id))

    def match_work_queues(
        self, prefixes: list[str], work_pool_name: str | None = None
    ) -> list[work_queues.WorkQueue]:
        """The queues whose names start with one of the prefixes."""
        found = self.read_work_queues(work_pool_name)
        return [queue for queue in found if queue.name.startswith(tuple(prefixes))]

    def get_scheduled_flow_runs_for_work_pool(
        self,
        work_pool_name: str,
        work_queue_names: list[str] | None = None,
        scheduled_before: datetime | None = None,
    ) -> list[poll_due_runs.WorkerFlowRun]:
        """The runs of a work pool that may start now, or until the given time."""
        body = poll_due_runs.ScheduledRunsRequest(
            work_queue_names=work_queue_names, scheduled_before=scheduled_before
        )
        return self._call(poll_due_runs.get_scheduled_flow_runs, work_pool_name, body)

    def get_scheduled_flow_runs_for_deployments(
        self,
        deployment_ids: list[Any],
        scheduled_before: datetime | None = None,
        limit: int | None = None,
    ) -> list[FlowRun]:
        """The runs of deployments that are due now, or at the given time."""
        body = ScheduledRunsOfDeployments(
            deployment_ids=[str(each) for each in deployment_ids],
            scheduled_before=scheduled_before,
            limit=limit,
        )
        return self._call(poll_due_runs.get_scheduled_flow_runs_of_deployments, body)

    def read_workers_for_work_pool(
        self,
        work_pool_name: str,
        worker_filter: Any = None,
        offset: int | None = None,
        limit: int | None = None,
    ) -> list[workers.Worker]:
        """The workers of a pool."""
        fields = given(workers=as_body(worker_filter), offset=offset, limit=limit)
        return self._call(workers.filter_workers, work_pool_name, workers.WorkerListing(**fields))
