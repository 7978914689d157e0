"""`runyard deployment run`, `runyard flow-run` and `runyard task-run`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from runyard.base import clock
from runyard.client import LocalClient
from runyard.domain import states
from runyard.operations.records import logs as log_operations

FLOW = """
from prefect import flow

@flow
def etl(date: str = None, size: int = 1):
    pass
"""


@pytest.fixture
def deployed(tmp_path, monkeypatch, runyard):
    (tmp_path / "etl.py").write_text(FLOW)
    monkeypatch.chdir(tmp_path)
    runyard("work-pool", "create", "mine", "--type", "process")
    runyard("deploy", "etl.py:etl", "-n", "daily", "-p", "mine")


@pytest.fixture
def run(runyard, deployed):
    return runyard("deployment", "run", "etl/daily", "-o", "json").json


def end(store, key, state):
    """What an executor that no worker started reports."""
    from runyard.operations import schemas
    from runyard.operations.flow_runs import flow_runs

    for each in (states.Pending(), states.Running(), state):
        body = flow_runs.SetState(
            state=schemas.StateCreate.model_validate(
                {"type": each.type, "name": each.name, "message": each.message}
            ),
            force=True,
        )
        store.call(flow_runs.set_flow_run_state, key, body=body)


def test_run_makes_a_run(runyard, deployed):
    out = runyard("deployment", "run", "etl/daily", "-p", "size=3", "-p", "date=2026-11-22", "-t", "x").out
    assert "Created flow run" in out
    (made,) = runyard("flow-run", "ls", "-o", "json").json
    assert made["parameters"] == {"size": 3, "date": "2026-11-22"}
    assert made["tags"] == ["x"]
    assert made["state_type"] == "SCHEDULED"


def test_a_text_parameter_is_not_made_a_number(runyard, deployed):
    runyard("deployment", "run", "daily", "--param", "date=20261122")
    assert runyard("flow-run", "ls", "-o", "json").json[0]["parameters"]["date"] == "20261122"


def test_a_run_may_start_later_and_have_a_name(runyard, deployed):
    made = runyard(
        "deployment", "run", "daily", "--start-in", "2h", "--flow-run-name", "for-{size}",
        "--params", '{"size": 9}', "-o", "json",
    ).json  # fmt: skip
    due = clock.parse_time(made["expected_start_time"])
    assert timedelta(minutes=119) < due - datetime.now(UTC) < timedelta(minutes=121)
    assert made["name"] == "for-9"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--param", "sise=1"), 1, "did you mean 'size'"),
        (("--param", "size=many"), 1, "size"),
        (("--param", "size"), 1, "key=value"),
        (("--params", "[1"), 1, "--params"),
        (("--start-in", "soon"), 1, "duration"),
        (("--start-at", "never"), 1, "invalid time"),
        (("--start-at", "06:00", "--start-in", "1h"), 2, "exclude"),
        (("--flow-run-name", "{nope}"), 1, "nope"),
    ],
)
def test_a_wrong_run_is_one_line_and_makes_nothing(runyard, deployed, arguments, code, words):
    error = runyard("deployment", "run", "daily", *arguments, code=code).err
    assert words in error
    assert "bug" not in error
    if code == 1:
        assert len(error.splitlines()) == 1
    assert runyard("flow-run", "ls", "-o", "json").json == []


def test_a_run_is_found_by_every_reference(runyard, run):
    for reference in (run["id"], run["id"][:18], run["name"]):
        assert runyard("flow-run", "inspect", reference, "-o", "json").json["id"] == run["id"]
    assert run["name"] in runyard("flow-run", "inspect", run["id"]).out
    assert "nobody" in runyard("flow-run", "inspect", "nobody", code=1).err


def test_runs_are_listed_and_filtered(runyard, run):
    (line,) = runyard("flow-run", "ls").out.splitlines()
    name, flow, state, start, key = line.split("\t")
    assert (name, flow, state, key) == (run["name"], "etl", "Scheduled", run["id"])
    assert datetime.fromisoformat(start) == clock.parse_time(run["expected_start_time"]).replace(
        microsecond=0
    )
    assert runyard("flow-run", "ls", "-o", "name").out == f"{run['name']}\n"
    assert runyard("flow-runs", "list", "--columns", "deployment,state").out == "etl/daily\tScheduled\n"
    for options, found in (
        (("--state", "scheduled"), 1),
        (("--state", "Running"), 0),
        (("--state-type", "scheduled"), 1),
        (("--flow-name", "etl"), 1),
        (("--flow-name", "other"), 0),
        (("--deployment", "etl/daily"), 1),
        (("--limit", "1"), 1),
        (("--pool", "mine"), 1),
        (("--pool", "other"), 0),
    ):
        assert len(runyard("flow-run", "ls", "-o", "json", *options).json) == found, options
    assert "SCHEDULED" in runyard("flow-run", "ls", "--state-type", "nope", code=2).err


def test_flows_are_listed(runyard, run):
    assert "etl" in runyard("flow", "ls").out
    assert [each["name"] for each in runyard("flows", "ls", "-o", "json").json] == ["etl"]


def test_cancel_of_a_waiting_run_and_of_one_that_is_over(runyard, run):
    assert "Cancelled" in runyard("flow-run", "cancel", run["name"]).out
    error = runyard("flow-run", "cancel", run["id"], code=1).err
    assert "cannot be cancelled" in error


def test_delete(runyard, run):
    runyard("flow-run", "delete", run["id"])
    assert runyard("flow-run", "ls", "-o", "json").json == []


def test_why_names_the_missing_worker(runyard, run):
    out = runyard("flow-run", "why", run["id"]).out
    assert "runyard worker start" in out
    assert runyard("flow-run", "why", run["name"], "-o", "json").json["reasons"]


def write_logs(store, run, count):
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    store.call(
        log_operations.create_logs,
        body=[
            log_operations.LogCreate(
                name="test", level=20, message=f"line {number}", flow_run_id=run["id"],
                timestamp=moment + timedelta(milliseconds=number),
            )
            for number in range(count)
        ],
    )  # fmt: skip


def lines(answer):
    return [line.rpartition(" - ")[2] for line in answer.out.splitlines()]


def test_logs_are_shown_whole_and_from_either_end(runyard, store, run):
    write_logs(store, run, 450)
    whole = [f"line {number}" for number in range(450)]
    assert lines(runyard("flow-run", "logs", run["id"])) == whole
    assert lines(runyard("flow-run", "logs", run["id"], "--reverse")) == whole[::-1]
    assert lines(runyard("flow-run", "logs", run["id"], "--head")) == whole[:20]
    assert lines(runyard("flow-run", "logs", run["id"], "--tail", "-n", 3)) == whole[-3:]
    assert lines(runyard("flow-run", "logs", run["id"], "--tail", "-n", 3, "-r")) == whole[:-4:-1]
    assert len(runyard("flow-run", "logs", run["id"], "-o", "json").json) == 450
    assert "exclude" in runyard("flow-run", "logs", run["id"], "--head", "--tail", code=2).err


def test_watch_ends_with_how_the_run_ended(runyard, store, run):
    write_logs(store, run, 2)
    end(store, run["id"], states.Completed())
    answer = runyard("flow-run", "watch", run["id"])
    assert "line 1" in answer.out
    assert "Completed" in answer.out


def test_watch_of_a_failed_run_fails(runyard, store, run):
    end(store, run["id"], states.Failed(message="no such table"))
    assert "no such table" in runyard("flow-run", "watch", run["id"], code=1).err


def test_watch_gives_up(runyard, run):
    assert "still Scheduled" in runyard("flow-run", "watch", run["id"], "--timeout", "0", code=1).err


def test_follow_prints_what_is_there_and_ends_with_the_run(runyard, store, run):
    write_logs(store, run, 3)
    end(store, run["id"], states.Completed())
    assert lines(runyard("flow-run", "logs", run["id"], "--follow")) == ["line 0", "line 1", "line 2"]


def test_what_the_worker_keeps_after_the_end_is_shown_too(runyard, store, run, monkeypatch):
    end(store, run["id"], states.Completed())
    wait = LocalClient.wait_for_change

    def after_the_first_look(*given):
        monkeypatch.setattr(LocalClient, "wait_for_change", wait)
        write_logs(store, run, 1)
        return wait(*given)

    monkeypatch.setattr(LocalClient, "wait_for_change", after_the_first_look)
    assert "line 0" in runyard("flow-run", "watch", run["id"]).out


def test_the_last_lines_are_in_the_order_of_their_times(runyard, store, run, monkeypatch):
    """The end of a run is stored with its last record, before records that are a little older."""
    wait = LocalClient.wait_for_change
    end(store, run["id"], states.Completed())

    def after_the_first_look(*given):
        monkeypatch.setattr(LocalClient, "wait_for_change", wait)
        write_logs(store, run, 1)  # dated long before the end
        return wait(*given)

    monkeypatch.setattr(LocalClient, "wait_for_change", after_the_first_look)
    shown = runyard("flow-run", "watch", run["id"]).out
    assert shown.index("line 0") < shown.index("| Completed")


def test_no_task_runs(runyard, run):
    assert runyard("task-run", "ls", "--flow-run", run["id"], "-o", "json").json == []
    assert "No task runs" in runyard("task-runs", "ls").err
    assert "did you mean 'Failed'?" in runyard("task-runs", "ls", "--state", "Faild").err
    assert "no state" not in runyard("task-runs", "ls", "--state", "NotReady").err
    assert runyard("task-run", "inspect", "nobody", code=1).err.startswith("Error: ")


def test_runs_are_listed_by_tag_name_and_time(runyard, store):
    from runyard.operations.deployments import known_flows
    from runyard.operations.flow_runs import flow_runs

    flow = store.call(known_flows.create_flow, body=known_flows.FlowCreate(name="etl"))
    for name, tags in (("calm-otter", ["a", "b"]), ("calm-heron", ["a"]), ("keen-otter", [])):
        create = flow_runs.FlowRunCreate(flow_id=flow.id, name=name, tags=tags, state={"type": "SCHEDULED"})
        store.call(flow_runs.create_flow_run, body=create)

    def found(*flags):
        return sorted(run["name"] for run in runyard("flow-run", "ls", *flags, "-o", "json").json)

    assert found("--tag", "a") == ["calm-heron", "calm-otter"]
    assert found("--tag", "a", "--tag", "b") == ["calm-otter"]
    assert found("--name", "otter") == ["calm-otter", "keen-otter"]
    assert len(found("--since", "1h")) == 3
    assert found("--until", "1h") == []
    assert found("--since", "2020-01-01", "--tag", "b") == ["calm-otter"]
    assert "invalid time" in runyard("flow-run", "ls", "--since", "whenever", code=1).err


@pytest.fixture
def waiting(runyard, tmp_path, monkeypatch):
    """Make a run of a deployment that waits for a worker, and give its id."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jobs.py").write_text(
        "from prefect import flow\n\n@flow\ndef etl(n: int = 1):\n"
        "    open('ran.txt', 'a').write(f'{n} ')\n    assert n, 'no number'\n"
    )
    runyard("work-pool", "create", "pool", "--type", "process")
    runyard("deploy", "jobs.py:etl", "-n", "d", "-p", "pool")

    def make(n):
        return runyard("deployment", "run", "d", "--param", f"n={n}", "-o", "json").json["id"]

    return make


def test_a_run_is_executed_without_a_worker_and_once(runyard, program, waiting, tmp_path, monkeypatch):
    run = waiting(5)
    assert "completed" in program("flow-run", "execute", run).out
    assert (tmp_path / "ran.txt").read_text() == "5 "
    assert "only a waiting run" in program("flow-run", "execute", run, code=1).err
    assert (tmp_path / "ran.txt").read_text() == "5 "
    failing = waiting(0)
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", failing)
    assert "no number" in program("flow-run", "execute", code=1).err
    assert runyard("flow-run", "inspect", failing, "-o", "json").json["state_type"] == "FAILED"
    assert runyard("worker", "start", "--pool", "pool", "--run-once").code == 0
    assert (tmp_path / "ran.txt").read_text() == "5 0 "


def test_execute_without_a_run_is_wrong_usage(program, monkeypatch, home):
    monkeypatch.delenv("RUNYARD__FLOW_RUN_ID", raising=False)
    assert "RUNYARD__FLOW_RUN_ID" in program("flow-run", "execute", code=2).err
    assert "nosuch" in program("flow-run", "execute", "nosuch", code=1).err


def test_logs_name_the_task_runs_and_stand_among_the_states(runyard, home, tmp_path, monkeypatch, recorded):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "talk.py").write_text(
        "from runyard import flow, task\n\n"
        "@task(log_prints=True)\ndef say(word):\n    print(word)\n\n"
        "@flow\ndef talk():\n    say('one')\n    say.with_options(task_run_name='last')('two')\n"
    )
    runyard("run", "talk.py:talk")
    (run,) = recorded.flow_runs()
    expected = ["Task run 'say-0' - one", "Task run 'last' - two"]
    for command in ("logs", "watch"):
        lines = [line.split(" | ") for line in runyard("flow-run", command, run["id"]).out.splitlines()]
        assert [line[-1] for line in lines if "Task run" in line[-1]] == expected
        moments = [line[0] for line in lines if len(line) > 1]
        assert moments == sorted(moments)


def test_why_code_could_not_be_imported_is_logged_as_an_error_and_once(runyard, waiting, tmp_path):
    run = waiting(1)
    jobs = tmp_path / "jobs.py"
    jobs.write_text(f"import nosuchmodule\n{jobs.read_text()}")
    runyard("worker", "start", "--pool", "pool", "--run-once")
    (record,) = runyard("flow-run", "logs", run, "--level", "error", "-o", "json").json
    assert record["message"].startswith("jobs.py fails on import: ModuleNotFoundError: No module named")
    everything = runyard("flow-run", "logs", run).out
    assert everything.count("fails on import") == 1
    assert "process" not in runyard("flow-run", "why", run).out
