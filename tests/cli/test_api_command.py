"""`runyard api`, and what pools and queues have before them."""

from __future__ import annotations

from datetime import datetime

import pytest


def test_routes_answer_without_a_server(runyard, home, tmp_path):
    made = runyard("api", "POST", "/work_pools/", "--data", '{"name": "p", "type": "process"}').json
    assert made["name"] == "p"
    assert runyard("api", "get", "work_pools/p").json["id"] == made["id"]
    (tmp_path / "change.json").write_text('{"description": "nightly"}')
    assert runyard("api", "PATCH", "/api/work_pools/p", "--data", f"@{tmp_path / 'change.json'}").out == ""
    assert runyard("api", "GET", "/work_pools/p").json["description"] == "nightly"
    assert runyard("api", "POST", "/flow_runs/count").json == 0
    assert runyard("api", "GET", "/runyard/names?kind=pools&limit=5").json == ["p"]
    assert "read_work_pool" in runyard("api", "-v", "GET", "/work_pools/p").err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("GET", "/work_pools/none"), 4), (("GET", "/nothing/here"), 1), (("GET", "/work_pools/p?x=1"), 2),
        (("POST", "/flow_runs/filter", "--data", "{"), 1),
        (("POST", "/flow_runs/filter", "--data", '{"limit": "x"}'), 1),
        (("POST", "/flow_runs/filter", "--data", "@none.json"), 1), (("FETCH", "/x"), 2),
    ],
)  # fmt: skip
def test_what_is_wrong_has_its_exit_code(runyard, home, words, code):
    assert runyard("api", *words, code=code).out == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("POST", "/flow_runs/filtr"), "POST /flow_runs/filtr; did you mean '/flow_runs/filter'?"),
        (("POST", "/work_pools/p"), "POST /work_pools/p; it has DELETE, GET, PATCH"),
        (("GET", "/nothing/here"), "GET /nothing/here; a route is written like /flow_runs/filter"),
    ],
)
def test_an_unknown_route_leads_on(runyard, home, words, told):
    assert runyard("api", *words, code=1).err == f"Error: unknown route {told}\n"


def test_the_answer_as_yaml(runyard, home):
    runyard("work-pool", "create", "p", "--type", "process")
    assert "\nname: p\n" in runyard("api", "GET", "/work_pools/p", "-o", "yaml").out


def test_an_api_that_does_not_answer(runyard, home, monkeypatch):
    monkeypatch.setenv("RUNYARD_API_URL", "http://127.0.0.1:9/api")
    error = runyard("api", "GET", "/work_pools/p", code=7).err
    assert "no API answers" in error
    assert error.endswith("check RUNYARD_API_URL, or start the server: runyard server start --port 9\n")
    monkeypatch.setenv("RUNYARD_API_URL", "http://no-such-host.invalid/api")
    assert "server start" not in runyard("api", "GET", "/work_pools/p", code=7).err


def test_an_api_that_does_not_answer_is_named_with_its_file(runyard, program, home, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("\nPREFECT_API_URL=http://127.0.0.1:9/api\n")
    told = runyard("work-pool", "ls", code=1).err
    assert told.count("\n") == 1
    assert f"; check PREFECT_API_URL in {tmp_path / '.env'}:2, or start" in told
    (tmp_path / "script.py").write_text("from runyard import flow\n@flow\ndef f():\n    pass\nf()\n")
    assert "httpcore" not in program("run", "script.py", code=1).err


def test_what_waits_and_what_takes_slots(runyard, store, tmp_path, monkeypatch):
    from runyard.operations.flow_runs import claim_flow_runs
    from runyard.operations.work_pools import work_queues

    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_text("from prefect import flow\n\n@flow\ndef f():\n    pass\n")
    runyard("work-pool", "create", "p", "--type", "process", "--concurrency-limit", "3")
    runyard("deploy", "a.py:f", "-n", "d", "-p", "p")
    runyard("deploy", "a.py:f", "-n", "e", "-p", "p", "-q", "urgent")
    runyard("deployment", "run", "d", "--start-in", "1h")
    runyard("deployment", "run", "e", "--start-in", "2h")
    coming = runyard("work-pool", "preview", "p", "-o", "json").json
    assert [run["work_queue_name"] for run in coming] == ["default", "urgent"]
    assert len(runyard("work-queue", "preview", "urgent", "-o", "json").json) == 1
    first, second = runyard("work-pool", "preview", "p").out.splitlines()
    assert first.split("\t")[1:4:2] == ["Scheduled", "default"]
    due = datetime.fromisoformat(first.split("\t")[2])
    stored = datetime.fromisoformat(coming[0]["next_scheduled_start_time"])
    assert due == stored.replace(microsecond=0)
    assert datetime.fromisoformat(second.split("\t")[2]) > due
    part = runyard("work-pool", "preview", "p", "--limit", "1")
    assert len(part.out.splitlines()) == 1
    assert "there are more" in part.err
    assert "name: " in runyard("work-pool", "preview", "p", "-o", "yaml").out
    before = store.call(work_queues.read_work_queue, "p", "urgent").last_polled
    assert before is None
    assert "Slots in use: 0 of 3." in runyard("work-pool", "slots", "p").out
    runyard("deployment", "run", "e")
    claim = claim_flow_runs.ClaimRequest(worker_name="w", limit=5, lease_seconds=60)
    store.call(claim_flow_runs.claim_flow_runs, "p", body=claim)
    taken = runyard("work-pool", "slots", "p", "-o", "json").json
    assert (taken["active"], taken["limit"]) == (1, 3)
    shown = runyard("work-queue", "slots", "urgent", "--pool", "p").out
    assert "Slots in use: 1 of unlimited." in shown
    assert "\tf\tPending\t" in shown
    assert "active: 1\n" in runyard("work-pool", "slots", "p", "-o", "yaml").out
    runyard("work-pool", "preview", "nosuch", code=1)
