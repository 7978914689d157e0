"""What dashboards ask about flow runs and flows: points of a chart, counts by id, and next runs."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from runyard.base import clock
from runyard.operations.filters import query
from runyard.operations.flow_runs.flow_run_shapes import estimates
from runyard.operations.operation import operation
from runyard.operations.runs import removal
from runyard.operations.schemas import Listing, Model, Query, Seconds, StateType, Time, moment
from runyard.store.database import Transaction

_MOST_POINTS = 1_000
_MOST_IDS = 200


class SimpleFlowRun(Model):
    """A flow run as a point of a chart. `timestamp` is its start, or its expected start."""

    id: str
    state_type: StateType | None = None
    timestamp: Time | None = None
    duration: Seconds = timedelta()
    lateness: Seconds = timedelta()


class SimpleNextFlowRun(Model):
    """The run of a flow that is due next."""

    id: str
    flow_id: str
    name: str
    state_name: str | None = None
    state_type: StateType
    next_scheduled_start_time: Time


class FlowRunIds(Query):
    """The ids of up to 200 flow runs."""

    flow_run_ids: list[str] = Field(max_length=_MOST_IDS)


class FlowIds(Query):
    """The ids of up to 200 flows."""

    flow_ids: list[str] = Field(max_length=_MOST_IDS)


@operation("POST", "/ui/flow_runs/history", write=False)
def read_flow_run_points(tx: Transaction, body: Listing) -> list[SimpleFlowRun]:
    """List flow runs as points of a chart, the latest expected start first; `limit` is at most 1000.

    Raises:
        InvalidInput: a filter, an operator or `sort` is unknown, or a limit is out of range.
    """
    asked = {**body.model_dump(), "sort": body.sort or "EXPECTED_START_TIME_DESC"}
    columns = "r.id, r.state_type, r.state_timestamp, r.start_time, r.expected_start_time, r.total_run_time"
    points = []
    for row in query.search(tx, "flow_runs", asked, columns, most=_MOST_POINTS):
        began = row["start_time"] if row["start_time"] is not None else row["expected_start_time"]
        duration, lateness = estimates(row)
        points.append(
            SimpleFlowRun(
                id=row["id"],
                state_type=row["state_type"],
                timestamp=moment(began),
                duration=duration,
                lateness=lateness,
            )
        )
    return points


@operation("POST", "/ui/flow_runs/count-task-runs", write=False)
def count_task_runs_of_flow_runs(tx: Transaction, body: FlowRunIds) -> dict[str, int]:
    """Count the task runs of flow runs, by id, without those that stand for subflow runs."""
    wanted, values = removal.named(body.flow_run_ids, "f")
    rows = tx.all(
        f"SELECT t.flow_run_id AS id, count(*) AS number FROM task_runs t WHERE t.flow_run_id IN ({wanted}) "  # noqa: S608  # names
        "AND NOT EXISTS (SELECT 1 FROM flow_runs r WHERE r.parent_task_run_id = t.id) GROUP BY t.flow_run_id",
        values,
    )
    found = {row["id"]: int(row["number"]) for row in rows}
    return {one: found.get(one, 0) for one in body.flow_run_ids}


@operation("POST", "/ui/flows/count-deployments", write=False)
def count_deployments_of_flows(tx: Transaction, body: FlowIds) -> dict[str, int]:
    """Count the deployments of flows, by id."""
    wanted, values = removal.named(body.flow_ids, "f")
    rows = tx.all(
        f"SELECT flow_id AS id, count(*) AS number FROM deployments WHERE flow_id IN ({wanted}) "  # noqa: S608  # names
        "GROUP BY flow_id",
        values,
    )
    found = {row["id"]: int(row["number"]) for row in rows}
    return {one: found.get(one, 0) for one in body.flow_ids}


@operation("POST", "/ui/flows/next-runs", write=False)
def read_next_runs_of_flows(tx: Transaction, body: FlowIds) -> dict[str, SimpleNextFlowRun | None]:
    """Read the scheduled run of each flow that is due first, by the flow's id; null if none waits."""
    wanted, values = removal.named(body.flow_ids, "f")
    # Not by the index of a flow's runs, which has all of its past.
    rows = tx.all(
        "SELECT r.id, r.flow_id, r.name, r.state_name, r.state_type, r.next_scheduled_start_time AS due "  # noqa: S608  # names
        "FROM (SELECT flow_id, min(next_scheduled_start_time) AS first FROM flow_runs "
        f"WHERE state_type = 'SCHEDULED' AND flow_id || '' IN ({wanted}) GROUP BY flow_id) n "
        "JOIN flow_runs r ON r.next_scheduled_start_time = n.first AND r.flow_id || '' = n.flow_id "
        "WHERE r.state_type = 'SCHEDULED' ORDER BY r.id DESC",
        values,
    )
    found = {row["flow_id"]: row for row in rows}
    return {
        one: SimpleNextFlowRun(next_scheduled_start_time=clock.from_us(found[one]["due"]), **found[one])
        if one in found
        else None
        for one in body.flow_ids
    }
