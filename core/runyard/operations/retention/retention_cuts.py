"""The ages at which records are deleted, and the number of these records."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runyard import settings
from runyard.operations.runs import removal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runyard.operations.retention.retention_families import Family
    from runyard.store.database import Transaction

DAY_US = 86_400 * 1_000_000
_NAMES = re.compile(r":(\w+)")
# Internal tables, which counts do not show.
INNER = frozenset(("background_waits", "leases"))


@dataclass
class Cuts:
    """The time before which each kind of record is deleted, in microseconds; None: it is kept."""

    now: int
    runs: int | None
    logs: int | None
    outcomes: int | None = None
    others: bool = False


def cuts_of_settings(now: int) -> Cuts:
    """The cuts of the retention settings at a time."""

    def cut(name: str) -> int | None:
        days = settings.get(name)
        return now - int(days * DAY_US) if days else None

    return Cuts(
        now,
        cut("retention_runs_days"),
        cut("retention_logs_days"),
        cut("retention_outcomes_days"),
        others=True,
    )


def count_families(tx: Transaction, families: Sequence[Family], cuts: Cuts) -> Counter[str]:
    """Count the records that are deleted with families, by table."""
    counted: Counter[str] = Counter()
    for ids in removal.chunks([one for family in families for one in family.flow_run_ids]):
        counted += count_flow_runs(tx, *removal.named(ids, "f"), cuts)
    for ids in removal.chunks([one for family in families for one in family.task_run_ids]):
        counted += _count(tx, removal.OF_TASK_RUNS, *removal.named(ids, "t"), cuts)
    return counted


def count_flow_runs(tx: Transaction, flows: str, values: dict[str, Any], cuts: Cuts) -> Counter[str]:
    """Count the records that are deleted with flow runs. `flows` is the SQL in `IN (...)` for their ids."""
    counted = _count(tx, removal.OF_FLOW_RUNS, flows, values, cuts)
    for ids in removal.chunks(removal.task_runs_of(tx, flows, values)):
        tasks, more = removal.named(ids, "t")
        counted += _count(tx, removal.OF_TASK_RUNS, tasks, {**values, **more}, cuts, flows)
    return counted


def _count(
    tx: Transaction,
    tables: Sequence[tuple[str, str]],
    ids: str,
    values: dict[str, Any],
    cuts: Cuts,
    flows: str | None = None,
) -> Counter[str]:
    """Count the records of runs, without those that earlier steps delete or that count with the flow runs."""
    counted: Counter[str] = Counter()
    values = {**values, "now": cuts.now, "logs": cuts.logs, "outcomes": cuts.outcomes}
    for table, column in tables:
        if table in INNER:
            continue
        condition = f"{column} IN ({ids})"
        if table == "results":
            condition += " AND (expires IS NULL OR expires > :now)"
        elif table == "logs" and cuts.logs is not None:
            condition += " AND timestamp >= :logs"
        elif table == "background_tasks" and cuts.outcomes is not None:
            condition += " AND (done IS NULL OR done >= :outcomes)"
        if flows and table in ("logs", "artifacts"):
            condition += f" AND (flow_run_id IS NULL OR flow_run_id NOT IN ({flows}))"
        sql = f"SELECT count(*) FROM {table} WHERE {condition}"  # noqa: S608  # names
        named = set(_NAMES.findall(sql))
        counted[table] += tx.value(sql, {name: value for name, value in values.items() if name in named})
    return counted
