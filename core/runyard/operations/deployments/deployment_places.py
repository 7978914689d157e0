"""Finds the work pool, the queue and the flow of a deployment by name."""

from __future__ import annotations

from functools import partial
from typing import Any

from runyard.base import clock, ids
from runyard.base.errors import InvalidInput, ParameterError
from runyard.base.suggestions import did_you_mean
from runyard.domain import job_secrets, job_variables
from runyard.operations.blocks.hidden_fields import hidden_fields
from runyard.operations.schemas import load
from runyard.operations.work_pools.missing_pool import no_pool
from runyard.operations.work_pools.work_pools import make_lone_pool
from runyard.store.database import Row, Transaction


def queue_id_of(tx: Transaction, work_pool_name: str, work_queue_name: str | None) -> str:
    """The id of a queue of a work pool; by default its default queue. A missing queue is created.

    Raises:
        NotFound: the work pool is not found.
    """
    pool = tx.one("SELECT id, default_queue_id FROM work_pools WHERE name = :name", {"name": work_pool_name})
    if pool is None:
        raise no_pool(tx, work_pool_name)
    if work_queue_name is None and pool["default_queue_id"]:
        default: str = pool["default_queue_id"]
        return default
    return _queue_of(tx, pool["id"], work_queue_name or "default")


def queue_id_without_pool(tx: Transaction, deployment: Row | None, work_queue_name: str) -> str:
    """The id of a queue that is named without a work pool. A missing queue is created.

    Args:
        deployment: the queue belongs to the pool of this deployment. If it has no pool, the queue belongs to
            the pool of queues without a pool, as in Prefect.
        work_queue_name: the name of the queue.
    """
    if deployment is not None and deployment["work_queue_id"] is not None:
        return sibling_queue_id(tx, deployment, work_queue_name)
    return queue_id_of(tx, make_lone_pool(tx), work_queue_name)


def sibling_queue_id(tx: Transaction, deployment: Row, work_queue_name: str) -> str:
    """The id of a queue of the deployment's own work pool. A missing queue is created.

    Raises:
        InvalidInput: the deployment has no work pool.
    """
    pool_id = tx.value(
        "SELECT work_pool_id FROM work_queues WHERE id = :id", {"id": deployment["work_queue_id"]}
    )
    if pool_id is None:
        raise InvalidInput(
            f"deployment {deployment['name']!r} has no work pool, so no queue {work_queue_name!r} either"
        )
    return _queue_of(tx, pool_id, work_queue_name)


def check_job_variables(tx: Transaction, work_queue_id: str | None, variables: dict[str, Any]) -> None:
    """Reject job variables that the work pool of a queue does not accept.

    Raises:
        ParameterError: a job variable is invalid. The message has a line for each.
        InvalidInput: a job variable would reveal a secret.
    """
    pool = _pool_of(tx, work_queue_id)
    if pool is not None:
        template = load(pool["base_job_template"], {})
        job_variables.check_job_variables(variables, template, pool["name"])
        job_secrets.check(template, variables, hidden_fields=partial(hidden_fields, tx))


def refuse_unread(tx: Transaction, work_queue_id: str | None, variables: dict[str, Any]) -> None:
    """Reject job variables that the work pool of a queue does not use: most of them are misspelled.

    Raises:
        ParameterError: a job variable is unknown. The message names the first.
    """
    pool = _pool_of(tx, work_queue_id)
    if pool is None:
        return
    template = load(pool["base_job_template"], {})
    for name in job_variables.unknown(variables, template):
        known = list(template["variables"]["properties"])
        hint = did_you_mean(name, known, f"it has {', '.join(known)}")
        raise ParameterError(f"work pool {pool['name']!r} has no job variable {name!r}{hint}")


def _pool_of(tx: Transaction, work_queue_id: str | None) -> Row | None:
    return tx.one(
        """SELECT pool.name, pool.base_job_template FROM work_queues queue
           JOIN work_pools pool ON pool.id = queue.work_pool_id WHERE queue.id = :id""",
        {"id": work_queue_id},
    )


def _queue_of(tx: Transaction, pool_id: str, name: str) -> str:
    now = clock.now_us()
    tx.execute(
        """INSERT INTO work_queues (id, created, updated, work_pool_id, name, priority)
           SELECT :id, :now, :now, :pool_id, :name, coalesce(max(priority), 0) + 1
           FROM work_queues WHERE work_pool_id = :pool_id
           ON CONFLICT (work_pool_id, name) DO NOTHING""",
        {"id": ids.new_id(), "now": now, "pool_id": pool_id, "name": name},
    )
    found: str = tx.value(
        "SELECT id FROM work_queues WHERE work_pool_id = :pool_id AND name = :name",
        {"pool_id": pool_id, "name": name},
    )
    return found
