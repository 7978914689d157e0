"""Settings that speak for flows and tasks that do not say: printing, retries, where results are kept."""

from __future__ import annotations

import pytest
from runyard import flow, task


def _lines(recorded):
    return [row["message"] for row in recorded.rows("SELECT message FROM logs")]


@pytest.mark.parametrize("name", ["RUNYARD_LOGGING_LOG_PRINTS", "PREFECT_LOGGING_LOG_PRINTS"])
def test_prints_go_to_the_logs_by_a_setting(recorded, monkeypatch, name):
    monkeypatch.setenv(name, "true")

    @task
    def say():
        print("by the task")

    @task(log_prints=False)
    def whisper():
        print("unheard")

    @flow
    def talk():
        print("by the flow")
        say()
        whisper()

    talk()
    say()
    lines = _lines(recorded)
    assert lines.count("by the flow") == 1
    assert lines.count("by the task") == 2
    assert "unheard" not in lines


def test_retries_wait_as_a_setting_says(recorded, monkeypatch):
    monkeypatch.setenv("PREFECT_TASK_DEFAULT_RETRIES", "1")
    monkeypatch.setenv("PREFECT_TASKS_DEFAULT_RETRY_DELAY_SECONDS", "0.05")
    monkeypatch.setenv("RUNYARD_FLOW_DEFAULT_RETRIES", "1")
    monkeypatch.setenv("RUNYARD_FLOW_DEFAULT_RETRY_DELAY_SECONDS", "0.02")
    seen = []

    @task
    def flaky():
        seen.append("task")
        if len(seen) == 1:
            raise ValueError("first")

    @flow
    def outer():
        flaky()
        seen.append("flow")
        if seen.count("flow") == 1:
            raise ValueError("second")

    outer()
    assert seen == ["task", "task", "flow", "task", "flow"]
    lines = _lines(recorded)
    assert any("0.05 s" in line for line in lines)
    assert any("starts in 0.02 s" in line for line in lines)


def test_a_delay_of_its_own_wins(recorded, monkeypatch):
    monkeypatch.setenv("RUNYARD_TASK_DEFAULT_RETRY_DELAY_SECONDS", "60")
    seen = []

    @task(retries=1, retry_delay_seconds=0)
    def flaky():
        seen.append(1)
        if len(seen) == 1:
            raise ValueError("first")

    flaky()
    assert len(seen) == 2


def test_results_are_kept_where_a_setting_says(recorded, tmp_path, monkeypatch):
    monkeypatch.setenv("RUNYARD_RESULTS_DEFAULT_STORAGE", str(tmp_path / "shelf"))

    @task(persist_result=True, result_storage_key="answer")
    def compute():
        return 42

    @task(persist_result=True, result_storage_key="elsewhere", result_storage=tmp_path / "own")
    def keep_elsewhere():
        return 43

    @flow
    def ask():
        return compute(), keep_elsewhere()

    assert ask() == (42, 43)
    assert [path.name for path in (tmp_path / "shelf").iterdir()] == ["answer"]
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["elsewhere"]


def test_a_saved_filesystem_as_the_default(recorded, tmp_path, monkeypatch):
    from runyard.blocks.filesystems import LocalFileSystem

    LocalFileSystem(basepath=tmp_path / "shelf").save("shelf")
    monkeypatch.setenv("PREFECT_DEFAULT_RESULT_STORAGE_BLOCK", "local-file-system/shelf")

    @flow(persist_result=True)
    def ask():
        return 42

    assert ask(return_state=True).result() == 42
    assert len(list((tmp_path / "shelf").iterdir())) == 1
