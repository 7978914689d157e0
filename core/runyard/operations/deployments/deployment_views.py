"""Converts rows of deployments to models, with names of flow, queue and pool, and schedules."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from runyard.base import clock
from runyard.base.errors import NotFound
from runyard.operations.deployments.deployment_shapes import (
    POLICIES,
    ConcurrencyOptions,
    Deployment,
    GlobalConcurrencyLimit,
)
from runyard.operations.schedules import schedules
from runyard.operations.schemas import load, moment
from runyard.store.database import Row, Transaction

# The columns and joins of a listing of `deployments d`.
COLUMNS = """d.*, df.name AS flow_name, dq.name AS work_queue_name, dq.last_polled AS queue_polled,
    dp.name AS work_pool_name,
    (SELECT count(*) FROM leases dl WHERE dl.deployment_id = d.id) AS active_slots"""
JOINS = """JOIN flows df ON df.id = d.flow_id LEFT JOIN work_queues dq ON dq.id = d.work_queue_id
    LEFT JOIN work_pools dp ON dp.id = dq.work_pool_id"""
# A deployment is ready if a worker or a serving process polled it within this time.
_POLLED_WITHIN = timedelta(seconds=60)


def to_models(tx: Transaction, rows: list[Row]) -> list[Deployment]:
    """Convert joined rows to deployments with their schedules."""
    by_deployment = schedules.of_deployments(tx, [row["id"] for row in rows])
    return [_to_model(row, by_deployment[row["id"]]) for row in rows]


def _to_model(row: Row, its_schedules: list[Any]) -> Deployment:
    options = load(row["concurrency_options"])
    polled = max((row["last_polled"] or 0), (row["queue_polled"] or 0))
    ready = polled and clock.now() - clock.from_us(polled) <= _POLLED_WITHIN
    json_fields = ("version_info", "job_variables", "parameters", "tags", "labels", "pull_steps", "triggers")
    return Deployment.model_construct(
        **{
            name: row[name]
            for name in (
                "id", "name", "version", "description", "flow_id", "flow_name", "concurrency_limit",
                "work_queue_name", "work_queue_id", "work_pool_name", "path", "entrypoint",
                "owner", *POLICIES,
            )
        },
        **{name: load(row[name]) for name in json_fields},
        created=clock.from_us(row["created"]),
        updated=clock.from_us(row["updated"]),
        paused=bool(row["paused"]),
        schedules=its_schedules,
        concurrency_options=None if options is None else ConcurrencyOptions.model_validate(options),
        global_concurrency_limit=_limit(row),
        last_polled=moment(polled or None),
        parameter_openapi_schema=load(row["parameter_openapi_schema"]),
        enforce_parameter_schema=bool(row["enforce_parameter_schema"]),
        status="READY" if ready else "NOT_READY",
    )  # fmt: skip


def _limit(row: Row) -> GlobalConcurrencyLimit | None:
    if row["concurrency_limit"] is None:
        return None
    return GlobalConcurrencyLimit(
        id=row["id"],
        created=clock.from_us(row["created"]),
        updated=clock.from_us(row["updated"]),
        name=f"deployment:{row['id']}",
        limit=row["concurrency_limit"],
        active_slots=row["active_slots"],
    )


def select(tx: Transaction, where: str, values: dict[str, Any]) -> list[Deployment]:
    """Read the deployments that match an SQL condition (tables `d` and `df`), sorted by name."""
    sql = f"SELECT {COLUMNS} FROM deployments d {JOINS} WHERE {where} ORDER BY df.name, d.name"  # noqa: S608  # ours
    return to_models(tx, tx.all(sql, values))


def one(tx: Transaction, deployment_id: str) -> Deployment:
    """Read a deployment.

    Raises:
        NotFound: the deployment is not found.
    """
    found = select(tx, "d.id = :id", {"id": deployment_id})
    if not found:
        raise NotFound(f"deployment {deployment_id} not found; see: runyard deployment ls")
    return found[0]
