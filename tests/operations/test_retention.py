"""Retention: what goes, what stays, and that what stays refers to nothing that is gone; four ways."""

from __future__ import annotations

from pathlib import Path

import pytest
from _history import DAY, History, counts, orphans, there
from hypothesis import given
from hypothesis import strategies as st
from runyard import settings
from runyard.base import clock
from runyard.base.errors import InvalidInput
from runyard.client import LocalClient
from runyard.engine.results import large_results
from runyard.engine.retention_loop import preview, remove
from runyard.operations import lease_clock
from runyard.operations.flow_runs import flow_runs
from runyard.operations.limits import locks
from runyard.operations.retention import retention
from runyard.operations.schemas import StateCreate
from runyard.operations.task_runs import task_runs
from runyard.store.database import get_database

TABLES = (
    "flow_runs", "flow_run_states", "task_runs", "task_run_states", "logs", "artifacts", "flow_run_inputs",
    "results", "background_tasks", "schedule_skips", "workers", "locks",
)  # fmt: skip


@pytest.fixture
def history(client):
    return History(get_database())


def kept(table="flow_runs"):
    return there(get_database(), table)


def only_runs(days, **more):
    return {"by_settings": False, "runs_seconds": days * 86_400, **more}


def test_runs_and_logs_go_after_their_time_with_all_that_belongs_to_them(client, history):
    with history:
        old = history.flow_run(days=91)
        history.task_run(old, days=91)
        young = history.flow_run(days=89)
        called = history.task_run(young, days=89)
        history.log(29, flow_run_id=young)
    done = remove(client)
    assert kept() == {young}
    assert kept("task_runs") == {called}
    assert done.rows["flow_runs"] == 1
    assert counts(get_database(), ["logs"]) == {"logs": 1}
    assert orphans(get_database()) == []
    assert remove(client).rows == {}


def test_nothing_goes_where_it_is_kept_for_ever(client, history, monkeypatch):
    with history:
        history.flow_run(days=5_000)
        history.background(days=5_000)
    for kind in ("RUNS", "LOGS", "OUTCOMES"):
        monkeypatch.setenv(f"RUNYARD_RETENTION_{kind}_DAYS", "0")
    before = counts(get_database(), TABLES)
    remove(client)
    assert counts(get_database(), TABLES) == before


@pytest.mark.parametrize("kind", ["SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING"])
def test_a_run_that_is_not_over_stays_however_old(client, history, kind):
    with history:
        run = history.flow_run(days=1_000, kind=kind)
        called = history.subflow(run, days=900)
        alone = history.task_run(None, days=1_000, kind=kind)
    remove(client, only_runs(1))
    assert kept() == {run, called}
    assert alone in kept("task_runs")


@pytest.mark.parametrize("kind", ["RUNNING", "COMPLETED"])
@pytest.mark.parametrize("own_process", [False, True])
def test_a_run_goes_only_with_all_that_it_called(client, history, kind, own_process):
    with history:
        root = history.flow_run(days=100)
        middle = history.subflow(root, days=100, within=None if own_process else root)
        last = history.subflow(middle, days=1 if kind == "COMPLETED" else 100, kind=kind)
        other = history.flow_run(days=100)
    remove(client, only_runs(50))
    assert kept() == {root, middle, last}
    assert other not in kept()
    with get_database().transaction() as tx:
        tx.execute("UPDATE flow_runs SET state_type = 'FAILED', state_timestamp = :at WHERE id = :id",
                   {"id": last, "at": history.now - 99 * DAY})  # fmt: skip
    remove(client, only_runs(50))
    assert kept() == set()
    assert orphans(get_database()) == []


def test_a_flow_that_a_task_outside_of_flows_called_goes_with_it(client, history):
    with history:
        task = history.background(days=100)
        history.flow_run(days=100, parent_task_run_id=task)
        waiting = history.background(days=100, done=False, upstream=[task])
        young = history.task_run(None, days=100)
        called = history.flow_run(days=1, parent_task_run_id=young)
    remove(client, only_runs(50))
    assert kept("task_runs") == {waiting, young}
    assert kept() == {called}
    assert orphans(get_database()) == []


def test_a_run_whose_caller_was_deleted_counts_by_itself(client, history):
    with history:
        root = history.flow_run(days=1)
        inner = history.subflow(root, days=100, within=root)
        own = history.subflow(root, days=100)
    client.call(flow_runs.delete_flow_run, root)
    assert kept() == {own}
    assert inner not in kept()
    assert orphans(get_database()) == []
    remove(client, only_runs(50))
    assert kept() == set()


def test_a_deleted_task_run_leaves_nothing(client, history):
    with history:
        run = history.flow_run(days=1)
        called = history.subflow(run, days=1)
    (task,) = kept("task_runs")
    client.call(task_runs.delete_task_run, task)
    assert kept() == {run, called}
    assert orphans(get_database()) == []


def test_only_runs_that_ended_in_some_states(client, history):
    with history:
        runs = {kind: history.flow_run(kind=kind) for kind in ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")}
    remove(client, only_runs(50, states=["FAILED", "CRASHED"]))
    assert kept() == {runs["COMPLETED"], runs["CANCELLED"]}
    with pytest.raises(InvalidInput, match="RUNNING are not over"):
        remove(client, only_runs(50, states=["RUNNING"]))


def test_results_go_with_their_runs_and_cached_ones_when_they_expire(client, history, home):
    places = {name: large_results.write(name, b"data") for name in ("own", "cached", "expired")}
    with history:
        run = history.flow_run(days=100)
        history.result("own", place=places["own"], flow_run_id=run)
        history.result("cached", place=places["cached"])
        history.result("small")
        history.result("future", expires_days_ago=-1)
        history.result("expired", expires_days_ago=1, place=places["expired"])
        history.result("past", expires_days_ago=1)
    seen = preview(client)
    assert remove(client).rows["results"] == seen["results"] == 4
    assert there(get_database(), "results", "key") == {"cached", "small", "future"}
    assert [name for name, place in places.items() if Path(place).exists()] == ["cached"]


def test_other_kinds_go_by_their_own_age(client, history):
    with history:
        outcome = history.background(days=8)
        newer = history.background(days=6)
        for name, days, held in (("gone", 8, False), ("new", 6, False), ("busy", 8, True)):
            at = history.now - days * DAY
            history.put("work_pools", id=name, created=at, updated=at, name=name, type="process")
            row = {"id": name, "created": at, "updated": at, "name": name, "work_pool_id": name}
            history.put("workers", **row, last_heartbeat_time=at)
            if held:
                run = history.flow_run(days=1, kind="RUNNING")
                history.put("leases", flow_run_id=run, attempt=1, owner="o", worker_id=name, acquired=at)
        history.put("locks", name="left", owner="killed", expires=lease_clock.now(history.tx) - 2 * DAY)
        history.put("locks", name="held", owner="alive", expires=lease_clock.now(history.tx) + DAY)
    remove(client)
    assert there(get_database(), "background_tasks", "task_run_id") == {newer}
    assert outcome in kept("task_runs")
    assert kept("workers") == {"new", "busy"}
    assert there(get_database(), "locks", "name") == {"held"}


def test_a_large_run_goes_in_parts_and_a_turn_that_was_cut_short_is_finished(client, history):
    with history:
        root = history.flow_run(days=100)
        for _ in range(40):
            history.task_run(root, days=100)
        history.subflow(root, days=100, within=root)
        history.subflow(root, days=100)
    turn = {"holder": "me", "rows": 5, "by_settings": False, "runs_seconds": 86_400.0}
    report = client.call(retention.remove_old, retention.RetentionTurn(**turn))
    # The run itself is gone, and the rest is known to be removed.
    assert root not in kept()
    assert there(get_database(), "removed_runs", "flow_run_id") == {root}
    assert sum(report.removed.values()) == 1
    turn["rows"] = 100
    client.call(locks.release_lock, {"name": retention.LOCK, "holder": "me"})
    seen = preview(client, only_runs(1))
    before = counts(get_database(), TABLES)
    done = remove(client)
    assert there(get_database(), "removed_runs", "flow_run_id") == set()
    assert kept() == kept("task_runs") == set()
    assert orphans(get_database()) == []
    assert +done.rows == +seen
    after = counts(get_database(), TABLES)
    assert {
        table: before[table] - after[table] for table in before if before[table] != after[table]
    } == done.rows


def test_of_several_one_removes(client, history):
    with history:
        run = history.flow_run(days=100)
    body = {"name": retention.LOCK, "holder": "another", "lease_seconds": 60.0}
    client.call(locks.acquire_lock, body)
    assert remove(client).held_by == "another"
    assert kept() == {run}
    client.call(locks.release_lock, body)
    assert remove(client).held_by is None
    assert kept() == set()


def test_a_run_that_is_begun_again_meanwhile_stays(home):
    client, history = LocalClient(), History(get_database())
    with history:
        run, other = history.flow_run(days=100), history.flow_run(days=100)
    body = retention.RetentionTurn(holder="me", by_settings=False, runs_seconds=60.0)
    with client.database.transaction(write=False) as tx:
        plan = retention._look(tx, body)
    again = flow_runs.SetState(state=StateCreate(type="SCHEDULED"), force=True)
    client.call(flow_runs.set_flow_run_state, run, again)
    with client.database.transaction() as tx:
        tx.prepared = plan
        retention.remove_old(tx, body)
    assert kept() == {run}
    assert other not in kept()


def test_a_clock_that_leaps_ahead_removes_nothing(client, history, monkeypatch):
    with history:
        history.flow_run(days=1)
    assert not remove(client).on_hold
    real, ahead = lease_clock.wall, 200 * DAY
    monkeypatch.setattr(lease_clock, "wall", lambda tx: real(tx) + ahead)
    assert remove(client).on_hold
    assert remove(client).on_hold
    assert len(kept()) == 1
    # It is set right again.
    ahead = 0
    assert not remove(client).on_hold
    assert len(kept()) == 1
    # It was right: a machine that was off for long.
    ahead = 200 * DAY
    assert remove(client).on_hold
    with get_database().transaction() as tx:
        tx.execute("UPDATE lease_clock SET value = value + :hour WHERE id = 1", {"hour": 3_600_000_000})
    assert not remove(client).on_hold
    assert kept() == set()


def test_logs_beyond_any_run_go_by_their_age(client, history):
    with history:
        history.log(31, flow_run_id="unknown")
        history.log(29, flow_run_id="unknown")
        history.log(31)
    assert remove(client).rows == {"logs": 2}


KINDS = st.sampled_from(["COMPLETED", "COMPLETED", "COMPLETED", "FAILED", "CRASHED", "RUNNING", "SCHEDULED"])
AGES = st.integers(0, 20).map(lambda tens: tens * 10.0 + 5)
# Each run: its caller among the earlier ones (or none, or a task of no flow), own process or not, age, state.
RUN = st.tuples(st.integers(-2, 6), st.booleans(), AGES, KINDS, st.integers(0, 3))


@given(runs=st.lists(RUN, max_size=9), cut=st.integers(1, 20), rows=st.sampled_from([1, 20, 5000]))
def test_nothing_kept_refers_to_something_removed(tmp_path_factory, runs, cut, rows):
    """Against a model: a family goes when all of it is over and old, else none of it."""
    from runyard.store.database import Database

    database = Database(settings.sqlite_url(str(tmp_path_factory.mktemp("r") / "runyard.db")))
    try:
        client, made = LocalClient(database), []
        with History(database) as history:
            for caller, own, days, kind, tasks in runs:
                if caller == -1:
                    top = history.background(days=days)
                    id = history.flow_run(days, kind, parent_task_run_id=top)
                    made.append({"id": id, "top": len(made), "task": top, "days": days, "kind": kind})
                    made[-1]["members"] = [made[-1]]
                elif caller < 0 or caller >= len(made):
                    id = history.flow_run(days, kind)
                    made.append({"id": id, "top": len(made), "task": None, "days": days, "kind": kind})
                    made[-1]["members"] = [made[-1]]
                else:
                    top = made[made[caller]["top"]]
                    root = None if own else made[caller].get("root", made[caller]["id"])
                    id = history.subflow(made[caller]["id"], days, kind, within=root)
                    one = {"id": id, "top": made[caller]["top"], "days": days, "kind": kind}
                    if not own:
                        one["root"] = root
                    made.append(one)
                    top["members"].append(one)
                for _ in range(tasks):
                    history.task_run(id, days)
        expected = set()
        for top in (each for each in made if "members" in each):
            over = all(
                one["kind"] in ("COMPLETED", "FAILED", "CRASHED") and one["days"] > cut * 10
                for one in top["members"]
            )
            # A task outside of flows that is old has the age of its flow here.
            if not over:
                expected |= {one["id"] for one in top["members"]}
        seen = preview(client, only_runs(cut * 10))
        before = counts(database, TABLES)
        turn, further, removed = only_runs(cut * 10), {}, {}
        while True:
            body = retention.RetentionTurn(holder="me", rows=rows, **turn, **further)
            report = client.call(retention.remove_old, body)
            if report.done:
                break
            further = {"moment": report.moment, "step": report.step, "after": report.after}
        client.call(locks.release_lock, {"name": retention.LOCK, "holder": "me"})
        assert there(database, "flow_runs") == expected
        assert orphans(database) == []
        after = counts(database, TABLES)
        removed = {table: before[table] - after[table] for table in before if before[table] != after[table]}
        assert removed == dict(+seen)
    finally:
        database.close()


def test_the_moment_of_a_turn_is_never_of_the_future(client, history):
    with history:
        run = history.flow_run(days=1)
    turn = only_runs(50, holder="me", moment=clock.from_us(history.now + 400 * DAY))
    client.call(retention.remove_old, retention.RetentionTurn(**turn))
    assert kept() == {run}
