"""Flow runs: create, read, list, update, delete, and propose states."""

from __future__ import annotations

from typing import Any

from runyard.base import clock
from runyard.base.errors import Conflict, InvalidInput, NotFound
from runyard.base.quoting import command_of, quoted
from runyard.domain import exact_parameters, flow_run_rules
from runyard.domain.states import PENDING, RUNNING, SCHEDULED, State
from runyard.operations.filters import query
from runyard.operations.flow_runs import leases
from runyard.operations.flow_runs.change_flow_run_state import change_flow_run_state
from runyard.operations.flow_runs.flow_run_shapes import (
    VIEW_COLUMNS,
    VIEW_JOINS,
    FlowRun,
    FlowRunCreate,
    FlowRunPolicy,
    FlowRunUpdate,
    OrchestrationResult,
    SetState,
    answer_of,
    flow_run_of,
)
from runyard.operations.flow_runs.insert_flow_runs import insert_flow_run
from runyard.operations.json_columns import to_json
from runyard.operations.operation import Answer, operation
from runyard.operations.references import resolve
from runyard.operations.runs import removal
from runyard.operations.schemas import Filter, Listing, Page, Paging, StateModel, dump, load, state_of_row
from runyard.operations.work_pools.missing_pool import no_pool
from runyard.store.database import Row, Transaction

__all__ = [
    "FlowRun",
    "FlowRunCreate",
    "FlowRunPolicy",
    "FlowRunUpdate",
    "OrchestrationResult",
    "SetState",
]


class FlowRunPage(Page):
    """A page of flow runs."""

    results: list[FlowRun]


def read_row(tx: Transaction, flow_run_id: str) -> Row:
    """Read the row of a flow run, with the names of its queue and pool.

    Raises:
        NotFound: the flow run is not found.
    """
    row = tx.one(
        f"SELECT {VIEW_COLUMNS} FROM flow_runs r {VIEW_JOINS} WHERE r.id = :id",  # noqa: S608  # fixed names
        {"id": flow_run_id},
    )
    if row is None:
        raise NotFound(f"flow run {flow_run_id} not found; see: runyard flow-run ls")
    return row


# The fields of a new run that are stored in columns of the same name.
_INSERTED = {
    "flow_id", "name", "deployment_id", "deployment_version", "flow_version", "parameters", "context",
    "parent_task_run_id", "tags", "labels", "idempotency_key", "job_variables", "created_by",
}  # fmt: skip


@operation("POST", "/flow_runs/", status=201)
def create_flow_run(tx: Transaction, body: FlowRunCreate) -> Answer[FlowRun]:
    """Create a flow run. If the flow has a run with the same idempotency key, return that run.

    Raises:
        NotFound: the flow, the deployment, the work pool or the queue is not found.
        InvalidInput: a run cannot start in that state.
    """
    if tx.one("SELECT id FROM flows WHERE id = :id", {"id": body.flow_id}) is None:
        raise NotFound(f"no flow {body.flow_id}; see: runyard flow ls")
    state = body.state.to_state() if body.state else State(PENDING)
    facts = flow_run_rules.FlowRunFacts(clock.now_us(), has_deployment=body.deployment_id is not None)
    decision = flow_run_rules.decide_flow_run(None, state, facts)
    if decision.status != flow_run_rules.ACCEPT or decision.state is None:
        raise InvalidInput(f"a flow run cannot begin as {state.name}: {decision.reason}")
    columns = body.model_dump(include=_INSERTED)
    columns["empirical_policy"] = _policy(body.empirical_policy)
    columns["work_queue_id"] = _queue_id(tx, body)
    columns["root_flow_run_id"] = _root_of(tx, body)
    stored = {
        name: to_json(value) if isinstance(value, dict | list) else value for name, value in columns.items()
    }
    run_id, created = insert_flow_run(tx, stored, decision.state)
    if created and decision.state.type == RUNNING and columns["root_flow_run_id"] is None:
        leases.take(tx, read_row(tx, run_id), "external", None)
    return Answer(flow_run_of(read_row(tx, run_id)), 201 if created else 200)


def _policy(policy: FlowRunPolicy) -> dict[str, Any]:
    """The given fields of a policy. The two old names of retries apply if the new names are not given."""
    said = policy.model_dump(exclude_unset=True)
    if policy.retries is None and policy.max_retries:
        said["retries"] = policy.max_retries
    if policy.retry_delay is None and policy.retry_delay_seconds:
        said["retry_delay"] = policy.retry_delay_seconds
    return said


def _queue_id(tx: Transaction, body: FlowRunCreate) -> str | None:
    """The queue in which the run waits: the named one, the default queue of the pool, or the deployment's."""
    if body.work_pool_name is None:
        if body.work_queue_name is not None:
            raise InvalidInput("work_queue_name needs work_pool_name")
        if body.deployment_id is None:
            return None
        deployment = tx.one(
            "SELECT work_queue_id FROM deployments WHERE id = :id", {"id": body.deployment_id}
        )
        if deployment is None:
            raise NotFound(f"no deployment {body.deployment_id}; see: runyard deployment ls")
        return deployment["work_queue_id"]
    pool = tx.one(
        "SELECT id, default_queue_id FROM work_pools WHERE name = :name", {"name": body.work_pool_name}
    )
    if pool is None:
        raise no_pool(tx, body.work_pool_name)
    if body.work_queue_name is None:
        return pool["default_queue_id"]
    queue = tx.one(
        "SELECT id FROM work_queues WHERE work_pool_id = :pool AND name = :name",
        {"pool": pool["id"], "name": body.work_queue_name},
    )
    if queue is None:
        name, pool_name = body.work_queue_name, body.work_pool_name
        command = command_of("runyard work-queue create", name, options=f"--pool {quoted(pool_name)}")
        raise NotFound(f"no queue {name!r}; run: {command}")
    return queue["id"]


def _root_of(tx: Transaction, body: FlowRunCreate) -> str | None:
    """The root run, in whose process a subflow run executes. A run of a deployment has its own process."""
    if body.parent_task_run_id is None or body.deployment_id is not None:
        return None
    row = tx.one(
        """SELECT coalesce(r.root_flow_run_id, r.id) AS root FROM task_runs t
           JOIN flow_runs r ON r.id = t.flow_run_id WHERE t.id = :id""",
        {"id": body.parent_task_run_id},
    )
    return row["root"] if row else None


@operation("GET", "/flow_runs/{flow_run_id}")
def read_flow_run(tx: Transaction, flow_run_id: str) -> FlowRun:
    """Read a flow run with its state.

    Raises:
        NotFound: the flow run is not found.
    """
    return flow_run_of(read_row(tx, flow_run_id))


@operation("GET", "/runyard/flow_runs/find")
def find_flow_run(tx: Transaction, reference: str = "") -> FlowRun:
    """Find a flow run by its id, the beginning of its id, or its name.

    Args:
        reference: the id, its first 4 or more characters, or the name.

    Raises:
        NotFound: the flow run is not found.
        Conflict: several flow runs match. The message lists them.
    """
    found = resolve(tx, "flow_runs", reference, "flow run", "runyard flow-run ls")
    return flow_run_of(read_row(tx, found))


@operation("POST", "/flow_runs/filter")
def filter_flow_runs(tx: Transaction, body: Listing) -> list[FlowRun]:
    """List flow runs, newest first unless `sort` is given.

    Raises:
        InvalidInput: a filter, an operator or `sort` is unknown, or a limit is out of range.
    """
    rows = query.search(tx, "flow_runs", body.model_dump(), VIEW_COLUMNS, VIEW_JOINS)
    return [flow_run_of(row) for row in rows]


@operation("POST", "/flow_runs/paginate")
def paginate_flow_runs(tx: Transaction, body: Paging) -> FlowRunPage:
    """List a page of flow runs, with the number of all that match.

    Raises:
        InvalidInput: a filter, an operator or `sort` is unknown, or `limit` or `page` is out of range.
    """
    rows, place = query.paginate(tx, "flow_runs", body.model_dump(), VIEW_COLUMNS, VIEW_JOINS)
    return FlowRunPage(results=[flow_run_of(row) for row in rows], **place)


@operation("POST", "/flow_runs/count")
def count_flow_runs(tx: Transaction, body: Filter) -> int:
    """Count the flow runs that a filter matches.

    Raises:
        InvalidInput: a filter or an operator is unknown.
    """
    return query.count(tx, "flow_runs", body.model_dump())


@operation("PATCH", "/flow_runs/{flow_run_id}", status=204)
def update_flow_run(tx: Transaction, flow_run_id: str, body: FlowRunUpdate) -> None:
    """Update a flow run. Only the given fields change.

    Raises:
        NotFound: the flow run is not found.
        Conflict: job variables can change only while a run of a deployment is scheduled.
    """
    row = read_row(tx, flow_run_id)
    given = body.model_dump(exclude_unset=True)
    if "job_variables" in given and (row["state_type"] != SCHEDULED or row["deployment_id"] is None):
        raise Conflict(
            f"flow run {row['name']} is {row['state_name']}: job variables can change only while a run of "
            "a deployment is scheduled"
        )
    changes: dict[str, Any] = {
        name: dump(value) if name in ("parameters", "tags", "job_variables") else value
        for name, value in given.items()
        if name != "empirical_policy" and (value is not None or name == "infrastructure_pid")
    }
    if body.parameters is not None:
        changes["context"] = dump(context_of(row, body.parameters))
    if body.empirical_policy is not None:
        kept = load(row["empirical_policy"], {})
        changes["empirical_policy"] = dump({**kept, **_policy(body.empirical_policy)})
    if not changes:
        return
    names = ", ".join(f"{name} = :{name}" for name in changes)
    tx.execute(
        f"UPDATE flow_runs SET {names}, updated = :now WHERE id = :id",  # noqa: S608  # names of our model
        {**changes, "now": clock.now_us(), "id": flow_run_id},
    )


def context_of(row: Row, parameters: dict[str, Any]) -> dict[str, Any]:
    """The context of a run that gets these parameters: without the exact forms of those that change."""
    present = load(row["parameters"], {})
    changed = {name for name in {*present, *parameters} if present.get(name) != parameters.get(name)}
    return exact_parameters.without(load(row["context"], {}), changed)


@operation("PATCH", "/flow_runs/{flow_run_id}/labels", status=204)
def update_flow_run_labels(tx: Transaction, flow_run_id: str, body: dict[str, Any]) -> None:
    """Add labels to a flow run. They replace labels of the same name.

    Raises:
        NotFound: the flow run is not found.
    """
    labels = {**load(read_row(tx, flow_run_id)["labels"], {}), **body}
    tx.execute(
        "UPDATE flow_runs SET labels = :labels, updated = :now WHERE id = :id",
        {"labels": dump(labels), "now": clock.now_us(), "id": flow_run_id},
    )


@operation("DELETE", "/flow_runs/{flow_run_id}", status=204)
def delete_flow_run(tx: Transaction, flow_run_id: str) -> None:
    """Delete a flow run with all its records and its subflow runs.

    Runs of deployments that it called stay, without a parent.

    Raises:
        NotFound: the flow run is not found.
    """
    read_row(tx, flow_run_id)
    removal.remove_runs(tx, removal.with_subflows(tx, [flow_run_id]), (), clock.now_us())


@operation("POST", "/flow_runs/{flow_run_id}/set_state", status=201)
def set_flow_run_state(tx: Transaction, flow_run_id: str, body: SetState) -> Answer[OrchestrationResult]:
    """Propose a state for a flow run. The response tells whether the state was accepted.

    Raises:
        NotFound: the flow run is not found.
        StaleAttempt: the reporting attempt lost its lease.
    """
    outcome = change_flow_run_state(
        tx, flow_run_id, body.state.to_state(), force=body.force, attempt=body.attempt
    )
    return answer_of(outcome)


@operation("GET", "/flow_run_states/")
def read_flow_run_states(tx: Transaction, flow_run_id: str = "") -> list[StateModel]:
    """List all states of a flow run, oldest first."""
    rows = tx.all(
        "SELECT * FROM flow_run_states WHERE flow_run_id = :id ORDER BY timestamp, id", {"id": flow_run_id}
    )
    return [state_of_row(row) for row in rows]


@operation("GET", "/flow_run_states/{state_id}")
def read_flow_run_state(tx: Transaction, state_id: str) -> StateModel:
    """Read a state of a flow run.

    Raises:
        NotFound: the state is not found.
    """
    row = tx.one("SELECT * FROM flow_run_states WHERE id = :id", {"id": state_id})
    if row is None:
        raise NotFound(f"state {state_id} of a flow run not found; see: GET /flow_run_states/?flow_run_id=ID")
    return state_of_row(row)
