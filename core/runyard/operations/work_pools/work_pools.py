"""Work pools: where runs start, and how many run at once. Each pool is created with a queue `default`."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

from pydantic import Field

from runyard.base import clock, ids
from runyard.base.errors import Conflict, NotAllowed, NotFound
from runyard.base.quoting import command_of
from runyard.base.texts import counted
from runyard.domain import job_secrets, job_templates
from runyard.domain.states import SCHEDULED
from runyard.operations.blocks.hidden_fields import hidden_fields
from runyard.operations.filters import query
from runyard.operations.operation import operation
from runyard.operations.schemas import Filter, Input, Listing, Model, Time, check_name, dump, load, moment
from runyard.operations.work_pools import online
from runyard.operations.work_pools.missing_pool import no_pool
from runyard.store.database import Row, Transaction

_COLUMNS = f"""p.*,
    (SELECT count(*) FROM leases l JOIN work_queues lq ON lq.id = l.work_queue_id
     WHERE lq.work_pool_id = p.id) AS active_slots,
    EXISTS (SELECT 1 FROM workers w WHERE w.work_pool_id = p.id AND {online.ONLINE}) AS has_worker"""  # noqa: S608  # fixed
# These would break URLs; as in deployments' names.
_DEFAULT_QUEUE = "default"
# The pool of the queues that are named without a pool, as in Prefect.
LONE_POOL = "default-agent-pool"


class StorageConfiguration(Model):
    """Where clients keep code bundles and results. The server stores it and does not use it."""

    bundle_upload_step: dict[str, Any] | None = None
    bundle_execution_step: dict[str, Any] | None = None
    default_result_storage_block_id: str | None = None


class WorkPool(Model):
    """A work pool. `active_slots` is the number of its runs that execute now."""

    id: str
    created: Time
    updated: Time
    name: str
    description: str | None = None
    type: str
    base_job_template: dict[str, Any] = Field(default_factory=dict)
    is_paused: bool = False
    concurrency_limit: int | None = None
    status: Literal["READY", "NOT_READY", "PAUSED"] | None = None
    default_queue_id: str | None = None
    storage_configuration: StorageConfiguration = Field(default_factory=StorageConfiguration)
    active_slots: int = 0


class WorkPoolCreate(Input):
    """A work pool to create. The default `base_job_template` is the template of its type."""

    name: str
    description: str | None = None
    type: str = "process"
    base_job_template: dict[str, Any] = Field(default_factory=dict)
    is_paused: bool = False
    concurrency_limit: int | None = Field(default=None, ge=0)
    storage_configuration: StorageConfiguration = Field(default_factory=StorageConfiguration)


class WorkPoolUpdate(Input):
    """Changes to a work pool. Only the given fields change."""

    description: str | None = None
    is_paused: bool | None = None
    base_job_template: dict[str, Any] | None = None
    concurrency_limit: int | None = Field(default=None, ge=0)
    storage_configuration: StorageConfiguration | None = None


def pool_row(tx: Transaction, name: str) -> Row:
    """Read the row of a work pool.

    Raises:
        NotFound: the work pool is not found.
    """
    row = tx.one("SELECT * FROM work_pools WHERE name = :name", {"name": name})
    if row is None:
        raise no_pool(tx, name)
    return row


def _check_template(tx: Transaction, template: dict[str, Any]) -> None:
    job_templates.check_template(template)
    job_secrets.check(template, hidden_fields=partial(hidden_fields, tx))


def _to_model(row: Row) -> WorkPool:
    status = "PAUSED" if row["is_paused"] else "READY" if row["has_worker"] else "NOT_READY"
    return WorkPool.model_validate(
        {
            **{name: row[name] for name in ("id", "name", "description", "type", "concurrency_limit")},
            "created": moment(row["created"]),
            "updated": moment(row["updated"]),
            "base_job_template": load(row["base_job_template"], {}),
            "is_paused": bool(row["is_paused"]),
            "status": status,
            "default_queue_id": row["default_queue_id"],
            "storage_configuration": load(row["storage_configuration"], {}),
            "active_slots": row["active_slots"],
        }
    )


@operation("POST", "/work_pools/", status=201)
def create_work_pool(tx: Transaction, body: WorkPoolCreate) -> WorkPool:
    """Create a work pool and its queue `default`.

    Raises:
        Conflict: a work pool of that name exists already.
        InvalidInput: the name, the type or the template is invalid.
        NotAllowed: the name starts with `prefect`, which is reserved.
    """
    check_name("work pool", body.name)
    if body.name.lower().startswith("prefect"):
        raise NotAllowed(f"names of work pools that start with 'prefect' are reserved, as in {body.name!r}")
    check_name("type of work pools", body.type)
    if not body.base_job_template:
        job_templates.check_spelling(body.type)
    template = job_templates.default(body.type)
    if body.base_job_template:
        _check_template(tx, body.base_job_template)
        template = body.base_job_template
    now, queue_id = clock.now_us(), ids.new_id()
    pool_id = tx.value(
        """INSERT INTO work_pools (id, created, updated, name, description, type, base_job_template,
               is_paused, concurrency_limit, default_queue_id, storage_configuration)
           VALUES (:id, :now, :now, :name, :description, :type, :template, :is_paused, :limit, :queue_id,
               :storage)
           ON CONFLICT (name) DO NOTHING RETURNING id""",
        {
            "id": ids.new_id(),
            "now": now,
            "name": body.name,
            "description": body.description,
            "type": body.type,
            "template": dump(template),
            "is_paused": int(body.is_paused),
            "limit": body.concurrency_limit,
            "queue_id": queue_id,
            "storage": dump(body.storage_configuration.model_dump()),
        },
    )
    if pool_id is None:
        command = command_of("runyard work-pool inspect", body.name)
        raise Conflict(f"a work pool named {body.name!r} exists already; see: {command}")
    tx.execute(
        """INSERT INTO work_queues (id, created, updated, work_pool_id, name, priority)
           VALUES (:id, :now, :now, :pool_id, :name, 1)""",
        {"id": queue_id, "now": now, "pool_id": pool_id, "name": _DEFAULT_QUEUE},
    )
    return read_work_pool(tx, body.name)


def make_lone_pool(tx: Transaction) -> str:
    """The name of the pool of queues without a pool. A missing pool is created with the type `process`."""
    if tx.value("SELECT id FROM work_pools WHERE name = :name", {"name": LONE_POOL}) is None:
        create_work_pool(tx, WorkPoolCreate(name=LONE_POOL, type="process"))
    return LONE_POOL


@operation("GET", "/work_pools/{name}")
def read_work_pool(tx: Transaction, name: str) -> WorkPool:
    """Read a work pool by its name.

    Raises:
        NotFound: the work pool is not found.
    """
    pool_row(tx, name)
    sql = f"SELECT {_COLUMNS} FROM work_pools p WHERE p.name = :name"  # noqa: S608  # fixed
    return _to_model(tx.all(sql, {"name": name, **online.present(tx)})[0])


@operation("PATCH", "/work_pools/{name}", status=204)
def update_work_pool(tx: Transaction, name: str, body: WorkPoolUpdate) -> None:
    """Update a work pool. Only the given fields change.

    Raises:
        NotFound: the work pool is not found.
        InvalidInput: the template is invalid.
    """
    row = pool_row(tx, name)
    changes: dict[str, Any] = {}
    for field in body.model_fields_set:
        value = getattr(body, field)
        if field in ("description", "concurrency_limit"):
            changes[field] = value
        elif value is None:
            continue
        elif field == "is_paused":
            changes[field] = int(value)
        elif field == "base_job_template":
            template = value or job_templates.default(row["type"])
            _check_template(tx, template)
            changes[field] = dump(template)
        else:
            changes[field] = dump(value.model_dump())
    if changes:
        changes["updated"] = clock.now_us()
        marks = ", ".join(f"{column} = :{column}" for column in changes)
        tx.execute(f"UPDATE work_pools SET {marks} WHERE id = :id", {**changes, "id": row["id"]})  # noqa: S608  # our names


@operation("DELETE", "/work_pools/{name}", status=204)
def delete_work_pool(tx: Transaction, name: str, force: bool = False) -> None:
    """Delete a work pool with its queues and workers.

    Its deployments stay, without a work pool. Its waiting runs stay too, but no worker starts them:
    `runyard flow-run why` explains it.

    Args:
        force: delete the pool even while its runs execute. These runs continue, and no limit counts them.

    Raises:
        NotFound: the work pool is not found.
        Conflict: runs of the work pool execute.
    """
    row = pool_row(tx, name)
    queues = "(SELECT id FROM work_queues WHERE work_pool_id = :id)"
    values = {"id": row["id"]}
    if not force:
        busy = tx.value(f"SELECT count(*) FROM leases WHERE work_queue_id IN {queues}", values)  # noqa: S608  # fixed
        if busy:
            raise Conflict(
                f"work pool {name!r} still executes {counted(busy, 'run')}; let them end, or cancel them "
                "first: runyard flow-run ls --state RUNNING"
            )
    tx.execute(
        f"UPDATE flow_runs SET work_queue_id = NULL WHERE state_type = '{SCHEDULED}' "  # noqa: S608  # fixed
        f"AND work_queue_id IN {queues}",
        values,
    )
    tx.execute("DELETE FROM work_pools WHERE id = :id", values)


@operation("POST", "/work_pools/filter")
def filter_work_pools(tx: Transaction, body: Listing) -> list[WorkPool]:
    """List work pools, sorted by name.

    Raises:
        InvalidInput: a filter or a limit is invalid.
    """
    rows = query.search(tx, "work_pools", body.model_dump(), columns=_COLUMNS, values=online.present(tx))
    return [_to_model(row) for row in rows]


@operation("POST", "/work_pools/count")
def count_work_pools(tx: Transaction, body: Filter) -> int:
    """Count the work pools that a filter matches."""
    return query.count(tx, "work_pools", body.model_dump())


@operation("GET", "/collections/views/{view}")
def read_collection_view(tx: Transaction, view: str) -> dict[str, Any]:
    """Read the types of work pools, in the format of Prefect's collections.

    Raises:
        NotFound: the view is unknown. Only `aggregate-worker-metadata` exists.
    """
    if view != "aggregate-worker-metadata":
        raise NotFound(f"unknown view {view!r}; valid is aggregate-worker-metadata")
    return {
        "runyard": {
            kind: {
                "type": kind,
                "display_name": kind.capitalize(),
                "description": description,
                "default_base_job_configuration": job_templates.default(kind),
                "is_beta": False,
                "install_command": "pip install runyard",
            }
            for kind, description in job_templates.TYPES.items()
        }
    }
