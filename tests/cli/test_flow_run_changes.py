"""`runyard flow-run cancel`, `retry` and `delete`: of named runs, and of all that a filter matches."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time

import pytest
from _screen import Screen
from _terminal import Terminal

FLOW = """
from runyard import flow, task

@task(persist_result=True)
def fetch(n):
    with open("calls.txt", "a") as file:
        file.write(f"{n} ")
    if n == 7:
        raise ValueError("no page 7")
    return n

@flow
def etl(n: int = 1):
    fetch(1)
    fetch(n)

@flow
def outer():
    etl(7)
"""


@pytest.fixture
def make(tmp_path, monkeypatch, runyard):
    """Create runs of a deployment."""
    (tmp_path / "etl.py").write_text(FLOW)
    monkeypatch.chdir(tmp_path)
    runyard("work-pool", "create", "mine", "--type", "process")
    runyard("deploy", "etl.py:etl", "-n", "daily", "-p", "mine")

    def run(*options):
        return runyard("deployment", "run", "etl/daily", *options, "-o", "json").json

    return run


def states(runyard):
    return {run["name"]: run["state_name"] for run in runyard("flow-run", "ls", "-o", "json").json}


def test_a_change_names_runs_or_filters(runyard, make):
    run = make()
    for command in ("cancel", "retry", "delete"):
        assert "Name a run, or give a filter" in runyard("flow-run", command, code=2).err
        assert "not both" in runyard("flow-run", command, run["id"], "--state", "Late", code=2).err
    assert states(runyard) == {run["name"]: "Scheduled"}


def test_cancel_by_filter_shows_counts_and_does_it(runyard, make):
    names = [make("-t", "x")["name"] for _ in range(3)] + [make()["name"]]
    plan = runyard("flow-run", "cancel", "--tag", "x", "--dry-run").out
    assert plan.startswith("Would cancel 3 flow runs (3 Scheduled): ")
    assert set(states(runyard).values()) == {"Scheduled"}
    assert runyard("flow-run", "cancel", "--tag", "x").out == "Cancelled 3 flow runs.\n"
    assert states(runyard) == dict(zip(names, ["Cancelled"] * 3 + ["Scheduled"], strict=True))
    answer = runyard("flow-run", "cancel", "--tag", "x")
    assert answer.out == (
        "No flow run was cancelled.\n"
        "Left out, because runs in these states cannot be cancelled: 3 Cancelled.\n"
    )
    told = runyard("flow-run", "cancel", "--deployment", "daily", "-o", "json").json
    assert (told["count"], [run["state_name"] for run in told["runs"]]) == (1, ["Cancelled"])


def test_an_empty_list_says_why(runyard, make):
    assert (
        runyard("flow-run", "ls").err == "No flow runs; start one with: runyard deployment run DEPLOYMENT\n"
    )
    assert runyard("flow-run", "ls", "--tag", "x").err == "No flow runs match.\n"
    assert "Unknown state 'Lat'; did you mean 'Late'?" in runyard("flow-run", "ls", "--state", "Lat").err
    assert "Unknown state 'Lat'; did you mean" in runyard("flow-run", "cancel", "--state", "Lat").err


def test_the_runs_of_a_deployment_by_their_start(runyard, make):
    names = [make()["name"] for _ in range(3)]
    later = make("--start-in", "1h")["name"]
    newest_first = [later, *names[::-1]]
    for options in ((), ("--deployment", "daily"), ("--flow-name", "etl"), ("--sort", "-start")):
        assert runyard("flow-run", "ls", *options, "-o", "name").out.split() == newest_first
    shown = runyard("flow-run", "ls", "--deployment", "daily", "-l", 2, "-o", "name")
    assert shown.out.split() == newest_first[:2]
    assert shown.err == "2 shown and there are more; --limit 0 shows all.\n"
    assert runyard("flow-run", "ls", "--sort", "name", "-o", "name").out.split() == sorted(newest_first)
    assert runyard("flow-run", "ls", "--sort", "took", "-l", 1, "-o", "name").out != ""


def test_a_filter_by_age(runyard, make):
    make()
    assert (
        "No flow run would be deleted" in runyard("flow-run", "delete", "--older-than", "1d", "--dry-run").out
    )
    plan = runyard("flow-run", "delete", "--older-than", "0s", "--dry-run", "-o", "json").json
    assert plan == {"action": "delete", "count": 1, "states": {"Scheduled": 1}, "left_out": {}}
    assert "exclude" in runyard("flow-run", "delete", "--older-than", "1d", "--until", "1d", code=2).err
    assert runyard("flow-run", "delete", "--older-than", "0s").out == "Deleted 1 flow run.\n"
    assert states(runyard) == {}


def test_changes_of_named_runs_as_json(runyard, make):
    first, second = make(), make()
    told = runyard("flow-run", "cancel", first["id"], second["name"], "-o", "json").json
    assert [(run["id"], run["state_name"]) for run in told] == [
        (first["id"], "Cancelled"), (second["id"], "Cancelled"),
    ]  # fmt: skip
    told = runyard("flow-run", "retry", first["id"], second["id"], "-o", "json").json
    assert {run["state_name"] for run in told} == {"AwaitingRetry"}
    assert (
        "Would delete 2 flow runs"
        in runyard("flow-run", "delete", first["id"], second["id"], "--dry-run").out
    )
    told = runyard("flow-run", "delete", first["id"], second["id"], "-o", "json").json
    assert [run["id"] for run in told] == [first["id"], second["id"]]
    assert states(runyard) == {}


def test_the_failure_is_told_and_a_retry_with_another_parameter_reuses_results(runyard, make, tmp_path):
    run = make("-p", "n=7")
    runyard("worker", "start", "--pool", "mine", "--run-once")
    why = runyard("flow-run", "why", "-").out
    assert "1 of 2 tasks failed: fetch-1: ValueError: no page 7.\n" in why
    assert f"runyard flow-run retry {run['id']}\n" in why
    watched = runyard("flow-run", "watch", "-", code=1)
    assert watched.out.count("ValueError: no page 7") == 1
    first, *more = watched.err.splitlines()
    assert first.endswith("ended as Failed: 1 of 2 tasks failed: fetch-1: ValueError: no page 7.")
    assert more == [
        f"Retry it with: runyard flow-run retry {run['id']}",
        f"See its log with: runyard flow-run logs {run['id']}",
    ]
    assert "no parameter 'm'" in runyard("flow-run", "retry", "-", "--param", "m=1", code=1).err
    out = runyard("flow-run", "retry", "-", "--param", "n=8").out
    assert out.splitlines()[-1] == f"Follow it with: runyard flow-run watch {run['id']}"
    runyard("worker", "start", "--pool", "mine", "--run-once")
    assert (tmp_path / "calls.txt").read_text() == "1 7 8 "
    assert runyard("flow-run", "watch", run["id"], "-o", "json").json["parameters"] == {"n": 8}


def test_a_run_of_a_script_runs_again_here_with_another_parameter(runyard, make, tmp_path):
    runyard("run", "etl.py:etl", "--param", "n=7", code=1)
    assert "--entrypoint" in runyard("flow-run", "retry", "-", code=2).err
    runyard("flow-run", "retry", "-", "--entrypoint", "etl.py:etl", "--param", "n=9")
    assert (tmp_path / "calls.txt").read_text() == "1 7 9 "
    (run,) = runyard("flow-run", "ls", "-o", "json").json
    assert (run["parameters"], run["state_name"]) == ({"n": 9}, "Completed")
    assert "for one run" in runyard("flow-run", "retry", "--state", "Failed", "--watch", code=2).err


def test_retry_by_filter_leaves_out_runs_whose_code_is_not_known(runyard, make):
    name = make()["name"]
    runyard("flow-run", "cancel", "-")
    runyard("run", "etl.py:etl", "--param", "n=7", code=1)
    plan = runyard("flow-run", "retry", "--since", "1d", "--dry-run").out.splitlines()[0]
    assert plan == f"Would retry 1 flow run (1 Cancelled): {name}."
    out = runyard("flow-run", "retry", "--state", "Failed", "--state", "cancelled").out
    assert out.splitlines()[0] == "Retrying 1 flow run."
    assert "Left out: 1 run without a deployment" in out


def test_inspect_shows_sections_and_the_tree(runyard, make):
    make("-p", "n=7")
    runyard("worker", "start", "--pool", "mine", "--run-once")
    out = runyard("flow-run", "inspect", "-").out
    titles = [line for line in out.splitlines()[1:] if line and not line.startswith(" ")]
    assert titles == ["What", "Why it failed", "When", "Where", "Parameters", "Runs inside (2 runs)"]
    assert "  Deployment  etl/daily" in out
    tree = runyard("flow-run", "inspect", "-", "--tree").out.splitlines()
    assert tree[1].startswith("├─ fetch-1  ✗ Failed  ")
    assert tree[1].endswith("ValueError: no page 7")
    assert tree[2].strip("│ ") == "Traceback (most recent call last):"
    assert tree[-1].startswith("└─ fetch-0  ✓ Completed")
    whole = runyard("flow-run", "inspect", "-", "--tree", "-o", "json").json
    assert [child["name"] for child in whole["children"]] == ["fetch-1", "fetch-0"]
    task = runyard("task-run", "inspect", whole["children"][0]["id"]).out
    assert "Task run encountered an exception: ValueError: no page 7" in task


def test_logs_by_text_task_and_time(runyard, make):
    make("-p", "n=7")
    runyard("worker", "start", "--pool", "mine", "--run-once")

    def found(*options):
        return [
            line.partition(" - ")[2] for line in runyard("flow-run", "logs", "-", *options).out.splitlines()
        ]

    assert found("--grep", r"^task run failed with .* page \d") != []
    assert found("--grep", "nothing of this") == []
    assert "no regular expression" in runyard("flow-run", "logs", "-", "--grep", "(", code=2).err
    everything = runyard("flow-run", "logs", "-", "--task", "fetch").out
    assert "Flow run '" not in everything
    assert "fetch-1" in everything
    assert found("--task", "fetch-0") != found("--task", "fetch-1")
    assert "did you mean 'fetch'" in runyard("flow-run", "logs", "-", "--task", "fetsh", code=1).err
    assert found("--since", "1h") != []
    assert found("--since", "0s") == []
    followed = runyard("flow-run", "logs", "-", "--follow", "--tail", "-n", 1).out
    assert len([line for line in followed.splitlines() if " | " in line]) == 1
    assert json.loads(runyard("flow-run", "logs", "-", "--level", "error", "-o", "json").out)


def test_ctrl_c_tells_that_the_run_goes_on(runyard, make):
    run = make()
    terminal = Terminal("flow-run", "watch", "-")
    terminal.until("Scheduled")
    assert terminal.interrupt() == 130
    terminal = Terminal("flow-run", "watch", "-")
    terminal.until("Scheduled")
    os.write(terminal.file, b"\x03")
    terminal.until("the run goes on. Follow it with: runyard flow-run watch " + run["id"])
    terminal.until("Cancel it with: runyard flow-run cancel " + run["id"])
    assert terminal.end() == 130


def test_a_change_of_many_asks_with_a_count(runyard, make):
    names = [make()["name"] for _ in range(2)]
    for answer, state in (("n", "Scheduled"), ("y", "Cancelled")):
        terminal = Terminal("flow-run", "cancel", "--deployment", "daily")
        terminal.until("Cancel 2 flow runs (2 Scheduled): ")
        terminal.type(answer)
        terminal.until("Nothing was cancelled." if answer == "n" else "Cancelled 2 flow runs.")
        assert terminal.end() == int(answer == "n")
        assert states(runyard) == dict.fromkeys(names, state)


def test_no_color_is_heeded_on_a_terminal(runyard, make, monkeypatch):
    make()
    colour = re.compile("\x1b\\[3[0-9]m|\x1b\\[9[0-9]m")
    for setting in ("", "1"):
        monkeypatch.setenv("NO_COLOR", setting)
        for reference, last in (("-", "default"), ("nosuch", "not found")):
            screen = Screen(80)
            subprocess.run(
                [sys.executable, "-m", "runyard_cli.main", "flow-run", "inspect", reference],
                stdout=screen.child, stderr=screen.child, check=False, timeout=60,
            )  # fmt: skip
            until(lambda: last in screen.output)  # noqa: B023
            assert (colour.search(screen.output) is None) == bool(setting), (reference, screen.output)
            screen.close()


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_subflow_run_is_retried_with_the_run_that_called_it(runyard, make):
    runyard("deploy", "etl.py:outer", "-n", "outer", "-p", "mine")
    root = runyard("deployment", "run", "outer/outer", "-o", "json").json
    runyard("worker", "start", "--pool", "mine", "--run-once")
    (inner,) = runyard("flow-run", "ls", "--flow-name", "etl", "-o", "json").json
    command = f"runyard flow-run retry {root['id']}\n"
    assert command in runyard("flow-run", "why", inner["id"]).out
    assert command in runyard("flow-run", "retry", inner["id"], code=2).err
    shown = runyard("flow-run", "inspect", inner["id"]).out
    assert f"  Part of  {root['name']} ({root['id']})\n" in shown
    assert f"1 of 2 tasks failed: fetch-1 of {inner['name']}" in runyard("flow-run", "why", root["id"]).out


def test_another_parameter_counts_where_the_old_value_was_kept_exactly(runyard, home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd.py").write_text(
        "from runyard import flow\n\n@flow(validate_parameters=False)\ndef odd(items, more, lost=None):\n"
        "    with open('calls.txt', 'a') as file:\n"
        "        file.write(f'{items!r} {more!r}\\n')\n"
        "    raise ValueError('x')\n\n"
        "if __name__ == '__main__':\n    odd({1}, (2,), iter([3]))\n"
    )
    runyard("run", "odd.py", code=1)
    again = ("flow-run", "retry", "-", "--entrypoint", "odd.py:odd")
    assert "'lost'" in runyard(*again, "--param", "items=[4]", code=1).err
    runyard(*again, "--param", "items=[4]", "--param", "lost=5", code=1)
    runyard(*again, code=1)
    assert (tmp_path / "calls.txt").read_text() == "{1} (2,)\n[4] (2,)\n[4] (2,)\n"
