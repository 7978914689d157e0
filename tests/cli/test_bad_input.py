"""What a newcomer gets wrong: one clear line, exit code 1, no traceback, and nothing changed."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-m", "runyard_cli.main"]
FLOWS = """\
import os, sys
from runyard import flow

@flow
def etl(n: int = 1):
    print("n is", n)

@flow
def broken():
    raise ValueError("mine")

@flow
def odd():
    raise BaseException("odd")

@flow
def leaves():
    sys.exit(3)

@flow
def wrong_inside():
    etl(n="x")

def plain():
    pass
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty project's folder with `flows.py`, which is the current one."""
    place = tmp_path / "project"
    place.mkdir()
    (place / "flows.py").write_text(FLOWS)
    monkeypatch.chdir(place)
    return place


def one_line(answer, *words):
    """Its error is one line with these words."""
    lines = answer.err.splitlines()
    assert len(lines) == 1, answer.err
    assert lines[0].startswith("Error: ")
    for word in words:
        assert word in lines[0]


def deployment(rest, entrypoint="flows.py:etl"):
    return f"deployments:\n- name: d\n  entrypoint: {entrypoint}\n  work_pool: {{name: mine}}\n{rest}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1\n", ["prefect.yaml:2:1", "malformed YAML"]),
        ("\tx: 1\n", ["prefect.yaml:1:1", "spaces, not tabs"]),
        ("name: {{ x }}\n", ["prefect.yaml:1:8", "in quotes"]),
        ("- 3\n", ["prefect.yaml:1:1", "a mapping, not a list"]),
        ("name: a\nname: b\n", ["prefect.yaml:2:1", "duplicate key"]),
        ("deployments: 3\n", ["prefect.yaml:1:14", "a list of deployments"]),
        ("deployments:\n- nme: d\n", ["prefect.yaml:2:3", "did you mean 'name'?"]),
        (deployment("  work_pol: {}\n"), ["prefect.yaml:5:3", "did you mean 'work_pool'?"]),
        (deployment("").replace("{name: mine}", "mine"), ["4:14", "should be a mapping, not text"]),
        (deployment("  parameters: [3]\n"), ["5:15", "should be a mapping, not a list"]),
        (deployment("  parameters: {n: abc}\n"), ["5:15", "parameter n", "'abc'"]),
        (deployment("  parameters: {m: 1}\n"), ["no parameter 'm'"]),
        (deployment("  schedule: {cron: '61 * * * *'}\n"), ["5:20", "'61 * * * *'"]),
        (deployment("  schedule: {cron: '0 6 * * *', timezone: Europ/Paris}\n"), ["'Europe/Paris'?"]),
        (deployment("  schedule: {interval: -3}\n"), ["5:24", "at least 1 second"]),
        (deployment("", "flows.py:etk"), ["'etk' not found", "'etl'"]),
        (deployment("", "flow.py:etl"), ["not found", "flows.py"]),
        (deployment("", "flows.py:plain"), ["not a flow", "@flow"]),
        (deployment("", "flows.py"), ["names no flow"]),
    ],
)
def test_a_wrong_project_file(runyard, folder, text, words):
    (folder / "prefect.yaml").write_text(text)
    runyard("work-pool", "create", "mine", "-t", "process")
    one_line(runyard("deploy", "--all", code=1), *words)
    assert runyard("deployment", "ls", "-o", "json").json == []


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--cron", "* *"], ["--cron: ", "'* *'"]),
        (["--cron", "0 6 * * *", "--timezone", "X/Y"], ["--timezone: ", "'X/Y'"]),
        (["--timezone", ""], ["--timezone: ", "omit it for UTC"]),
        (["--rrule", "FREQ=X"], ["--rrule: "]),
        (["--interval", "0"], ["--interval"]),
        (["--interval", "abc"], ["--interval: ", "'abc'"]),
        (["--param", "m=1"], ["no parameter 'm'"]),
        (["--pool", "other"], ["'other'", "runyard work-pool create other"]),
    ],
)
def test_a_wrong_flag_of_deploy_is_called_by_its_name(runyard, folder, flags, words):
    runyard("work-pool", "create", "mine", "-t", "process")
    error = runyard("deploy", "flows.py:etl", "-n", "d", "-p", "mine", *flags, code=1)
    one_line(error, *words)
    assert "prefect.yaml" not in error.err
    assert runyard("deployment", "ls", "-o", "json").json == []


def test_a_file_that_fails_on_import_shows_only_its_own_lines(runyard, folder):
    (folder / "bad.py").write_text("def a():\n    raise KeyError('mine')\na()\n")
    (folder / "syntax.py").write_text("def x(:\n")
    failed = runyard("deploy", "bad.py:etl", "-n", "d", code=1).err
    assert failed.splitlines() == [
        "Error: bad.py:etl: flow 'etl' not found in bad.py; "
        "and the import fails here at line 3: KeyError: 'mine'"
    ]
    assert "syntax.py:1: def x(:" in runyard("run", "syntax.py:etl", code=1).err


def test_a_misspelt_state_does_not_look_like_no_runs(runyard):
    assert runyard("flow-run", "ls").out == runyard("flow-run", "ls", "--state", "late").out
    shown = runyard("flow-run", "ls", "--state", "Complete")
    assert "did you mean 'Completed'" in shown.out + shown.err


@pytest.mark.parametrize(
    ("target", "code", "words"),
    [
        ("flows.py:broken", 1, "ValueError: mine"),
        ("flows.py:odd", 1, "BaseException: odd"),
        ("flows.py:leaves", 3, "Crashed"),
        ("flows.py:wrong_inside", 1, "in wrong_inside"),
    ],
)
def test_a_failing_flow_shows_the_users_frames_alone(program, folder, target, code, words):
    shown = program("run", target, code=code).err
    assert words in shown
    assert "runyard_cli" not in shown
    assert "runyard/engine" not in shown


def test_parameters_that_do_not_fit_are_one_line(program, folder):
    for parameter in ("n=x", "m=1"):
        last = program("run", "flows.py:etl", "--param", parameter, code=1).err.splitlines()[-1]
        assert last.startswith("Error: ")
        assert f"'{parameter[0]}'" in last or "n: Input should be a valid integer" in last


def test_a_name_that_is_none_is_repeated_as_it_was_given(runyard, folder):
    one_line(runyard("deployment", "run", "", code=1), "deployment '' not found")
    one_line(runyard("deploy", "flows.py:etl", "-n", "a/b", "-p", "p", code=1), "'a/b': a name has no /")


@pytest.mark.parametrize("command", [["work-pool", "ls"], ["run", "flows.py:etl"], ["database", "check"]])
@pytest.mark.parametrize("damage", ["garbage", "truncated", "newer"])
def test_a_database_that_cannot_be_used(program, home, folder, damage, command):
    program("work-pool", "create", "mine", "-t", "process")
    file = home / "runyard.db"
    if damage == "garbage":
        file.write_bytes(b"this is no database at all" * 400)
    elif damage == "truncated":
        os.truncate(file, 3000)
    else:
        with sqlite3.connect(file) as connection:
            connection.execute("PRAGMA user_version=99")
        connection.close()
    before = file.read_bytes()
    one_line(program(*command, code=1), str(file), "upgrade" if damage == "newer" else "damaged")
    assert file.read_bytes() == before


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="needs a read-only home for root")
@pytest.mark.parametrize("command", [["work-pool", "ls"], ["run", "flows.py:etl"], ["deploy", "--all"]])
def test_what_may_not_be_read_or_written(home, folder, command):
    # Root passes every permission by a capability, which is taken away here.
    if shutil.which("setpriv") is None:
        pytest.skip("no setpriv")
    home.mkdir(exist_ok=True)
    home.chmod(0o500)
    (folder / "prefect.yaml").write_text("name: x\n")
    (folder / "prefect.yaml").chmod(0)
    without = "-dac_override,-dac_read_search"
    done = subprocess.run(
        ["setpriv", f"--bounding-set={without}", f"--inh-caps={without}", *COMMAND, *command],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    home.chmod(0o700)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert ("prefect.yaml" if command[0] == "deploy" else "permissions") in done.stderr


def test_a_full_disk(program, home, folder):
    if os.getuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs to mount")
    home.mkdir(exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", home], check=False).returncode:
        pytest.skip("may not mount")
    try:
        for command in (["work-pool", "ls"], ["run", "flows.py:etl"]):
            one_line(program(*command, code=1), "free some disk space")
    finally:
        subprocess.run(["umount", "-l", home], check=True)


def test_an_interrupt_of_a_running_flow_is_recorded(program, home, folder):
    (folder / "slow.py").write_text(
        "import time\nfrom runyard import flow\n\n"
        "@flow\ndef slow():\n    print('in', flush=True)\n"
        # In slices: Python does not notice a signal that comes just before a call that waits.
        "    while True:\n        time.sleep(0.1)\n"
    )
    with subprocess.Popen(
        [*COMMAND, "run", "slow.py:slow"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "in\n"
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in error
    runs = program("flow-run", "ls", "-o", "json").json
    assert [run["state_type"] for run in runs] == ["CRASHED"]


@pytest.mark.parametrize("recipe", ["local", "minimal"])
def test_what_a_recipe_writes_runs_at_once(program, tmp_path, monkeypatch, recipe):
    monkeypatch.chdir(tmp_path)
    program("init", "--recipe", recipe)
    program("work-pool", "create", "default-agent-pool", "-t", "process")
    program("deploy", "--all")
    program("deployment", "run", "hello/hello")
    program("worker", "start", "--pool", "default-agent-pool", "--run-once")
    assert [run["state_name"] for run in program("flow-run", "ls", "-o", "json").json] == ["Completed"]


@pytest.mark.parametrize(
    ("fields", "pool"),
    [
        (["local"], "default-agent-pool --type process"),
        (["git", "--field", "repository=https://example.com/x.git"], "default-agent-pool --type process"),
        (["docker", "--field", "image_name=a", "--field", "tag=1"], "docker-pool --type docker"),
    ],
)
def test_init_names_the_pool_that_deploying_wants(runyard, tmp_path, monkeypatch, fields, pool):
    monkeypatch.chdir(tmp_path)
    told = runyard("init", "--recipe", *fields).out
    assert f"runyard work-pool create {pool}" in told
    assert "work-pool" not in runyard("init", "--recipe", *fields).out


def test_no_as_the_answer_deletes_nothing(runyard, monkeypatch):
    runyard("work-pool", "create", "mine", "-t", "process")
    monkeypatch.setattr("runyard_cli.shared.output.at_keyboard", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda question: False)
    assert "Nothing was deleted." in runyard("work-pool", "delete", "mine", code=1).err
    assert len(runyard("work-pool", "ls", "-o", "json").json) == 1


def test_no_worker_is_promised_for_a_pool_that_none_serves(runyard):
    assert "runyard worker start" not in runyard("work-pool", "create", "mine", "-t", "ecs").out


def test_a_script_that_calls_no_flow_names_them(runyard, folder):
    one_line(runyard("run", "flows.py", code=1), "calls no flow")
    (folder / "two.py").write_text("from runyard import flow\n@flow\ndef f():\n    pass\n")
    one_line(runyard("run", "two.py", code=1), "runyard run two.py:f")


def test_wrong_parameters_make_no_run(runyard, folder):
    one_line(runyard("run", "flows.py:etl", "-p", 'n={"a":', code=1), "invalid parameters", "n")
    assert runyard("flow-run", "ls", "-o", "json").json == []


def test_a_job_variable_that_nothing_reads_is_refused(runyard, folder):
    runyard("work-pool", "create", "p", "-t", "process")
    runyard("deploy", "flows.py:etl", "-n", "d", "-p", "p")
    told = runyard("deployment", "run", "etl/d", "-jv", "workin_dir=/tmp", code=1)
    one_line(told, "workin_dir", "working_dir")
    assert runyard("flow-run", "ls", "-o", "json").json == []


def test_a_backup_is_no_pipe_and_slots_taken_are_no_more_than_there_are(runyard, folder):
    runyard("global-concurrency-limit", "create", "g", "--limit", "1")
    one_line(runyard("global-concurrency-limit", "update", "g", "--active-slots", "2", code=1), "1 slot;")
    os.mkfifo(folder / "pipe")
    one_line(runyard("database", "backup", "pipe", "--overwrite", code=1), "not a regular file")
    assert not (folder / "pipe").is_file()


@pytest.mark.parametrize("options", [("--name", ""), ("-q", "nope"), ("-q", "defalt")])
def test_a_worker_that_could_do_nothing_does_not_start(program, runyard, home, options):
    runyard("work-pool", "create", "p", "-t", "process")
    told = program("worker", "start", "-p", "p", "--run-once", *options, code=1).err
    assert len(told.splitlines()) == 1
