"""`runyard deployment`: lists with what is due next, details, changes of many at once."""

from __future__ import annotations

import pytest
from runyard.operations.deployments import deployments
from runyard_cli.shared import output

FLOWS = """
from prefect import flow

@flow
def etl(day: str, n: int = 1, key: str = None):
    if n > 1:
        raise ValueError("too many")

@flow
def report():
    pass
"""
PROJECT = """
name: mine
deployments:
  - name: nightly
    entrypoint: flows.py:etl
    description: Loads a day.
    tags: [prod, daily]
    parameters: {day: today}
    concurrency_limit: 2
    work_pool: {name: pool, job_variables: {env: {A: "1"}}}
    schedules:
      - {cron: "30 2 * * *", timezone: Europe/Berlin, slug: night}
      - {cron: "0 4 * * *", timezone: America/New_York, slug: early}
  - name: manual
    entrypoint: flows.py:etl
    work_pool: {name: pool}
  - name: weekly
    entrypoint: flows.py:report
    tags: [prod]
    work_pool: {name: other}
    schedules:
      - {cron: "0 12 * * 1", slug: monday, active: false}
"""


@pytest.fixture
def deployed(tmp_path, monkeypatch, runyard):
    (tmp_path / "flows.py").write_text(FLOWS)
    (tmp_path / "prefect.yaml").write_text(PROJECT)
    monkeypatch.chdir(tmp_path)
    for pool in ("pool", "other"):
        runyard("work-pool", "create", pool, "--type", "process")
    runyard("deploy", "--all")


def names(runyard, *options):
    return [
        f"{each['flow_name']}/{each['name']}"
        for each in runyard("deployment", "ls", *options, "-o", "json").json
    ]


def test_a_list_shows_the_schedule_and_the_next_run(runyard, deployed):
    lines = {line.split("\t")[0]: line.split("\t") for line in runyard("deployment", "ls").out.splitlines()}
    assert list(lines) == ["etl/manual", "etl/nightly", "report/weekly"]
    assert lines["etl/manual"][1:4] == ["", "", "pool"]
    assert lines["etl/nightly"][1].endswith(" +1")
    assert lines["etl/nightly"][2][10:] in (
        "T02:30:00+01:00",
        "T02:30:00+02:00",
        "T04:00:00-05:00",
        "T04:00:00-04:00",
    )
    assert lines["report/weekly"][1] == "every Monday at 12:00 (UTC), paused"
    assert lines["report/weekly"][2] == ""


def test_a_list_is_filtered_sorted_and_cut(runyard, deployed):
    assert names(runyard, "--tag", "prod") == ["etl/nightly", "report/weekly"]
    assert names(runyard, "--tag", "prod", "--tag", "daily") == ["etl/nightly"]
    assert names(runyard, "--pool", "other") == ["report/weekly"]
    assert names(runyard, "report", "--tag", "prod") == ["report/weekly"]
    assert names(runyard, "--sort", "next")[0] == "etl/nightly"
    assert names(runyard, "--sort", "-name") == ["report/weekly", "etl/nightly", "etl/manual"]
    part = runyard("deployment", "ls", "--limit", "1", "--sort", "next")
    assert part.out.startswith("etl/nightly\t")
    assert "1 of 3 shown; --limit 0 shows all." in part.err
    assert runyard("deployment", "ls", "-o", "name").out == "etl/manual\netl/nightly\nreport/weekly\n"
    assert (
        runyard("deployment", "ls", "--columns", "name,status").out.splitlines()[0] == "etl/manual\tNOT_READY"
    )
    assert "No deployments match" in runyard("deployment", "ls", "--tag", "nobody").err
    assert "'nobody'" in runyard("deployment", "ls", "nobody").err
    runyard("deployment", "pause", "manual")
    assert names(runyard, "--paused") == ["etl/manual"]
    assert names(runyard, "--active", "--tag", "prod") == ["etl/nightly", "report/weekly"]


def test_a_deployment_is_shown_in_sections(runyard, deployed):
    shown = runyard("deployment", "inspect", "nightly").out
    for text in (
        "Deployment etl/nightly",
        "Loads a day.",
        "prod, daily",
        "flows.py:etl",
        "day: today",
        "n=1, key=null",
        "pool (process, no workers online)",
        "at most 2, now 0",
        "night: every day at 02:30 (Europe/Berlin)",
        "early: every day at 04:00 (America/New_York)",
        "Start a worker: runyard worker start --pool pool",
        "Run it now: runyard deployment run etl/nightly",
    ):
        assert text in shown
    assert shown.count(" 02:30:00 CE") + shown.count(" 04:00:00 E") == 5
    assert "null" not in shown.replace("key=null", "")
    assert "A run must give" in runyard("deployment", "inspect", "manual").out
    assert "it has no schedule" in runyard("deployment", "inspect", "manual").out
    runyard("deployment", "pause", "nightly")
    paused = runyard("deployment", "inspect", "nightly").out
    assert "Next runs" not in paused
    assert "runyard deployment resume etl/nightly" in paused


def test_the_last_runs_of_a_deployment_are_shown(runyard, deployed, program):
    runyard("deployment", "run", "nightly", "--flow-run-name", "good")
    runyard("deployment", "run", "nightly", "--param", "n=2", "--flow-run-name", "bad")
    program("worker", "start", "--pool", "pool", "--run-once")
    shown = runyard("deployment", "inspect", "nightly").out
    assert "✓ Completed  good" in shown
    assert "✗ Failed     bad" in shown


def test_deployments_are_paused_and_resumed_in_bulk(runyard, deployed):
    def paused():
        return names(runyard, "--paused")

    assert "Would pause 2 deployments" in runyard("deployment", "pause", "--tag", "prod", "--dry-run").out
    assert paused() == []
    changed = runyard("deployment", "pause", "--tag", "prod", "-o", "json").json
    assert [each["paused"] for each in changed] == [True, True]
    assert paused() == ["etl/nightly", "report/weekly"]
    shown = runyard("deployment", "pause", "--all").out
    assert "Paused deployment 'etl/manual'." in shown
    assert "nightly" not in shown
    assert "already paused" in runyard("deployment", "pause", "nightly").out
    assert "already paused" in runyard("deployment", "pause", "--all").out
    shown = runyard("deployment", "resume", "--all")
    assert "runyard schedule resume report/weekly --all" in shown.err
    assert "runyard schedule next" in shown.out
    assert paused() == []
    assert "No deployments match" in runyard("deployment", "pause", "--tag", "nobody").out
    for wrong in ((), ("nightly", "--all")):
        assert "--all" in runyard("deployment", "pause", *wrong, code=2).err
    assert "did you mean 'etl/nightly'" in runyard("deployment", "pause", "manual", "nightli", code=1).err
    assert paused() == []


def test_deployments_are_deleted_after_a_look(runyard, deployed):
    runyard("deployment", "run", "nightly", "--start-in", "1h")
    plan = runyard("deployment", "delete", "--tag", "prod", "--dry-run").out
    assert plan == (
        "Would delete 2 deployments: etl/nightly, report/weekly, with 3 schedules and 1 waiting run.\n"
    )
    gone = runyard("deployment", "delete", "weekly", "-o", "json").json
    assert [each["name"] for each in gone] == ["weekly"]
    shown = runyard("deployment", "delete", "nightly", "nightly")
    assert shown.out == "Deleted deployment 'etl/nightly'.\n"
    assert shown.err == "If a project file declares it, the next deploy creates it again.\n"
    assert names(runyard) == ["etl/manual"]
    assert "No deployments match" in runyard("deployment", "delete", "--tag", "prod").out
    assert "--all" in runyard("deployment", "delete", code=2).err
    assert "runyard deploy" in runyard("deployment", "create", "x", code=2).err


def test_flows_are_listed(runyard, deployed):
    assert {line.split("\t")[0] for line in runyard("flow", "ls").out.splitlines()} == {"etl", "report"}
    part = runyard("flow", "ls", "--limit", "1", "--sort", "name")
    assert part.out.startswith("etl\t")
    assert "1 of 2 shown" in part.err
    assert runyard("flow", "ls", "--sort", "-name", "-o", "name").out == "report\netl\n"
    assert len(runyard("flow", "ls", "--limit", "0", "-o", "json").json) == 2
    assert "runyard run FILE.py:FLOW" in runyard("flow", "run", "x", code=2).err


def test_a_run_says_that_no_worker_would_start_it(runyard, deployed):
    shown = runyard("deployment", "run", "nightly")
    assert "start one: runyard worker start --pool pool" in shown.err
    assert "Follow it with: runyard flow-run logs " in shown.out
    later = runyard("deployment", "run", "nightly", "--start-in", "2h")
    assert "(in 2 hours)" in later.out
    assert "runyard flow-run cancel " in later.out
    runyard("work-pool", "pause", "pool")
    assert "runyard work-pool resume pool" in runyard("deployment", "run", "nightly").err
    assert "is in the past" in runyard("deployment", "run", "nightly", "--start-at", "yesterday", code=1).err


def test_a_deployment_that_is_not_found_or_not_clear(runyard, deployed, store):
    for reference, text in (
        ("nightli", "deployment 'nightli' not found; did you mean 'etl/nightly'?"),
        ("zzz", "deployment 'zzz' not found; see: runyard deployment ls"),
    ):
        assert text in runyard("deployment", "inspect", reference, code=1).err
    assert "no deployment exists yet" not in runyard("deployment", "inspect", "-").out
    newest = runyard("deployment", "ls", "--by-created", "-o", "json").json[0]["id"]
    assert runyard("deployment", "inspect", "-", "-o", "json").json["id"] == newest
    unknown = runyard("schedule", "pause", "nightly", "nigt", code=1).err
    assert "has no schedule 'nigt'; did you mean 'night'?" in unknown
    assert "work pool 'pol' not found" in runyard("deployment", "pause", "--pool", "pol", code=1).err.replace(
        '"', "'"
    )
    twin = {"owner": "other", "deployments": [{"flow_name": "report", "name": "nightly"}]}
    store.call(deployments.apply_deployments, deployments.DeploymentsApply.model_validate(twin))
    twice = runyard("deployment", "inspect", "nightly", code=1).err
    assert "2 deployments are named 'nightly'; give the flow too: etl/nightly (" in twice
    runyard("deployment", "delete", "--all", "-y")
    assert "no deployment exists yet" in runyard("deployment", "inspect", "-", code=1).err
    assert "No schedules match" in runyard("schedule", "next", "--pool", "pool").err


def test_a_long_name_hides_no_other_column(runyard, deployed, monkeypatch):
    runyard("deploy", "flows.py:report", "-n", "x" * 200, "-p", "pool")
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    shown = runyard("deployment", "ls").out
    assert max(map(len, shown.splitlines())) <= 80
    assert "NOT_READY" in shown
    assert "every day" in shown
    assert "xxxxxxxx" in shown
