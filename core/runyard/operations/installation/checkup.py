"""The data of `runyard doctor`: unreadable secrets, pools without a worker, lost workers, late runs."""

from __future__ import annotations

from typing import Any

from runyard import settings
from runyard.base.errors import SettingError
from runyard.base.quoting import command_of
from runyard.operations import lease_clock
from runyard.operations.flow_runs.explain import explain_flow_run
from runyard.operations.operation import operation
from runyard.operations.work_pools import online
from runyard.settings import encryption
from runyard.store.database import Transaction

_EXAMPLES = 5
_NEWEST = """SELECT max(state_timestamp) AS newest
    FROM (SELECT state_timestamp FROM flow_runs ORDER BY id DESC LIMIT 50) AS latest"""


@operation("GET", "/runyard/checkup")
def read_checkup(tx: Transaction) -> dict[str, Any]:
    """Read possible problems of runs and workers.

    Returns:
        now_us: the clock of the database or server, in microseconds since 1970.
        newest_us: the time of the latest state, or null. If it is later than now, a clock is wrong.
        docker: whether a work pool of type docker exists.
        encrypted: whether encrypted data is stored.
        secrets: the saved blocks that the present key does not decrypt: count, names, reason.
        pools: work pools with due runs and no worker online: name, type, waiting, is_paused.
        unserved: work pools with active schedules and no worker online: name, type, schedules, next_us.
        workers: workers that were lost while they held runs: name, pool, runs, seen_us.
        late: the number of late runs.
        late_runs: the first late runs: id, name, status, reason, command.
    """
    now = lease_clock.wall(tx)
    return {
        "now_us": now,
        "newest_us": tx.value(_NEWEST),
        "docker": bool(tx.value("SELECT count(*) FROM work_pools WHERE type = 'docker'")),
        "encrypted": bool(tx.value("SELECT count(*) FROM block_documents")),
        "secrets": _unreadable(tx),
        "pools": _pools(tx),
        "unserved": _unserved(tx),
        "workers": _workers(tx),
        **_late(tx, now),
    }  # fmt: skip


def _unreadable(tx: Transaction) -> dict[str, Any]:
    """The saved blocks that the key of this process does not decrypt."""
    rows = tx.all(
        """SELECT t.slug, d.name, d.data FROM block_documents d JOIN block_types t ON t.id = d.block_type_id
           ORDER BY t.slug, d.name"""
    )
    names, reason = [], ""
    for row in rows:
        try:
            encryption.decrypt(row["data"])
        except SettingError as error:
            names.append(f"{row['slug']}/{row['name']}")
            reason = reason or str(error)
    return {"count": len(names), "names": names[:_EXAMPLES], "reason": reason}


def _unserved(tx: Transaction) -> list[dict[str, Any]]:
    return tx.all(
        f"""SELECT work_pools.name, work_pools.type, count(*) AS schedules, min(s.next_due) AS next_us
            FROM deployment_schedules s
            JOIN deployments ON deployments.id = s.deployment_id
            JOIN work_queues ON work_queues.id = deployments.work_queue_id
            JOIN work_pools ON work_pools.id = work_queues.work_pool_id
            WHERE s.active = 1 AND s.next_due IS NOT NULL AND deployments.paused = 0
              AND NOT EXISTS (
                  SELECT 1 FROM workers w WHERE w.work_pool_id = work_pools.id AND {online.ONLINE})
            GROUP BY work_pools.name, work_pools.type ORDER BY work_pools.name""",  # noqa: S608  # a constant
        online.present(tx),
    )


def _pools(tx: Transaction) -> list[dict[str, Any]]:
    rows = tx.all(
        f"""SELECT work_pools.name, work_pools.type, work_pools.is_paused, count(*) AS waiting
            FROM flow_runs
            JOIN work_queues ON work_queues.id = flow_runs.work_queue_id
            JOIN work_pools ON work_pools.id = work_queues.work_pool_id
            WHERE flow_runs.state_type = 'SCHEDULED' AND flow_runs.next_scheduled_start_time < :now
              AND NOT EXISTS (
                  SELECT 1 FROM workers w WHERE w.work_pool_id = work_pools.id AND {online.ONLINE})
            GROUP BY work_pools.name, work_pools.type, work_pools.is_paused ORDER BY work_pools.name""",  # noqa: S608  # a constant
        online.present(tx),
    )
    return [{**row, "is_paused": bool(row["is_paused"])} for row in rows]


def _workers(tx: Transaction) -> list[dict[str, Any]]:
    rows = tx.all(
        f"""SELECT w.name, work_pools.name AS pool, w.last_heartbeat_time AS seen_us,
               (SELECT count(*) FROM leases WHERE leases.worker_id = w.id) AS runs
            FROM workers w JOIN work_pools ON work_pools.id = w.work_pool_id
            WHERE w.stopped = 0 AND NOT ({online.ONLINE}) ORDER BY w.last_heartbeat_time DESC LIMIT 50""",  # noqa: S608  # a constant
        online.present(tx),
    )
    return [row for row in rows if row["runs"]]


def _late(tx: Transaction, now: int) -> dict[str, Any]:
    where = "state_type = 'SCHEDULED' AND next_scheduled_start_time < :before"
    values = {"before": now - int(settings.get("scheduler_late_seconds") * 1e6)}
    count = int(tx.value(f"SELECT count(*) FROM flow_runs WHERE {where}", values))  # noqa: S608  # a constant
    runs = []
    if count:
        rows = tx.all(
            f"SELECT id, name FROM flow_runs WHERE {where} "  # noqa: S608  # a constant
            "ORDER BY next_scheduled_start_time LIMIT :most",
            {**values, "most": _EXAMPLES},
        )
        for row in rows:
            found = explain_flow_run(tx, row["id"])
            # Prefer a reason with a command that helps.
            mended = [reason for reason in found.reasons if reason.command]
            first = next(iter([*mended, *found.reasons]), None)
            command = (first.command if first else None) or command_of("runyard flow-run why", row["name"])
            reason = first.text if first else found.summary
            runs.append({**row, "status": found.status, "reason": reason, "command": command})
    return {"late": count, "late_runs": runs}
