"""Listings and counts by state: the right runs in the right order, found by an index."""

import itertools

import pytest
from _old_schema import undo_steps
from runyard.client import LocalClient
from runyard.operations.deployments import known_flows
from runyard.operations.filters import query
from runyard.operations.flow_runs import flow_runs
from runyard.operations.flow_runs.flow_runs import FlowRunCreate, SetState
from runyard.operations.schemas import Filter, Listing
from runyard.operations.task_runs import task_runs
from runyard.store import online_steps

SORTS = ["EXPECTED_START_TIME_DESC", "EXPECTED_START_TIME_ASC", "START_TIME_DESC", "START_TIME_ASC",
         "END_TIME_DESC", "ID_DESC"]  # fmt: skip
TASK_SORTS = ["EXPECTED_START_TIME_DESC", "EXPECTED_START_TIME_ASC", "ID_DESC"]
# (type, name, the states on the way)
KINDS = [
    ("COMPLETED", "Completed", ["RUNNING"]),
    ("COMPLETED", "Skipped", ["RUNNING"]),
    ("FAILED", "Failed", ["RUNNING"]),
    ("FAILED", "TimedOut", ["RUNNING"]),
    ("CRASHED", "Crashed", ["RUNNING"]),
    ("CANCELLED", "Cancelled", []),
    ("RUNNING", "Running", []),
    ("PENDING", "Pending", []),
    ("SCHEDULED", "Late", []),
    ("SCHEDULED", "AwaitingRetry", ["RUNNING", "FAILED"]),
    ("PAUSED", "Paused", ["RUNNING"]),
]


@pytest.fixture
def local(database):
    """A client on a database of each kind, with runs and task runs in all states."""
    client = LocalClient(database)
    flow = client.call(known_flows.create_flow, known_flows.FlowCreate(name="etl"))
    parent = client.call(flow_runs.create_flow_run, FlowRunCreate(flow_id=flow.id, name="parent"))
    for turn, (kind, name, way) in itertools.product(range(2), KINDS):
        run = client.call(flow_runs.create_flow_run, FlowRunCreate(flow_id=flow.id))
        body = {"task_key": name, "dynamic_key": str(turn), "flow_run_id": parent.id}
        task = client.call(task_runs.create_task_run, task_runs.TaskRunCreate(**body))
        for state in [*({"type": each} for each in way), {"type": kind, "name": name}]:
            client.call(flow_runs.set_flow_run_state, run.id, SetState(state=state, force=True))
            client.call(task_runs.set_task_run_state, task.id, SetState(state=state, force=True))
    client.parent = parent.id
    return client


def expected(rows, wanted, sort):
    """The ids that a listing must give, worked out from all rows."""

    def key(row):
        started = row.start_time or row.expected_start_time
        ended = row.end_time.timestamp() if row.end_time else 0
        return {"EXPECTED": row.expected_start_time, "START": started, "END": ended, "ID": row.id}[
            sort.partition("_")[0]
        ]

    found = sorted((row for row in rows if wanted(row)), key=lambda row: (key(row), row.id))
    return [row.id for row in (found if sort.endswith("ASC") else reversed(found))]


ASKED = [
    *({"name": {"any_": [name]}} for name in ("Completed", "Failed", "Late", "Running", "Skipped", "Our's")),
    *({"type": {"any_": [kind]}} for kind in ("COMPLETED", "FAILED", "SCHEDULED", "RUNNING", "CANCELLED")),
    {"type": {"any_": ["FAILED", "CRASHED"]}},
    {"type": {"any_": ["failed", "FAILED", "RUNNING", "COMPLETED"]}},
    {"name": {"any_": ["Failed", "TimedOut", "Completed", "Late"]}},
    {"name": {"any_": ["Failed", "Late"]}, "type": {"any_": ["FAILED", "CRASHED"]}},
    {"operator": "or_", "name": {"any_": ["Failed", "Late"]}, "type": {"any_": ["CRASHED", "RUNNING"]}},
    {"type": {"any_": ["FAILED", "SCHEDULED"], "not_any_": ["SCHEDULED"]}},
    {"name": {"any_": []}},
]  # fmt: skip


def wants(asked):
    def test(row):
        tests = []
        for name, value in (("type", row.state_type), ("name", row.state_name)):
            for operator, values in asked.get(name, {}).items():
                among = value in [each.upper() if name == "type" else each for each in values]
                tests.append(among if operator == "any_" else not among)
        return any(tests) if asked.get("operator") == "or_" else all(tests)

    return test


@pytest.mark.parametrize("steps", ["with", "before"])
def test_a_listing_by_state_is_right(local, steps):
    if steps == "before":
        undo_steps(local.database.url)
    try:
        runs = local.call(flow_runs.filter_flow_runs, Listing())
        tasks = local.call(task_runs.filter_task_runs, Listing())
        assert (len(runs), len(tasks)) == (2 * len(KINDS) + 1, 2 * len(KINDS))
        for asked, sort in itertools.product(ASKED, SORTS):
            ids = expected(runs, wants(asked), sort)
            chosen = {"flow_runs": {"state": asked}}
            for limit, offset in ((200, 0), (3, 0), (3, 2), (0, 0)):
                body = Listing(**chosen, sort=sort, limit=limit, offset=offset)
                found = [run.id for run in local.call(flow_runs.filter_flow_runs, body)]
                assert found == ids[offset : offset + limit], (asked, sort, limit, offset)
            assert local.call(flow_runs.count_flow_runs, Filter(**chosen)) == len(ids)
        without = [asked for asked in ASKED if "not_any_" not in str(asked)]
        for asked, sort in itertools.product(without, TASK_SORTS):
            ids = expected(tasks, wants(asked), sort)
            for more in ({}, {"flow_run_id": {"any_": [local.parent]}}):
                body = Listing(task_runs={"state": asked, **more}, sort=sort)
                assert [task.id for task in local.call(task_runs.filter_task_runs, body)] == ids
    finally:
        with local.database.transaction() as tx:
            online_steps.make_all(tx)


class Explained(Exception):
    """The plan of a query instead of its rows."""


def plan(client, call):
    """How the database would perform the query of a call; nothing is known of how much the tables hold."""
    database = client.database
    with database.transaction(write=False) as tx:
        before = tx.all

        def explain(sql, values=None):
            if tx.dialect == "sqlite":
                rows = before(f"EXPLAIN QUERY PLAN {sql}", values)
                raise Explained([row["detail"] for row in rows])
            # So small a table would be looked through: can an index be used?
            tx.execute("SET LOCAL enable_seqscan = off")
            tx.execute("SET LOCAL enable_bitmapscan = off")
            tx.execute("SET LOCAL enable_sort = off")
            raise Explained([row["QUERY PLAN"].strip() for row in before(f"EXPLAIN {sql}", values)])

        tx.all = tx.value = explain
        with pytest.raises(Explained) as caught:
            call(tx)
    return caught.value.args[0]


def is_sorted(plan):
    return any("TEMP B-TREE FOR ORDER" in line or line.startswith(("Sort", "->  Sort")) for line in plan)


def assert_by_index(plan, table, alias):
    text = "\n".join(plan)
    assert f"Seq Scan on {table} {alias}" not in text, text
    # What was found of several states is looked through once more.
    assert plan.count(f"SCAN {alias}") == plan.count(f"CO-ROUTINE {alias}"), text
    return text


RARE = [
    *({"name": {"any_": [name]}} for name in ("Failed", "TimedOut", "Cancelled", "My own")),
    *({"type": {"any_": [kind]}} for kind in ("FAILED", "CRASHED", "CANCELLED")),
]  # fmt: skip


@pytest.mark.parametrize("asked", RARE, ids=str)
def test_runs_of_a_rare_state_are_read_in_the_order_of_an_index(local, asked):
    index = "flow_runs_by_type" if "type" in asked else "flow_runs_by_state_name"
    for sort in SORTS:
        body = {"flow_runs": {"state": asked}, "sort": sort, "limit": 200}
        found = plan(
            local,
            lambda tx, body=body: query.search(
                tx, "flow_runs", body, flow_runs.VIEW_COLUMNS, flow_runs.VIEW_JOINS
            ),
        )
        assert index in assert_by_index(found, "flow_runs", "r")
        assert not is_sorted(found), found
    found = plan(local, lambda tx: query.count(tx, "flow_runs", body))
    assert index in assert_by_index(found, "flow_runs", "r") or is_postgres(local)


@pytest.mark.parametrize(
    "asked",
    [
        {"name": {"any_": ["Late"]}},
        {"name": {"any_": ["Running"]}},
        {"type": {"any_": ["SCHEDULED"]}},
        {"type": {"any_": ["RUNNING"]}},
        {"type": {"any_": ["FAILED", "CRASHED"]}},
        {"name": {"any_": ["Failed", "Late"]}},
    ],
    ids=str,
)
def test_no_listing_by_state_looks_at_all_runs(local, asked):
    for sort in [*SORTS, "NAME_ASC", "NEXT_SCHEDULED_START_TIME_ASC"]:
        body = {"flow_runs": {"state": asked}, "sort": sort, "limit": 200}
        found = plan(local, lambda tx, body=body: query.search(tx, "flow_runs", body))
        assert_by_index(found, "flow_runs", "r")
    found = plan(local, lambda tx: query.count(tx, "flow_runs", body))
    assert_by_index(found, "flow_runs", "r")


@pytest.mark.parametrize("sort", SORTS)
def test_all_runs_are_read_in_the_order_of_an_index(local, sort):
    found = plan(local, lambda tx: query.search(tx, "flow_runs", {"sort": sort, "limit": 50}))
    assert_by_index(found, "flow_runs", "r")
    assert "USE TEMP B-TREE FOR ORDER BY" not in found


@pytest.mark.parametrize("asked", [{"type": {"any_": ["FAILED"]}}, {"name": {"any_": ["Failed"]}}], ids=str)
def test_failed_task_runs_are_found_by_an_index(local, asked):
    for sort in TASK_SORTS:
        body = {"task_runs": {"state": asked}, "sort": sort, "limit": 200}
        found = plan(local, lambda tx, body=body: query.search(tx, "task_runs", body))
        assert "task_runs_by_" in assert_by_index(found, "task_runs", "t") or is_postgres(local)
        body["task_runs"]["flow_run_id"] = {"any_": [local.parent]}
        found = plan(local, lambda tx, body=body: query.search(tx, "task_runs", body))
        assert "task_runs_of_run_by_" in assert_by_index(found, "task_runs", "t") or is_postgres(local)


def is_postgres(client):
    """Whose planner may as well take another index, where it knows nothing."""
    return client.database.dialect == "postgresql"


def test_task_runs_of_a_run_are_read_in_their_order(local):
    chosen = {"flow_run_id": {"any_": [local.parent]}}
    for sort in ("EXPECTED_START_TIME_DESC", "EXPECTED_START_TIME_ASC"):
        found = plan(
            local, lambda tx, sort=sort: query.search(tx, "task_runs", {"task_runs": chosen, "sort": sort})
        )
        assert "task_runs_by_time" in assert_by_index(found, "task_runs", "t") or is_postgres(local)
