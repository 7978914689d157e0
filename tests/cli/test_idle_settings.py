"""Variables of Prefect that do nothing here are told where something starts, and nowhere else."""

from __future__ import annotations

import json

import pytest
from runyard_cli.shared import idle_settings

SCRIPT = "from runyard import flow\n\n\n@flow\ndef etl():\n    return 5\n"
LINE = "nothing here; RUNYARD_WARN_IDLE_SETTINGS=false hides this line."


@pytest.fixture
def script(tmp_path, home, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT_CLIENT_MAX_RETRIES", "3")
    (tmp_path / "flows.py").write_text(SCRIPT, "utf-8")
    return "flows.py:etl"


def test_a_run_tells_it_once_on_standard_error(program, script):
    answer = program("run", script)
    told = [line for line in answer.err.splitlines() if LINE in line]
    assert told == [f"Warning: PREFECT_CLIENT_MAX_RETRIES is a setting of Prefect that does {LINE}"]
    assert LINE not in answer.out


def test_workers_tell_it(program, script):
    program("work-pool", "create", "mine", "-t", "process")
    assert LINE in program("worker", "start", "--pool", "mine", "--run-once").err


def test_other_commands_do_not(program, script):
    for command in (
        ("work-pool", "ls"),
        ("flow", "ls"),
        ("worker", "ls"),
        ("config", "view"),
        ("run", "--help"),
    ):
        assert LINE not in program(*command).err


def test_it_is_silent_on_wish_and_for_programs(program, script, monkeypatch):
    answer = program("config", "view", "-o", "json")
    assert LINE not in answer.err
    json.loads(answer.out)
    monkeypatch.setenv("RUNYARD_WARN_IDLE_SETTINGS", "false")
    assert LINE not in program("run", script).err


def test_settings_that_work_and_unknown_ones_are_not_told(home, monkeypatch, capsys):
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "DEBUG")
    monkeypatch.setenv("PREFECT_OF_MY_COMPANY", "1")
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "1")
    idle_settings.tell("run", [])
    assert capsys.readouterr().err == ""


def test_many_are_counted(home, monkeypatch, capsys):
    for name in (
        "UI_ENABLED",
        "CLI_COLORS",
        "TEST_MODE",
        "UI_API_URL",
        "CLI_WRAP_LINES",
        "API_KEY",
        "CLOUD_UI_URL",
    ):
        monkeypatch.setenv(f"PREFECT_{name}", "x")
    idle_settings.tell("server", ["start"])
    idle_settings.tell("server", ["stop"])
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "and 2 more are settings of Prefect that do nothing here" in told
