"""Lists due runs for workers and agents that claim each run by setting its state to PENDING."""

from __future__ import annotations

from pydantic import Field

from runyard.base import clock
from runyard.base.errors import NotFound
from runyard.operations import lease_clock
from runyard.operations.deployments.deployment_shapes import (
    ScheduledRunsOfDeployments,
)
from runyard.operations.flow_runs import flow_runs
from runyard.operations.flow_runs.claim_flow_runs import POLL_NOTE_US
from runyard.operations.flow_runs.due_runs import MOST_AT_ONCE, due_of_pool
from runyard.operations.flow_runs.flow_run_shapes import FlowRun, flow_run_of
from runyard.operations.operation import operation
from runyard.operations.schemas import Input, Model, Time
from runyard.operations.work_pools.work_pools import LONE_POOL as POOL
from runyard.operations.work_pools.work_pools import pool_row
from runyard.operations.work_pools.work_queues import (
    mark_polled,
    queue_rows,
    read_work_queue_by_id,
)
from runyard.store.database import Transaction


class ScheduledRunsRequest(Input):
    """Which due runs of a work pool to list. The default of `scheduled_before` is now."""

    work_queue_names: list[str] | None = None
    scheduled_before: Time | None = None
    scheduled_after: Time | None = None
    limit: int | None = Field(default=None, ge=0)


class WorkerFlowRun(Model):
    """A due run, with the ids of its work pool and work queue."""

    work_pool_id: str
    work_queue_id: str
    flow_run: FlowRun


@operation("POST", "/work_pools/{work_pool_name}/get_scheduled_flow_runs")
def get_scheduled_flow_runs(
    tx: Transaction, work_pool_name: str, body: ScheduledRunsRequest
) -> list[WorkerFlowRun]:
    """List the runs that may start, for workers that claim each run by setting its state to PENDING.

    Raises:
        NotFound: the work pool is not found, or it has none of the given queues.
    """
    pool, now = pool_row(tx, work_pool_name), lease_clock.wall(tx)
    known = {queue["name"] for queue in queue_rows(tx, pool["id"])}
    if body.work_queue_names and not known & set(body.work_queue_names):
        raise NotFound(f"work pool {work_pool_name!r} has no queue {', '.join(body.work_queue_names)}")
    until = now if body.scheduled_before is None else clock.to_us(body.scheduled_before)
    limit = MOST_AT_ONCE if body.limit is None else body.limit
    look = due_of_pool(tx, pool, body.work_queue_names, limit, until)
    mark_polled(tx, look.queue_ids, now, POLL_NOTE_US)
    runs = [flow_run_of(flow_runs.read_row(tx, run_id)) for run_id in look.start]
    earliest = body.scheduled_after
    return [
        WorkerFlowRun(work_pool_id=pool["id"], work_queue_id=run.work_queue_id or "", flow_run=run)
        for run in runs
        if earliest is None
        or (run.next_scheduled_start_time is not None and run.next_scheduled_start_time >= earliest)
    ]


@operation("POST", "/deployments/get_scheduled_flow_runs")
def get_scheduled_flow_runs_of_deployments(
    tx: Transaction, body: ScheduledRunsOfDeployments
) -> list[FlowRun]:
    """List the due runs of deployments, earliest first, for a process that serves the deployments."""
    if not body.deployment_ids:
        return []
    now = clock.now_us()
    names = {f"id{index}": key for index, key in enumerate(body.deployment_ids)}
    marks = ", ".join(f":{name}" for name in names)
    tx.execute(
        f"UPDATE deployments SET last_polled = :now WHERE id IN ({marks})",  # noqa: S608  # only :names
        {**names, "now": now},
    )
    limit = MOST_AT_ONCE if body.limit is None else min(body.limit, MOST_AT_ONCE)
    before = now if body.scheduled_before is None else clock.to_us(body.scheduled_before)
    rows = tx.all(
        f"""SELECT id FROM flow_runs WHERE deployment_id IN ({marks}) AND state_type = 'SCHEDULED'
            AND next_scheduled_start_time <= :before
            ORDER BY next_scheduled_start_time, id LIMIT :limit""",  # noqa: S608  # only :names
        {**names, "before": before, "limit": limit},
    )
    return [flow_runs.read_flow_run(tx, row["id"]) for row in rows]


class QueueRunsRequest(Input):
    """Which runs of a queue to list: at most `limit` runs, due at `scheduled_before` (default: now)."""

    only_null = ("agent_id",)

    scheduled_before: Time | None = None
    limit: int | None = Field(default=None, ge=0)


@operation("POST", "/work_queues/{work_queue_id}/get_runs")
def get_runs_of_queue(tx: Transaction, work_queue_id: str, body: QueueRunsRequest) -> list[FlowRun]:
    """List the runs of a queue that may start, for agents that claim each run by setting it to PENDING.

    Raises:
        NotFound: the queue is not found.
    """
    queue = read_work_queue_by_id(tx, work_queue_id)
    request = ScheduledRunsRequest(
        work_queue_names=[queue.name], scheduled_before=body.scheduled_before, limit=body.limit
    )
    return [found.flow_run for found in get_scheduled_flow_runs(tx, queue.work_pool_name or POOL, request)]
