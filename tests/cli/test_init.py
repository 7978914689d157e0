"""`runyard init`: the files, and with options or on a terminal the pool, the deploy and the worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
import yaml
from _terminal import Terminal


@pytest.fixture
def folder(tmp_path, monkeypatch, home):
    """An empty folder, the current one."""
    place = tmp_path / "fresh"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def pools(runyard):
    return {each["name"]: each["type"] for each in runyard("work-pool", "ls", "-o", "json").json}


def test_nothing_is_asked_or_made_elsewhere(runyard, folder):
    told = runyard("init", "--recipe", "local").out
    assert "It needs a work pool: runyard work-pool create default-agent-pool --type process" in told
    assert "Next: runyard deploy --all" in told
    assert pools(runyard) == {}
    assert runyard("deployment", "ls", "-o", "json").json == []
    assert "already exist" in runyard("init").out


def test_options_answer_all(runyard, folder):
    told = runyard("init", "--recipe", "local", "--pool", "mine", "--deploy").out
    assert "Created work pool 'mine' of type process." in told
    assert "Created deployment 'hello/hello'" in told
    assert "runyard worker start --pool mine" in told
    assert pools(runyard) == {"mine": "process"}
    again = runyard("init", "--pool", "mine", "--deploy").out
    assert "Created work pool" not in again
    assert "Deployment 'hello/hello' is unchanged." in again


def test_the_answer_as_json(runyard, folder):
    found = runyard("init", "--recipe", "local", "-o", "json").json
    assert found == {
        "folder": str(folder),
        "files": [".prefectignore", "flows/hello.py", "prefect.yaml"],
        "work_pool": "default-agent-pool",
        "deployments": [],
    }
    found = runyard("init", "--deploy", "-o", "json").json
    assert (found["files"], pools(runyard)) == ([], {"default-agent-pool": "process"})
    (applied,) = found["deployments"]
    assert (applied["deployment"]["name"], applied["action"]) == ("hello", "created")


def test_a_docker_recipe_needs_a_pool_of_its_type(runyard, folder):
    fields = ("--field", "image_name=team/project", "--field", "tag=1")
    told = runyard("init", "--recipe", "docker", *fields, "--pool", "boxes").out
    assert "runyard work-pool create boxes --type docker" in told
    assert (
        yaml.safe_load((folder / "prefect.yaml").read_text())["deployments"][0]["work_pool"]["name"]
        == "boxes"
    )


def test_what_contradicts_writes_nothing(runyard, folder):
    assert "--no-deploy" in runyard("init", "--worker", "--no-deploy", code=2).err
    assert "--output" in runyard("init", "--worker", "-o", "json", code=2).err
    assert "work pool" in runyard("init", "--pool", "a/b", code=1).err
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("home")
def test_three_questions_and_a_worker(runyard, folder):
    terminal = Terminal("init")
    terminal.until("runs use the code in its folder on this machine")
    terminal.until("How do runs get their code? [local]")
    terminal.type("nowhere")
    terminal.until("'nowhere' is not one of")
    terminal.type("")
    terminal.until("In which work pool do they run? [default-agent-pool]")
    terminal.type("a/b")
    terminal.until("cannot have '/'")
    terminal.type("mine")
    terminal.until("prefect.yaml")
    terminal.until("Deploy now?")
    terminal.type("")
    terminal.until("Created work pool 'mine' of type process.")
    terminal.until("Created deployment 'hello/hello'")
    terminal.until("Start a worker now?")
    terminal.type("y")
    terminal.until("runyard deployment run hello/hello")
    terminal.until("started!")
    runyard("deployment", "run", "hello/hello", "--watch")
    assert terminal.interrupt() == 0


def test_without_an_api_the_files_are_written(folder, monkeypatch):
    monkeypatch.setenv("RUNYARD_API_URL", "http://127.0.0.1:9/api")
    terminal = Terminal("init", "--recipe", "local", "--no-deploy")
    terminal.until("no API answers at http://127.0.0.1:9/api")
    terminal.until("In which work pool do they run? [default-agent-pool]")
    terminal.type("")
    terminal.until("Next: runyard deploy --all")
    assert terminal.end() == 0
    assert (folder / "prefect.yaml").exists()


def test_each_question_may_be_refused(runyard, folder):
    runyard("work-pool", "create", "first", "--type", "process")
    terminal = Terminal("init", "--recipe", "local")
    terminal.until("There are: first. Another name creates a pool.")
    terminal.until("In which work pool do they run? [first]")
    terminal.type("")
    terminal.until("Deploy now?")
    terminal.type("n")
    terminal.until("Next: runyard deploy --all")
    assert terminal.end() == 0
    assert runyard("deployment", "ls", "-o", "json").json == []
    runyard("deploy", "--all")


def test_a_worker_without_questions(runyard, folder):
    process = subprocess.Popen(
        [sys.executable, "-m", "runyard_cli.main", "init", "--worker"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "started!" in line:
                break
        assert any("Created deployment 'hello/hello'" in line for line in lines), lines
        runyard("deployment", "run", "hello/hello", "--watch")
    finally:
        os.kill(process.pid, signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0
