"""Schema changes that are applied while the database is in use: indexes and optional tables.

A new database has all of them. An existing one gets them step by step: from a worker or a server in the
background, or from `runyard database upgrade`. The database's own catalogue says whether a step is done. So a
killed process leaves nothing to clean up, except an index that PostgreSQL marks as invalid, which is created
again. Until a step is done, its queries are slower but right. No step changes the number of the schema, so
older programs continue to work.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from runyard.store.index_conditions import ENDED, NAMED, NAMED_OFTEN, NOT_OPEN, none_of, one_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runyard.store.protocols import OpenDatabase, Transaction

# Most indexes exclude runs that went well, so that such a run changes only the indexes over its open states.
# See index_conditions.py.
_ENDED = one_of("state_type", ENDED)
_NOT_OPEN = one_of("state_type", NOT_OPEN)
_NAMED = none_of("state_name", NAMED)
_NAMED_RARELY = none_of("state_name", NAMED_OFTEN)
_END, _START = "coalesce(end_time, 0)", "coalesce(start_time, expected_start_time)"

# (name, table and columns, condition). A changed definition needs a new name.
_INDEXES = (
    ("flow_runs_by_type", "flow_runs (state_type, expected_start_time, id)", _NOT_OPEN),
    ("flow_runs_by_type_id", "flow_runs (state_type, id)", _ENDED),
    ("flow_runs_by_type_end", f"flow_runs (state_type, {_END}, id)", _ENDED),
    ("flow_runs_by_type_start", f"flow_runs (state_type, {_START}, id)", _ENDED),
    ("flow_runs_by_start", f"flow_runs ({_START})", ""),
    ("flow_runs_by_end", f"flow_runs ({_END})", ""),
    ("flow_runs_by_state_name", "flow_runs (state_name, expected_start_time, id)", _NAMED),
    ("flow_runs_by_state_name_id", "flow_runs (state_name, id)", _NAMED_RARELY),
    ("flow_runs_by_state_name_end", f"flow_runs (state_name, {_END}, id)", _NAMED_RARELY),
    ("flow_runs_by_state_name_start", f"flow_runs (state_name, {_START}, id)", _NAMED_RARELY),
    # Without the id: tasks that many runs start at the same moment are rare, and every task run is written.
    ("task_runs_by_time", "task_runs (flow_run_id, expected_start_time)", ""),
    ("task_runs_of_run_by_type", "task_runs (flow_run_id, expected_start_time)", _ENDED),
    ("task_runs_of_run_by_name", "task_runs (flow_run_id, expected_start_time)", _NAMED_RARELY),
    ("task_runs_by_type", "task_runs (state_type, expected_start_time)", _ENDED),
    ("task_runs_by_type_id", "task_runs (state_type, id)", _ENDED),
    ("task_runs_by_state_name", "task_runs (state_name, expected_start_time)", _NAMED_RARELY),
    ("task_runs_by_state_name_id", "task_runs (state_name, id)", _NAMED_RARELY),
    # For retention: finished runs by their end; task runs outside any flow.
    (
        "flow_runs_ended",
        "flow_runs (state_timestamp, id)",
        "state_type IN ('COMPLETED', 'FAILED', 'CANCELLED', 'CRASHED')",
    ),
    ("task_runs_alone", "task_runs (flow_run_id, state_timestamp, id)", "flow_run_id IS NULL"),
)

HOUR_US = 3_600_000_000
HOURS = "flow_run_hours"
# counts (JSON) holds the number of finished runs per hour of their expected start: see `run_hours`. Any
# change of those runs deletes the row. So an existing row is right, and a missing one is counted again.
_HOURS_TABLE = (
    f"CREATE TABLE IF NOT EXISTS {HOURS} (hour BIGINT PRIMARY KEY, counts TEXT NOT NULL, times TEXT NOT NULL)"
)
# PostgreSQL's advisory locks; the numbers are arbitrary and must not change. A process that counts an hour
# holds one of the first; a process that creates an index holds the other.
HOURS_LOCK, HOURS_LOCKS = 7_274_912, 64
_LOCK = 7_274_913
_TRIGGER_MILLISECONDS = 2_000
_THERE = """SELECT c.relname AS name, coalesce(i.indisvalid, true) AS fit
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_index i ON i.indexrelid = c.oid WHERE n.nspname = ANY (current_schemas(false))"""
_OF_NAME = f"{_THERE} AND c.relname = %s"
_HOUR_OF = f"{{row}}.expected_start_time / {HOUR_US}"
_EVENTS = {
    "insert": ("INSERT", ("NEW",)),
    "update": (
        "UPDATE OF state_type, state_name, expected_start_time, start_time, total_run_time",
        ("OLD", "NEW"),
    ),
    "delete": ("DELETE", ("OLD",)),
}


class Step(NamedTuple):
    """One schema change.

    Args:
        name: what it creates: an index, or a table with its triggers.
        sql: its statements, in order.
    """

    name: str
    sql: tuple[str, ...]
    is_index: bool = True


def _over(rows: tuple[str, ...]) -> str:
    return " OR ".join(one_of(f"{row}.state_type", ("COMPLETED", *ENDED)) for row in rows)


def _hours(dialect: str) -> Step:
    statements = [_HOURS_TABLE]
    if dialect == "postgresql":
        # So that a process that counts an hour misses no change that is being committed.
        forget = "\n".join(
            f"IF TG_OP <> '{other}' THEN "  # noqa: S608  # constants
            f"PERFORM pg_advisory_xact_lock_shared({HOURS_LOCK}, ({hour} % {HOURS_LOCKS})::int); "
            f"DELETE FROM {HOURS} WHERE hour = {hour}; END IF;"
            for hour, other in (
                (_HOUR_OF.format(row="OLD"), "INSERT"),
                (_HOUR_OF.format(row="NEW"), "DELETE"),
            )
        )
        statements.append(
            f"CREATE OR REPLACE FUNCTION {HOURS}_forget() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN {forget} RETURN NULL; END $$"
        )
    for name, (event, rows) in _EVENTS.items():
        trigger = f"{HOURS}_{name}"
        if dialect == "postgresql":
            statements.append(
                f"CREATE TRIGGER {trigger} AFTER {event} ON flow_runs FOR EACH ROW WHEN ({_over(rows)}) "
                f"EXECUTE FUNCTION {HOURS}_forget()"
            )
            continue
        hours = ", ".join(_HOUR_OF.format(row=row) for row in rows)
        statements.append(
            f"CREATE TRIGGER {trigger} AFTER {event} ON flow_runs WHEN {_over(rows)} "  # noqa: S608  # constants
            f"BEGIN DELETE FROM {HOURS} WHERE hour IN ({hours}); END"
        )
    return Step(HOURS, tuple(statements), is_index=False)


def steps(dialect: str) -> list[Step]:
    """All steps, in order."""
    found = [_hours(dialect)]
    for name, columns, condition in _INDEXES:
        where = f" WHERE {condition}" if condition else ""
        found.append(Step(name, (f"CREATE INDEX IF NOT EXISTS {name} ON {columns}{where}",)))
    return found


def _there(tx: Transaction) -> dict[str, bool]:
    """The tables and indexes of the database by name; False for an invalid one."""
    if tx.dialect == "sqlite":
        return {row["name"]: True for row in tx.all("SELECT name FROM sqlite_master")}
    return {row["name"]: row["fit"] for row in tx.all(_THERE)}


def pending(tx: Transaction) -> list[Step]:
    """The steps that are not done yet."""
    there = _there(tx)
    return [step for step in steps(tx.dialect) if not there.get(step.name)]


def has_hours(tx: Transaction) -> bool:
    """Whether the table of counts by hour exists."""
    if tx.dialect == "sqlite":
        sql = "SELECT count(*) FROM sqlite_master WHERE name = :name"
    else:
        sql = (
            "SELECT count(*) FROM pg_catalog.pg_tables "
            "WHERE tablename = :name AND schemaname = ANY (current_schemas(false))"
        )
    return bool(tx.value(sql, {"name": HOURS}))


def make_all(tx: Transaction) -> None:
    """Do all steps in one transaction, in a new database that no other process uses."""
    for step in pending(tx):
        for statement in step.sql:
            tx.execute(statement)


def do_next(database: OpenDatabase, say: Callable[[Step, int], None] | None = None) -> float | None:
    """Do the first step that is not done yet, while other processes use the database.

    On SQLite, no process can write meanwhile: a second for a million rows, so pause before the next step. On
    PostgreSQL, writers continue.

    Args:
        say: called before the step, with the step and how many are left.

    Returns:
        How many seconds writers waited; None if all steps are done.
    """
    with database.transaction(write=False) as tx:
        left = pending(tx)
    if not left:
        return None
    if say is not None:
        say(left[0], len(left))
    if database.dialect == "postgresql":
        _beside_others(database, left[0])
        return 0.0
    if left[0].is_index:
        _read_table(database, left[0])
    with database.transaction() as tx:
        began = time.monotonic()
        if left[0] in pending(tx):
            for statement in left[0].sql:
                tx.execute(statement)
    return time.monotonic() - began


def _read_table(database: OpenDatabase, step: Step) -> None:
    """Read the table of an index into memory, so that the disk is not the bottleneck while writers wait."""
    table = step.sql[0].partition(" ON ")[2].partition(" ")[0]
    with database.transaction(write=False) as tx:
        tx.value(f"SELECT count(*) FROM {table} WHERE state IS NULL")  # noqa: S608  # constants


def _beside_others(database: OpenDatabase, step: Step) -> None:
    """A step on PostgreSQL; first drops an unfinished index."""
    with database.outside() as connection, _alone(connection, step):
        rows = connection.execute(_OF_NAME, (step.name,)).fetchall()
        if not step.is_index:
            with connection.transaction():
                for statement in () if rows else step.sql:
                    connection.execute(statement)
            return
        if any(not row["fit"] for row in rows):
            connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {step.name}")
        for statement in step.sql:
            connection.execute(statement.replace("CREATE INDEX", "CREATE INDEX CONCURRENTLY", 1))


@contextmanager
def _alone(connection: Any, step: Step) -> Iterator[None]:
    """Let one process at a time do steps on PostgreSQL: another one would take its index for unfinished.

    The lock is tried, not waited for: creating an index waits for all sessions that wait for a lock.
    """
    (timeout,) = connection.execute("SHOW lock_timeout").fetchone().values()
    while not connection.execute("SELECT pg_try_advisory_lock(%s) AS got", (_LOCK,)).fetchone()["got"]:
        time.sleep(0.2)
    try:
        # Creating an index waits for running transactions, however long they take. Creating a trigger makes
        # later ones wait as well.
        connection.execute(f"SET lock_timeout = {0 if step.is_index else _TRIGGER_MILLISECONDS}")
        yield
    finally:
        if not connection.closed:
            connection.execute(f"SET lock_timeout = '{timeout}'")
            connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))
