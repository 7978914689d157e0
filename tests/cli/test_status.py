"""`runyard status` and `runyard` alone: where things stand, and the next command."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from _history import History
from runyard.operations.deployments import deployments
from runyard.operations.schedules import schedules
from runyard.operations.work_pools import work_pools, workers
from runyard.store.database import get_database


@pytest.fixture
def stored(store):
    """A pool with a worker and one without; a schedule, and runs of several states."""
    for name in ("machines", "boxes"):
        store.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name=name, concurrency_limit=4))
    store.call(workers.heartbeat_worker, "machines", workers.WorkerHeartbeat(name="w"))
    made = {}
    for name, pool in (("daily", "machines"), ("weekly", "boxes")):
        item = {"flow_name": "etl", "name": name, "work_pool_name": pool}
        body = deployments.DeploymentsApply.model_validate({"owner": name, "deployments": [item]})
        made[name] = store.call(deployments.apply_deployments, body)[0].deployment
    for name, spec, slug in (
        ("daily", {"interval": 86400, "timezone": "Asia/Tokyo"}, "early"),
        ("weekly", {"cron": "0 6 * * 1"}, "monday"),
    ):
        body = [schedules.DeploymentScheduleCreate.model_validate({"schedule": spec, "slug": slug})]
        store.call(schedules.create_deployment_schedules, made[name].id, body)
    store.call(deployments.pause_deployment, made["weekly"].id)
    with History(get_database()) as history:
        history.flow_run(0.1, "RUNNING", name="[red]rapid[/red]\x1b]0;x\x07", deployment_id=made["daily"].id)
        history.flow_run(0.2, "FAILED", name="sad-fox")
        history.flow_run(0.3, "COMPLETED", name="glad-hen")
        history.flow_run(40, "FAILED", name="old-owl")
    return store


def sections(text):
    """The lines below each heading."""
    found, lines = {}, None
    for line in text.splitlines()[1:]:
        if line and not line.startswith(" "):
            lines = found.setdefault(line, [])
        elif line:
            lines.append(line.strip())
    return found


def test_it_shows_where_things_stand(stored, runyard, home):
    shown = runyard("status").out
    assert shown.splitlines()[0] == f"Runyard  {home}/runyard.db"
    assert "\x1b" not in shown
    found = sections(shown)
    assert list(found) == ["Work pools", "Flow runs", "Next", "Paused", "What to do"]
    first, second = found["Work pools"]
    assert re.fullmatch(r"✓ machines  1 worker online, next in \d+ hours", first)
    assert second == "✗ boxes     no worker online"
    assert found["Flow runs"][0] == "● 1 running"
    assert found["Flow runs"][1].startswith(r"[red]rapid[/red]\x1b]0;x\x07 of ")
    assert "✗ 1 failed since yesterday" in found["Flow runs"]
    assert "✓ 1 other ended since yesterday" in found["Flow runs"]
    assert re.fullmatch(
        r"in \d+ hours  etl/daily \(early\)  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d JST", found["Next"][0]
    )
    assert found["Paused"] == ["‖ 1 deployment: etl/weekly"]
    assert found["What to do"] == [
        "1 flow run failed; the latest is 'sad-fox'.",
        "runyard flow-run why sad-fox",
    ]


def test_the_time_and_the_number_can_be_chosen(stored, runyard):
    found = sections(runyard("status", "--since", "60d", "--limit", "1").out)["Flow runs"]
    assert "✗ 2 failed since 60d" in found
    assert "and 1 more" in found
    assert "invalid time" in runyard("status", "--since", "soonish", code=1).err.lower()


def test_json_has_all_of_it(stored, runyard):
    found = runyard("status", "-o", "json").json
    assert (found["running"], found["failed"], found["workers_online"]) == (1, 1, 1)
    assert [step["code"] for step in found["steps"]] == ["failed"]
    assert "running: 1" in runyard("status", "-o", "yaml").out
    assert "--watch" in runyard("status", "--watch", "-o", "json", code=2).err


def test_of_many_pools_those_with_problems_are_shown(store, runyard):
    for number in range(30):
        store.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name=f"pool-{number:02}"))
        if number != 29:
            store.call(workers.heartbeat_worker, f"pool-{number:02}", workers.WorkerHeartbeat(name="w"))
    shown = sections(runyard("status").out)["Work pools"]
    assert shown[0] == "✗ pool-29  no worker online"
    assert shown[1] == "✓ pool-00  1 worker online"
    assert shown[12:] == ["and 18 more: runyard work-pool ls"]


def test_lines_fit_a_terminal():
    from runyard_cli.shared.status_text import _cells, _cut

    row = [("  ✗ ", "red"), ("naïve 🦊 " * 20, None), ("more", None)]
    for width in (10, 21, 80):
        shown = "".join(text for text, _ in _cut(row, width))
        assert _cells(shown) <= width
        assert shown.endswith("…")
    command = [("    runyard work-pool resume " + "x" * 100, "cyan")]
    assert _cut(command, 80) == command
    assert _cut(row, None) == row


def test_runyard_alone_shows_the_same_and_the_way_to_the_commands(stored, runyard):
    alone = runyard().out
    assert sections(alone)["Paused"] == ["‖ 1 deployment: etl/weekly"]
    assert alone.splitlines()[-1] == "All commands: runyard --help"


def test_before_the_first_use_it_tells_how_to_begin(runyard, home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = runyard().out
    assert "runyard work-pool create default-agent-pool --type process" in shown
    assert "runyard init" in shown
    assert not (home / "runyard.db").exists()
    (tmp_path / "prefect.yaml").write_text("deployments: []\n")
    shown = runyard().out
    assert "runyard deploy --all" in shown
    assert "runyard init" not in shown
    assert "runyard deploy --all" in runyard("status").out


def test_over_http(api, runyard, monkeypatch):
    monkeypatch.setenv("RUNYARD_API_URL", api.url)
    shown = runyard("status").out
    assert shown.splitlines()[0] == f"Runyard  {api.url}"
    assert "No deployment exists yet" in shown
    assert runyard().out.startswith(shown)


def test_an_api_that_does_not_answer_and_wrong_settings(runyard, monkeypatch):
    monkeypatch.setenv("RUNYARD_API_URL", "http://127.0.0.1:9/api")
    assert "RUNYARD_API_URL" in runyard(code=1).err
    monkeypatch.delenv("RUNYARD_API_URL")
    monkeypatch.setenv("RUNYARD_WORKER_LEASE_SECONDS", "soon")
    assert "is not a number" in runyard(code=1).err


def test_it_imports_nothing_heavy(store):
    """People look at it often."""
    code = "from runyard_cli.main import main\ntry: main(['status'])\nexcept SystemExit: pass\nimport sys\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}print(*sys.modules, file=sys.stderr)"], capture_output=True, text=True
    )
    assert not {"pydantic", "rich", "httpx", "yaml"} & set(done.stderr.split())
