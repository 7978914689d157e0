"""The client's methods for flows, flow runs, task runs, inputs and logs."""

from __future__ import annotations

import json
from typing import Any

from runyard.client.schemas.filters import as_body
from runyard.client.user_client.calling import Caller, given, listing
from runyard.domain import states
from runyard.operations.deployments import known_flows
from runyard.operations.flow_runs import flow_run_inputs, flow_runs, pauses
from runyard.operations.records import logs
from runyard.operations.schemas import StateCreate
from runyard.operations.task_runs import task_runs


def state_body(state: Any) -> StateCreate:
    """The body of a proposed state, from a State or an object of the API."""
    return state if isinstance(state, StateCreate) else StateCreate.of(state)


class Runs(Caller):
    """Methods for flows and runs."""

    def create_flow(self, flow: Any) -> str:
        """Create a flow, or find it by its name; returns its id."""
        return self.create_flow_from_name(flow.name)

    def create_flow_from_name(self, flow_name: str) -> str:
        """Create a flow with that name, or find it; returns its id."""
        return str(self._call(known_flows.create_flow, known_flows.FlowCreate(name=flow_name)).id)

    def read_flow(self, flow_id: Any) -> known_flows.Flow:
        """A flow by its id."""
        return self._call(known_flows.read_flow, str(flow_id))

    def read_flow_by_name(self, flow_name: str) -> known_flows.Flow:
        """A flow by its name."""
        return self._call(known_flows.read_flow_by_name, flow_name)

    def read_flows(
        self,
        *,
        flow_filter: Any = None,
        flow_run_filter: Any = None,
        task_run_filter: Any = None,
        deployment_filter: Any = None,
        work_pool_filter: Any = None,
        work_queue_filter: Any = None,
        sort: Any = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[known_flows.Flow]:
        """The flows that match the filters."""
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
        return self._call(known_flows.filter_flows, body)

    def delete_flow(self, flow_id: Any) -> None:
        """Delete a flow."""
        self._call(known_flows.delete_flow, str(flow_id))

    def create_flow_run(
        self,
        flow: Any,
        name: str | None = None,
        parameters: dict[str, Any] | None = None,
        context: dict[str, Any] | None = None,
        tags: Any = None,
        parent_task_run_id: Any = None,
        state: Any = None,
        work_pool_name: str | None = None,
        work_queue_name: str | None = None,
        job_variables: dict[str, Any] | None = None,
    ) -> flow_runs.FlowRun:
        """Create a run of a flow, without executing it."""
        fields = given(
            flow_id=self.create_flow(flow),
            name=name,
            parameters=parameters,
            context=context,
            tags=None if tags is None else sorted(tags),
            parent_task_run_id=parent_task_run_id,
            state=None if state is None else state_body(state),
            work_pool_name=work_pool_name,
            work_queue_name=work_queue_name,
            job_variables=job_variables,
        )
        return self._call(flow_runs.create_flow_run, flow_runs.FlowRunCreate(**fields))

    def read_flow_run(self, flow_run_id: Any) -> flow_runs.FlowRun:
        """A flow run by its id."""
        return self._call(flow_runs.read_flow_run, str(flow_run_id))

    def read_flow_runs(
        self,
        *,
        flow_filter: Any = None,
        flow_run_filter: Any = None,
        task_run_filter: Any = None,
        deployment_filter: Any = None,
        work_pool_filter: Any = None,
        work_queue_filter: Any = None,
        sort: Any = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[flow_runs.FlowRun]:
        """The flow runs that match the filters, at most 200; the default of `sort` is the newest first."""
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
        return self._call(flow_runs.filter_flow_runs, body)

    def count_flow_runs(
        self,
        *,
        flow_filter: Any = None,
        flow_run_filter: Any = None,
        task_run_filter: Any = None,
        deployment_filter: Any = None,
        work_pool_filter: Any = None,
        work_queue_filter: Any = None,
    ) -> int:
        """The number of flow runs that match the filters."""
        body = listing(
            flows=flow_filter,
            flow_runs=flow_run_filter,
            task_runs=task_run_filter,
            deployments=deployment_filter,
            work_pools=work_pool_filter,
            work_queues=work_queue_filter,
        )
        return self._call(flow_runs.count_flow_runs, body)

    def update_flow_run(self, flow_run_id: Any, **changes: Any) -> None:
        """Update a flow run: `name`, `parameters`, `tags`, `job_variables` and similar fields."""
        said = given(**changes)
        if "tags" in said:
            said["tags"] = sorted(said["tags"])
        self._call(flow_runs.update_flow_run, str(flow_run_id), flow_runs.FlowRunUpdate(**said))

    def set_flow_run_name(self, flow_run_id: Any, name: str) -> None:
        """Rename a flow run."""
        self.update_flow_run(flow_run_id, name=name)

    def update_flow_run_labels(self, flow_run_id: Any, labels: dict[str, Any]) -> None:
        """Add labels to a flow run."""
        self._call(flow_runs.update_flow_run_labels, str(flow_run_id), labels)

    def delete_flow_run(self, flow_run_id: Any) -> None:
        """Delete a flow run and its related records."""
        self._call(flow_runs.delete_flow_run, str(flow_run_id))

    def set_flow_run_state(
        self, flow_run_id: Any, state: Any, force: bool = False
    ) -> flow_runs.OrchestrationResult:
        """Propose a state of a flow run; returns the outcome."""
        body = flow_runs.SetState(state=state_body(state), force=force)
        return self._call(flow_runs.set_flow_run_state, str(flow_run_id), body)

    def read_flow_run_states(self, flow_run_id: Any) -> list[Any]:
        """All states of a flow run, the oldest first."""
        return self._call(flow_runs.read_flow_run_states, flow_run_id=str(flow_run_id))

    def resume_flow_run(
        self, flow_run_id: Any, run_input: dict[str, Any] | None = None
    ) -> flow_runs.OrchestrationResult:
        """Resume a paused flow run."""
        body = pauses.ResumeFlowRun(run_input=run_input)
        return self._call(pauses.resume_flow_run, str(flow_run_id), body)

    def cancel_flow_run(self, flow_run_id: Any) -> flow_runs.OrchestrationResult:
        """Cancel a flow run."""
        return self.set_flow_run_state(flow_run_id, states.Cancelling())

    def create_flow_run_input(
        self, flow_run_id: Any, key: str, value: str, sender: str | None = None
    ) -> None:
        """Store an input of a flow run; `value` is JSON text."""
        json.loads(value)
        body = flow_run_inputs.FlowRunInputCreate(key=key, value=value, sender=sender)
        self._call(flow_run_inputs.create_flow_run_input, str(flow_run_id), body)

    def filter_flow_run_input(
        self, flow_run_id: Any, key_prefix: str, limit: int, exclude_keys: Any = ()
    ) -> list[flow_run_inputs.FlowRunInput]:
        """The inputs of a flow run whose keys have the prefix."""
        body = flow_run_inputs.FlowRunInputFilter(
            prefix=key_prefix, limit=limit, exclude_keys=sorted(exclude_keys)
        )
        return self._call(flow_run_inputs.filter_flow_run_input, str(flow_run_id), body)

    def read_flow_run_input(self, flow_run_id: Any, key: str) -> str:
        """The JSON text of an input."""
        return self._call(flow_run_inputs.read_flow_run_input, str(flow_run_id), key)

    def delete_flow_run_input(self, flow_run_id: Any, key: str) -> None:
        """Delete an input."""
        self._call(flow_run_inputs.delete_flow_run_input, str(flow_run_id), key)

    def create_task_run(
        self,
        task: Any,
        flow_run_id: Any,
        dynamic_key: str,
        id: Any = None,
        name: str | None = None,
        extra_tags: Any = None,
        state: Any = None,
        task_inputs: dict[str, list[Any]] | None = None,
    ) -> task_runs.TaskRun:
        """Create a run of a task, without executing it."""
        body = task_runs.TaskRunCreate(
            task_key=task.task_key,
            dynamic_key=str(dynamic_key),
            tags=sorted({*task.tags, *(extra_tags or ())}),
            **given(
                id=None if id is None else str(id),
                name=name or f"{task.name}-{dynamic_key}",
                flow_run_id=flow_run_id,
                state=None if state is None else state_body(state),
                task_inputs=task_inputs,
            ),
        )
        return self._call(task_runs.create_task_run, body)

    def read_task_run(self, task_run_id: Any) -> task_runs.TaskRun:
        """A task run by its id."""
        return self._call(task_runs.read_task_run, str(task_run_id))

    def read_task_runs(
        self,
        *,
        flow_filter: Any = None,
        flow_run_filter: Any = None,
        task_run_filter: Any = None,
        deployment_filter: Any = None,
        sort: Any = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[task_runs.TaskRun]:
        """The task runs that match the filters, at most 200."""
        body = listing(
            limit,
            offset,
            sort,
            flows=flow_filter,
            flow_runs=flow_run_filter,
            task_runs=task_run_filter,
            deployments=deployment_filter,
        )
        return self._call(task_runs.filter_task_runs, body)

    def read_task_run_states(self, task_run_id: Any) -> list[Any]:
        """All states of a task run, the oldest first."""
        return self._call(task_runs.read_task_run_states, task_run_id=str(task_run_id))

    def set_task_run_name(self, task_run_id: Any, name: str) -> None:
        """Rename a task run."""
        self._call(task_runs.update_task_run, str(task_run_id), task_runs.TaskRunUpdate(name=name))

    def set_task_run_state(self, task_run_id: Any, state: Any, force: bool = False) -> Any:
        """Propose a state of a task run."""
        body = flow_runs.SetState(state=state_body(state), force=force)
        return self._call(task_runs.set_task_run_state, str(task_run_id), body)

    def delete_task_run(self, task_run_id: Any) -> None:
        """Delete a task run."""
        self._call(task_runs.delete_task_run, str(task_run_id))

    def create_logs(self, logs_: Any) -> None:
        """Store log records."""
        records = [each if isinstance(each, logs.LogCreate) else logs.LogCreate(**each) for each in logs_]
        self._call(logs.create_logs, records)

    def read_logs(
        self,
        log_filter: Any = None,
        limit: int | None = None,
        offset: int | None = None,
        sort: Any = "TIMESTAMP_ASC",
    ) -> list[logs.Log]:
        """The log records that match the filter, at most 200."""
        body = logs.LogListing(logs=as_body(log_filter), limit=limit, offset=offset, sort=str(sort))
        return self._call(logs.filter_logs, body)
