"""Deletes runs with all their records; very large runs in parts. No other module deletes runs.

`OF_TASK_RUNS` and `OF_FLOW_RUNS` list all tables that refer to runs. Counts and deletes use these lists.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from runyard.operations.runs.state_columns import TERMINAL_SQL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runyard.store.database import Transaction

# The most ids in one statement.
AT_ONCE = 200


def chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Split ids into chunks of at most `AT_ONCE`."""
    for at in range(0, len(ids), AT_ONCE):
        yield ids[at : at + AT_ONCE]


def named(ids: Sequence[str], prefix: str) -> tuple[str, dict[str, Any]]:
    """The SQL in `IN (...)` for ids, and its values. `NULL` for no ids, which matches no row."""
    values = {f"{prefix}{number}": one for number, one in enumerate(ids)}
    return ", ".join(f":{name}" for name in values) or "NULL", values


# The tables and columns that refer to task runs and to flow runs, in the order to delete. Conditions list the
# ids themselves: with a subquery, PostgreSQL without statistics would read whole tables.
OF_TASK_RUNS = (
    ("task_run_states", "task_run_id"),
    ("background_waits", "task_run_id"),
    ("background_waits", "upstream_id"),
    ("background_tasks", "task_run_id"),
    ("logs", "task_run_id"),
    ("artifacts", "task_run_id"),
    ("task_runs", "id"),
)
OF_FLOW_RUNS = (
    ("logs", "flow_run_id"),
    ("artifacts", "flow_run_id"),
    ("flow_run_states", "flow_run_id"),
    ("flow_run_inputs", "flow_run_id"),
    ("leases", "flow_run_id"),
    ("results", "flow_run_id"),
    ("flow_runs", "id"),
)


def task_runs_of(tx: Transaction, flows: str, values: dict[str, Any]) -> list[str]:
    """The ids of the task runs of flow runs."""
    rows = tx.all(f"SELECT id FROM task_runs WHERE flow_run_id IN ({flows})", values)  # noqa: S608  # names
    return [row["id"] for row in rows]


def remove_runs(
    tx: Transaction, flow_run_ids: Sequence[str], task_run_ids: Sequence[str], now: int
) -> Counter[str]:
    """Delete flow runs and task runs with all their records.

    A flow run that a deleted run called stays, without a parent, unless it is deleted too.

    Args:
        flow_run_ids: flow runs to delete with all their task runs.
        task_run_ids: further task runs to delete.
        now: the present time, in microseconds. Results in files expire; retention deletes them later.

    Returns:
        How many rows of each table were deleted.
    """
    gone: Counter[str] = Counter()
    tasks = list(task_run_ids)
    for ids in chunks(flow_run_ids):
        tasks += task_runs_of(tx, *named(ids, "f"))
    for ids in chunks(tasks):
        wanted, values = named(ids, "t")
        tx.execute(
            f"UPDATE flow_runs SET parent_task_run_id = NULL WHERE parent_task_run_id IN ({wanted})",  # noqa: S608  # names
            values,
        )
        for table, column in OF_TASK_RUNS:
            gone[table] += tx.execute(f"DELETE FROM {table} WHERE {column} IN ({wanted})", values)  # noqa: S608  # names
    for ids in chunks(flow_run_ids):
        wanted, values = named(ids, "f")
        expire_files(tx, wanted, values, now)
        for table, column in OF_FLOW_RUNS:
            gone[table] += tx.execute(f"DELETE FROM {table} WHERE {column} IN ({wanted})", values)  # noqa: S608  # names
    return +gone


def expire_files(tx: Transaction, flows: str, values: dict[str, Any], now: int) -> None:
    """Detach the results in files from their runs, and let them expire."""
    tx.execute(
        "UPDATE results SET flow_run_id = NULL, "  # noqa: S608  # names
        "expires = CASE WHEN expires < :now THEN expires ELSE :now END "
        f"WHERE flow_run_id IN ({flows}) AND place IS NOT NULL",
        {**values, "now": now},
    )


def with_subflows(tx: Transaction, flow_run_ids: Sequence[str]) -> list[str]:
    """These flow runs, and the subflow runs in their processes."""
    found = dict.fromkeys(flow_run_ids)
    for ids in chunks(flow_run_ids):
        roots, values = named(ids, "f")
        rows = tx.all(f"SELECT id FROM flow_runs WHERE root_flow_run_id IN ({roots})", values)  # noqa: S608  # names
        found.update(dict.fromkeys(row["id"] for row in rows))
    return list(found)


def begin_removal(tx: Transaction, flow_run_ids: Sequence[str]) -> Counter[str]:
    """Delete flow runs, and leave their records to `continue_removal`."""
    gone: Counter[str] = Counter()
    for ids in chunks(flow_run_ids):
        flows, values = named(ids, "f")
        tx.many(
            "INSERT INTO removed_runs (flow_run_id) VALUES (:id) ON CONFLICT (flow_run_id) DO NOTHING",
            [{"id": one} for one in ids],
        )
        gone["flow_runs"] += tx.execute(f"DELETE FROM flow_runs WHERE id IN ({flows})", values)  # noqa: S608  # names
    return gone


def continue_removal(tx: Transaction, rows: int, now: int) -> Counter[str] | None:
    """Delete a part of the records of one deleted flow run. None if no record is left.

    Args:
        rows: about the most rows to delete.
        now: the present time, in microseconds.
    """
    one = tx.one("SELECT flow_run_id AS id FROM removed_runs ORDER BY flow_run_id LIMIT 1")
    if one is None:
        return None
    gone: Counter[str] = Counter()
    # A task run has about three states, and possibly some logs.
    most = {**one, "limit": max(rows // 4, 1)}
    tasks = tx.all("SELECT id FROM task_runs WHERE flow_run_id = :id LIMIT :limit", most)
    for ids in chunks([row["id"] for row in tasks]):
        gone += _remove_part(tx, ids, now)
    if tasks:
        return gone
    # Subflows whose call was never recorded.
    inner = tx.all("SELECT id FROM flow_runs WHERE root_flow_run_id = :id LIMIT :limit", most)
    if inner:
        return begin_removal(tx, [row["id"] for row in inner])
    whole = {**one, "limit": rows}
    for table in ("logs", "artifacts", "flow_run_states", "flow_run_inputs"):
        gone[table] += tx.execute(
            f"DELETE FROM {table} WHERE id IN "  # noqa: S608  # names
            f"(SELECT id FROM {table} WHERE flow_run_id = :id LIMIT :limit)",
            whole,
        )
        if gone[table]:
            return gone
    expire_files(tx, ":id", one, now)
    gone["results"] += tx.execute(
        "DELETE FROM results WHERE key IN (SELECT key FROM results WHERE flow_run_id = :id LIMIT :limit)",
        whole,
    )
    if not gone["results"]:
        tx.execute("DELETE FROM removed_runs WHERE flow_run_id = :id", one)
    return +gone


def _remove_part(tx: Transaction, task_run_ids: Sequence[str], now: int) -> Counter[str]:
    """Delete task runs of a deleted flow run, and the ended flow runs that they called."""
    tasks, values = named(task_run_ids, "t")
    called = tx.all(
        f"SELECT id FROM flow_runs WHERE parent_task_run_id IN ({tasks}) AND state_type IN {TERMINAL_SQL}",  # noqa: S608  # names
        values,
    )
    gone = begin_removal(tx, [row["id"] for row in called])
    return gone + remove_runs(tx, (), task_run_ids, now)
