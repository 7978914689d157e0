"""Which runs may be deleted: runs that are old enough, each with all runs that it called.

A family is a top run with all flow runs that it called, directly or indirectly, in its process or as runs of
deployments. The top is a flow run that no kept run called, or a task run outside of any flow. A family is
deleted when all its runs had ended before the given time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runyard.domain.states import TERMINAL
from runyard.operations.runs.removal import AT_ONCE, chunks, named
from runyard.operations.runs.state_columns import TERMINAL_SQL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runyard.store.database import Row, Transaction

# About how many rows a flow run, and a task run with its states, have besides the logs.
_ROWS_OF_A_RUN = 8
_ROWS_OF_A_TASK = 4
_OVER = f"r.state_type IN {TERMINAL_SQL} AND r.state_timestamp < :before"
_TOPS = {
    "flow_runs": f"""SELECT r.id, r.state_timestamp AS at FROM flow_runs AS r
        WHERE {_OVER} AND (r.state_timestamp, r.id) > (:at, :id)
        AND NOT EXISTS (SELECT 1 FROM flow_runs AS root WHERE root.id = r.root_flow_run_id)
        AND NOT EXISTS (
            SELECT 1 FROM task_runs AS t LEFT JOIN flow_runs AS p ON p.id = t.flow_run_id
            WHERE t.id = r.parent_task_run_id AND (t.flow_run_id IS NULL OR p.id IS NOT NULL))""",  # noqa: S608  # fixed
    "task_runs": f"""SELECT r.id, r.state_timestamp AS at FROM task_runs AS r
        WHERE r.flow_run_id IS NULL AND {_OVER} AND (r.state_timestamp, r.id) > (:at, :id)""",  # noqa: S608  # fixed
}
_COLUMNS = "c.id, c.state_type, c.state_timestamp"
_BY_TASK = (
    f"SELECT {_COLUMNS}, t.{{caller}} AS caller FROM task_runs AS t "  # noqa: S608  # fixed
    "JOIN flow_runs AS c ON c.parent_task_run_id = t.id WHERE t.{caller} IN ({ids})"
)
_BY_ROOT = (
    f"SELECT {_COLUMNS}, c.root_flow_run_id AS caller FROM flow_runs AS c "  # noqa: S608  # fixed
    "WHERE c.root_flow_run_id IN ({ids})"
)


@dataclass
class Family:
    """Runs that are deleted together, by their ids. The top is the run `id`, which ended at `at`."""

    at: int
    id: str
    flow_run_ids: list[str] = field(default_factory=list)
    task_run_ids: list[str] = field(default_factory=list)
    rows: int = _ROWS_OF_A_RUN
    may_go: bool = True


@dataclass
class Found:
    """Families that may be deleted, and the top to continue after; None: no further family exists."""

    families: list[Family]
    after: tuple[int, str] | None


def find(
    tx: Transaction,
    table: str,
    before: int,
    states: Sequence[str] | None,
    after: tuple[int, str],
    rows: int,
) -> Found:
    """Find families that may be deleted, oldest first.

    Args:
        table: the table of the tops: `flow_runs` or `task_runs`.
        before: all runs of a family must have ended before this time, in microseconds.
        states: the state types of the tops; None: any.
        after: the end time and the id of the top to continue after.
        rows: about how many rows the families may have together. The first family may have more.
    """
    limit = max(1, min(AT_ONCE, rows // _ROWS_OF_A_RUN))
    values: dict[str, Any] = {"before": before, "at": after[0], "id": after[1], "limit": limit}
    sql = _TOPS[table]
    if states:
        wanted, more = named(states, "state")
        sql, values = f"{sql} AND r.state_type IN ({wanted})", {**values, **more}
    tops = tx.all(f"{sql} ORDER BY r.state_timestamp, r.id LIMIT :limit", values)
    families = [Family(top["at"], top["id"]) for top in tops]
    _complete(tx, table, families, before)
    found: list[Family] = []
    total, last = 0, after
    for family in families:
        if family.may_go:
            total += family.rows
            if found and total > rows:
                return Found(found, last)
            found.append(family)
        last = (family.at, family.id)
    return Found(found, last if len(families) == limit else None)


def still_over(tx: Transaction, families: Sequence[Family], before: int) -> list[Family]:
    """The families whose runs were not started again since they were found. Their rows are locked."""
    lock = " FOR UPDATE SKIP LOCKED" if tx.dialect == "postgresql" else ""
    there: set[str] = set()
    for table, kept in (
        ("flow_runs", [one for family in families for one in family.flow_run_ids]),
        ("task_runs", [one for family in families for one in family.task_run_ids]),
    ):
        for part in chunks(kept):
            ids, values = named(part, "i")
            rows = tx.all(
                f"SELECT r.id FROM {table} AS r WHERE r.id IN ({ids}) AND {_OVER}{lock}",  # noqa: S608  # names
                {**values, "before": before},
            )
            there.update(row["id"] for row in rows)
    return [one for one in families if there.issuperset((*one.flow_run_ids, *one.task_run_ids))]


def _complete(tx: Transaction, table: str, families: Sequence[Family], before: int) -> None:
    """Add the called runs and the number of rows to the families."""
    tops = {family.id: family for family in families}
    owners: dict[str, Family] = {}
    if table == "flow_runs":
        for family in families:
            family.flow_run_ids.append(family.id)
        owners.update(tops)
        level = list(tops)
    else:
        for family in families:
            family.task_run_ids.append(family.id)
        level = _adopt(_called(tx, list(tops), (_BY_TASK,), "id"), tops, owners, before)
    while level:
        level = _adopt(_called(tx, level, (_BY_TASK, _BY_ROOT), "flow_run_id"), dict(owners), owners, before)
    for part in chunks(list(owners)):
        ids, values = named(part, "i")
        for counted, each in (("task_runs", _ROWS_OF_A_TASK), ("logs", 1)):
            sql = f"SELECT flow_run_id AS id, count(*) AS n FROM {counted} WHERE flow_run_id IN ({ids}) "  # noqa: S608  # names
            for row in tx.all(f"{sql} GROUP BY flow_run_id", values):
                owners[row["id"]].rows += each * row["n"]


def _called(tx: Transaction, callers: Sequence[str], statements: Sequence[str], caller: str) -> list[Row]:
    rows: list[Row] = []
    for part in chunks(callers):
        ids, values = named(part, "i")
        for statement in statements:
            rows += tx.all(statement.format(caller=caller, ids=ids), values)
    return rows


def _adopt(
    rows: Sequence[Row], callers: Mapping[str, Family], owners: dict[str, Family], before: int
) -> list[str]:
    """Add runs to the families of their callers. Returns the ids of the new runs."""
    new = []
    for row in rows:
        if row["id"] in owners:
            continue
        family = owners[row["id"]] = callers[row["caller"]]
        family.flow_run_ids.append(row["id"])
        family.rows += _ROWS_OF_A_RUN
        if row["state_type"] not in TERMINAL or row["state_timestamp"] >= before:
            family.may_go = False
        new.append(row["id"])
    return new
