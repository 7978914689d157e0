"""Flow files as commands meet them: where they are found, what they print, what they import."""

from __future__ import annotations

import pytest

FLOW = """
print("a print of the file")
from runyard import flow

@flow
def {name}(x: int = 1): ...
"""
ENTRY = "deployments:\n- name: d\n  entrypoint: {}\n  work_pool: {{name: pool}}\n"


@pytest.fixture
def folder(runyard, tmp_path, monkeypatch):
    """Write files of a project in the current folder, beside a pool: `folder(path, text)`."""
    monkeypatch.chdir(tmp_path)
    runyard("work-pool", "create", "pool", "--type", "process")

    def write(path, text):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    write.path = tmp_path
    return write


def stored(runyard, name="d"):
    return runyard("deployment", "inspect", name, "-o", "json").json


def test_an_entrypoint_that_starts_from_the_current_folder_is_found_and_told(runyard, folder):
    folder("pipes/a/flow.py", FLOW.format(name="f"))
    folder("pipes/a/prefect.yaml", ENTRY.format("pipes/a/flow.py:f"))
    told = runyard("deploy", "--all", "--prefect-file", "pipes/a/prefect.yaml").err
    assert f"pipes/a/flow.py:f is read from the current folder, {folder.path}" in told
    made = stored(runyard)
    assert (made["path"], made["entrypoint"]) == (str(folder.path), "pipes/a/flow.py:f")


def test_the_folder_of_the_project_file_comes_first(runyard, folder):
    folder("flow.py", FLOW.format(name="f") + "raise RuntimeError\n")
    folder("pipes/flow.py", FLOW.format(name="f"))
    folder("pipes/prefect.yaml", ENTRY.format("flow.py:f"))
    assert "current folder" not in runyard("deploy", "--all", "--prefect-file", "pipes/prefect.yaml").err
    assert stored(runyard)["path"] == str(folder.path / "pipes")


def test_an_entrypoint_that_is_in_neither_folder_is_an_error(runyard, folder):
    folder("pipes/prefect.yaml", ENTRY.format("flow.py:f"))
    assert (
        "flow.py not found" in runyard("deploy", "--all", "--prefect-file", "pipes/prefect.yaml", code=1).err
    )
    assert runyard("deployment", "ls", "-o", "json").json == []


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (["--all", "--plan"], 2),
        (["--all"], 0),
        (["--name", "d"], 0),
        (["--prune", "--plan"], 2),
        (["--prune"], 0),
        (["flow.py:f", "-n", "other", "-p", "pool", "--plan"], 2),
        (["flow.py:f", "-n", "other", "-p", "pool"], 0),
        (["flow.py:f", "-n", "other", "-p", "pool", "--no-upload"], 0),
    ],
)
@pytest.mark.parametrize(
    "speaks", ["print('p')", "import os; os.write(1, b'raw')", "import os; os.system('echo sub')"]
)
def test_what_a_file_prints_is_not_in_the_json(program, runyard, folder, flags, code, speaks):
    folder("flow.py", f"{speaks}\n{FLOW.format(name='f')}")
    folder("prefect.yaml", ENTRY.format("flow.py:f"))
    answer = program("deploy", *flags, "-o", "json", code=code, cwd=folder.path)
    assert len(answer.json) == 1
    assert "a print of the file" in answer.err


def test_a_package_of_the_user_called_like_an_integration_is_his_own(runyard, folder):
    folder("prefect_mything/tools.py", "X = 'mine'\n")
    folder(
        "flow.py",
        "from prefect_mything.tools import X\n" + FLOW.format(name="f").replace("@flow", "@flow(name=X)"),
    )
    folder("prefect.yaml", ENTRY.format("flow.py:f"))
    assert "prefect_mything" not in runyard("deploy", "--all").err
    assert stored(runyard)["flow_name"] == "mine"


def test_one_that_is_not_here_is_a_missing_package_like_others(program, runyard, folder):
    folder("flow.py", "import prefect_elsewhere\n" + FLOW.format(name="f"))
    folder("shell.py", "import prefect_shell\n" + FLOW.format(name="g"))
    folder(
        "prefect.yaml",
        ENTRY.format("flow.py:f") + "- name: e\n  entrypoint: shell.py:g\n  work_pool: {name: pool}\n",
    )
    told = runyard("deploy", "--all").err
    assert "not installed here: prefect_elsewhere;" in told
    assert (
        "shell.py:g: prefect_shell is not installed, and no run can use it: call subprocess from a task"
        in told
    )
    assert "prefect_shell;" not in told
    failed = program("run", "flow.py:f", code=1, cwd=folder.path).err
    assert "No module named 'prefect_elsewhere'" in failed
    assert "integration" not in failed


@pytest.mark.parametrize(
    "script",
    ["echo {{ prefect.variables.none }}", "echo {{ $RUNYARD_NO_SUCH }}", "echo {{ nothing.out }}"],
)
def test_a_plan_finds_what_a_build_step_lacks_as_the_deploy_does(runyard, folder, script):
    folder("flow.py", FLOW.format(name="f"))
    steps = "build:\n- prefect.deployments.steps.run_shell_script:\n    id: s\n    script: touch made; {}\n"
    folder("prefect.yaml", steps.format(script) + ENTRY.format("flow.py:f"))
    planned = runyard("deploy", "--all", "--plan", code=1).err
    assert planned.startswith("Error: prefect.yaml:2:") or planned.startswith("Error: prefect.yaml:4:"), (
        planned
    )
    assert planned.splitlines()[-1] == runyard("deploy", "--all", code=1).err.splitlines()[-1]
    assert not (folder.path / "made").exists()


def test_relative_imports_of_the_folder_and_of_the_one_above(program, runyard, folder):
    for package in ("pk", "pk/deep"):
        folder(f"{package}/__init__.py", "")
    folder("pk/up.py", "UP = 'up'\n")
    folder("pk/deep/near.py", "NEAR = 'near'\n")
    text = "from ..up import UP\nfrom .near import NEAR\n" + FLOW.format(name="f")
    folder("pk/deep/flow.py", text.replace("@flow", "@flow(name=UP + NEAR)"))
    folder("prefect.yaml", ENTRY.format("pk/deep/flow.py:f"))
    assert "import" not in runyard("deploy", "--all").err
    assert stored(runyard)["flow_name"] == "upnear"
    assert "for flow 'upnear'" in program("run", "pk/deep/flow.py:f", cwd=folder.path).err


def test_relative_imports_without_a_package(program, runyard, folder):
    folder("flows/near.py", "NEAR = 'near'\n")
    folder("shared.py", "SHARED = 'shared'\n")
    text = "from .near import NEAR\nfrom .shared import SHARED\n" + FLOW.format(name="f")
    folder("flows/flow.py", text.replace("@flow", "@flow(name=NEAR + SHARED)"))
    folder("prefect.yaml", ENTRY.format("flows/flow.py:f"))
    runyard("deploy", "--all")
    assert stored(runyard)["flow_name"] == "nearshared"
    assert "for flow 'nearshared'" in program("run", "flows/flow.py:f", cwd=folder.path).err


def test_the_folder_above_where_there_is_no_package(runyard, folder):
    folder("up.py", "UP = 'up'\n")
    folder("flows/flow.py", "from ..up import UP\n" + FLOW.format(name="f"))
    folder("prefect.yaml", ENTRY.format("flows/flow.py:f"))
    told = runyard("deploy", "--all").err
    assert "attempted relative import beyond top-level package; deployed from the source code" in told
    assert stored(runyard)["flow_name"] == "f"


@pytest.mark.parametrize(("written", "version"), [("1", "1"), ("1.50", "1.50"), ("0", "0"), ("'2'", "2")])
def test_a_version_may_be_a_number(runyard, folder, written, version):
    folder("flow.py", FLOW.format(name="f"))
    folder("prefect.yaml", ENTRY.format("flow.py:f") + f"  version: {written}\n")
    runyard("deploy", "--all")
    assert stored(runyard)["version"] == version


def test_all_that_is_wrong_with_parameters_and_job_variables_is_told_at_once(runyard, folder):
    folder("flow.py", FLOW.format(name="f"))
    wrong = "parameters: {x: a, y: 1}\n  schedules: [{interval: 60, parameters: {z: 1}}]\n"
    folder("prefect.yaml", ENTRY.format("flow.py:f") + f"  {wrong}- name: e\n  entrypoint: flow.py:g\n")
    told = runyard("deploy", "--all", code=1).err
    mistakes = {"no parameter 'y'", "parameter x:", "no parameter 'z'", "'g' not found"}
    assert {part for part in mistakes if part in told} == mistakes
    entry = "- name: {}\n  entrypoint: flow.py:f\n  work_pool: {{name: {}, job_variables: {}}}\n"
    folder(
        "prefect.yaml",
        "deployments:\n"
        + entry.format("d", "pool", "{env: 1, stream_output: maybe}")
        + entry.format("e", "pool", "{working_dir: 5}")
        + entry.format("g", "none", "{}"),
    )
    told = runyard("deploy", "--all", code=1).err.partition("Error: ")[2].splitlines()
    assert [line.partition(" must be ")[0] for line in told[:3]] == [
        "deployment 'd': job variable 'env' of work pool 'pool'",
        "deployment 'd': job variable 'stream_output' of work pool 'pool'",
        "deployment 'e': job variable 'working_dir' of work pool 'pool'",
    ]
    assert told[3].startswith("prefect.yaml:10:21: work pool 'none' not found; ")
    assert runyard("deployment", "ls", "-o", "json").json == []
