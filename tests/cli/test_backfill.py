"""`runyard deployment backfill`: each instant of the past gets one run, whatever happens."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
from runyard.client import LocalClient
from runyard.operations.flow_runs import flow_runs
from runyard.operations.schemas import StateCreate
from runyard_cli.commands import deployment_backfill

FLOW = """
from prefect import flow
from prefect.runtime import flow_run

@flow
def etl(date: str = None, n: int = 1):
    with open("done.txt", "a") as file:
        print(date, n, flow_run.scheduled_start_time.isoformat(), file=file)
"""
PROJECT = """
name: mine
deployments:
  - name: nightly
    entrypoint: etl.py:etl
    work_pool: {name: pool}
    parameters: {n: 2}
    schedules:
      - {cron: "0 2 * * *", timezone: Europe/Berlin, slug: night}
      - {interval: 1, anchor_date: "2026-01-01", slug: often, active: false}
  - name: bare
    entrypoint: etl.py:etl
    work_pool: {name: pool}
"""
# A command line whose process is killed some time after its second batch began, and begins no third one.
KILLED = """
import os, random, signal, sys, threading, time
from runyard.client import LocalClient
from runyard.operations.scheduler.backfills import backfill_deployment
from runyard_cli.main import main

call, batches = LocalClient.call, []

def counted(self, operation, *arguments, **fields):
    if operation is backfill_deployment and not fields["body"].dry_run:
        batches.append(1)
        if len(batches) == 2:
            kill = lambda: os.kill(os.getpid(), signal.SIGKILL)
            threading.Timer(random.uniform(0.0, 0.05), kill).start()
        while len(batches) > 2:
            time.sleep(1)
    return call(self, operation, *arguments, **fields)

LocalClient.call = counted
main(sys.argv[1:])
"""
JANUARY = ("--from", "2026-01-10", "--to", "2026-01-13")
DEADLINE_SECONDS = 60.0


@pytest.fixture
def deployed(tmp_path, monkeypatch, runyard):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    (tmp_path / "etl.py").write_text(FLOW)
    (tmp_path / "prefect.yaml").write_text(PROJECT)
    monkeypatch.chdir(tmp_path)
    runyard("work-pool", "create", "pool", "--type", "process")
    runyard("deploy", "--all")
    yield tmp_path
    monkeypatch.undo()
    time.tzset()


def backfill(runyard, *flags, code=0):
    return runyard("deployment", "backfill", "nightly", "--schedule", "night", *flags, code=code)


def test_each_instant_gets_one_run_with_its_time(runyard, deployed):
    template = ("--param-template", "date={instant:%Y-%m-%d}")
    assert "Created 3 runs" in backfill(runyard, *JANUARY, *template).out
    runyard("worker", "start", "--pool", "pool", "--run-once")
    lines = (deployed / "done.txt").read_text().splitlines()
    assert sorted(lines) == [f"2026-01-{day} 2 2026-01-{day}T01:00:00+00:00" for day in (10, 11, 12)]
    again = backfill(runyard, *JANUARY, *template)
    assert "Created 0 runs" in again.out
    assert "3 of 3 scheduled times already had a run" in again.out
    runs = runyard("flow-run", "ls", "--state", "Completed", "-o", "json").json
    assert {tuple(run["tags"]) for run in runs} == {("backfill",)}


def test_a_plan_shows_what_would_be_made(runyard, deployed):
    plan = backfill(runyard, *JANUARY, "--plan", code=2)
    assert plan.out.count("\tcreate\t") == 3
    assert runyard("flow-run", "ls", "-o", "json").json == []
    backfill(runyard, *JANUARY, "--limit", "1", "--reverse")
    planned = backfill(runyard, *JANUARY, "--plan", "-o", "json", code=2).json
    assert [each["action"] for each in planned] == ["create", "create", "exists"]
    backfill(runyard, *JANUARY)
    assert "0 to create, 3 exist." in backfill(runyard, *JANUARY, "--plan").out


def test_the_order_in_which_they_start(runyard, deployed):
    def order():
        runs = runyard("flow-run", "ls", "-o", "json", "--limit", "20").json
        waiting = sorted(runs, key=lambda run: run["next_scheduled_start_time"])
        return [run["expected_start_time"][:10] for run in waiting]

    backfill(runyard, *JANUARY, "--reverse")
    assert order() == ["2026-01-12", "2026-01-11", "2026-01-10"]
    backfill(runyard, "--from", "2026-02-01", "--to", "2026-02-03")
    assert order()[3:] == ["2026-02-01", "2026-02-02"]


def test_what_is_wrong_makes_nothing(runyard, deployed):
    assert "earlier" in backfill(runyard, "--from", "2026-02-01", "--to", "2026-01-01", code=1).err
    assert "invalid time" in backfill(runyard, "--from", "someday", code=1).err
    assert "no schedule" in runyard("deployment", "backfill", "bare", *JANUARY, code=1).err
    for template in ("date={when}", "date={{ instant }}", "date=2026-01-01"):
        told = backfill(runyard, *JANUARY, "--param-template", template, code=1).err
        assert f"--param-template {template!r}" in told
    assert "nosuch" in backfill(runyard, *JANUARY, "--param", "nosuch=1", code=1).err
    assert "'n'" in backfill(runyard, *JANUARY, "--param", "n=[1]", code=1).err
    assert (
        "tomorrow"
        in runyard("deployment", "backfill", "nightly", *JANUARY, "--schedule", "tomorrow", code=1).err
    )
    assert runyard("flow-run", "ls", "-o", "json").json == []


def test_a_backfill_killed_midway_goes_on_where_it_stopped(runyard, deployed, store):
    """3,600 instants in batches of 500: killed in or after the second, called again, each has one run."""
    from runyard.operations.flow_runs import flow_runs
    from runyard.operations.schemas import Filter

    hour = ("--from", "2026-01-10T00:00", "--to", "2026-01-10T01:00", "--schedule", "often")

    def count():
        return store.call(flow_runs.count_flow_runs, body=Filter())

    command = [sys.executable, "-c", KILLED, "deployment", "backfill", "nightly", *hour]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    assert done.returncode == -signal.SIGKILL, done.stderr
    some = count()
    assert some in (500, 1000)
    done = runyard("deployment", "backfill", "nightly", *hour, "-o", "json").json
    assert len({each["flow_run_id"] for each in done}) == 3600 - some
    assert count() == 3600


def test_an_instant_whose_run_failed_is_redone_on_demand(runyard, deployed):
    backfill(runyard, *JANUARY)
    runs = runyard("flow-run", "ls", "-o", "json").json
    first = min(runs, key=lambda run: run["expected_start_time"])
    client = LocalClient()
    body = flow_runs.SetState(state=StateCreate(type="FAILED"), force=True)
    client.call(flow_runs.set_flow_run_state, first["id"], body)
    assert "Created 0 runs" in backfill(runyard, *JANUARY).out
    plan = backfill(runyard, *JANUARY, "--redo-failed", "--plan", "-o", "json", code=2).json
    assert [each["action"] for each in plan] == ["redo", "exists", "exists"]
    (made,) = backfill(runyard, *JANUARY, "--redo-failed", "-o", "json").json
    assert (made["created"], made["redone"]) == (True, first["id"])
    # It has a run again, so it is done once; the failed one is still there.
    assert "Created 0 runs" in backfill(runyard, *JANUARY, "--redo-failed").out
    assert len(runyard("flow-run", "ls", "-o", "json").json) == 4


def test_dates_are_those_of_the_zone_of_the_schedule(runyard, deployed):
    plan = backfill(runyard, *JANUARY, "--plan", "-o", "json", code=2).json
    assert [each["local"] for each in plan] == [f"2026-01-{day}T02:00:00+01:00" for day in (10, 11, 12)]
    shown = backfill(runyard, "--from", "2026-01-10T02:00", "--to", "2026-01-10T02:01", "--plan", code=2).out
    assert "From 2026-01-10 02:00:00 CET" in shown
    assert "1 to create" in shown


@pytest.mark.parametrize("flags", [(), ("--reverse",)])
def test_a_limit_looks_at_no_more_instants_than_it_needs(runyard, deployed, monkeypatch, flags):
    looked = []
    send = deployment_backfill._send

    def counted(client, deployment_id, wanted, common, dry_run):
        looked.append(len(wanted))
        return send(client, deployment_id, wanted, common, dry_run)

    monkeypatch.setattr(deployment_backfill, "_send", counted)
    often = ("deployment", "backfill", "nightly", "--schedule", "often", "--from", "2026-01-01")
    assert "(more are left for the next call)" in runyard(*often, "--limit", "5", "--yes", *flags).out
    assert sum(looked) <= 60
