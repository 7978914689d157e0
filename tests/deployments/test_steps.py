"""Steps: finding them, their inputs and outputs, and those that come along."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys

import pytest
from runyard.deployments import steps
from runyard.deployments.steps import git
from runyard.errors import InvalidInput, ProjectError, RunyardError


@pytest.fixture
def repository(tmp_path):
    """A git repository with two branches, and a function that commits to it."""
    folder = tmp_path / "origin"

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
        done = subprocess.run(
            ["git", "-C", str(folder), *identity, *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(text: str) -> str:
        (folder / "flow.py").write_text(text)
        git("add", ".")
        git("commit", "-m", text)
        return git("rev-parse", "HEAD")

    folder.mkdir()
    git("init", "-b", "main")
    commit.git = git
    commit.folder = folder
    commit("one")
    git("checkout", "-b", "feature/x")
    commit("two")
    git("checkout", "main")
    return commit


@pytest.mark.parametrize(
    "name",
    [
        "prefect.deployments.steps.run_shell_script",
        "prefect.deployments.steps.utility.run_shell_script",
        "prefect.projects.steps.run_shell_script",
        "runyard.deployments.steps.run_shell_script",
        "run_shell_script",
    ],
)
def test_the_steps_that_come_along_are_found_by_every_name(project_folder, name):
    assert steps.resolve(name) is steps.run_shell_script


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module.step", "cannot be imported"),
        ("os.no_such_function", "os has no 'no_such_function'"),
        ("os.sep", "is no function"),
    ],
)
def test_a_step_that_cannot_be_found(project_folder, name, message):
    with pytest.raises(InvalidInput, match=message):
        steps.resolve(name)


@pytest.mark.parametrize("step", [{}, {"a": {}, "b": {}}, "a", {"a": [1]}])
def test_malformed_steps(step):
    with pytest.raises(ProjectError):
        steps.check_steps([step])


def test_outputs_flow_from_step_to_step_flat_and_by_id(write, monkeypatch):
    write("my_steps.py", "def make(**given):\n    return given\n\nasync def later(x):\n    return {'y': x}\n")
    monkeypatch.syspath_prepend(os.getcwd())
    monkeypatch.setenv("WHO", "env")
    outputs = steps.run_steps(
        [
            {"my_steps.make": {"id": "first", "items": [1, 2]}},
            {"my_steps.make": {"copy": "{{ first.items }}", "who": "{{ $WHO }}"}},
            {"my_steps.later": {"x": "{{ copy[1] }}"}},
        ]
    )
    assert outputs == {"items": [1, 2], "first": {"items": [1, 2]}, "copy": [1, 2], "who": "env", "y": 2}


def test_a_result_that_is_no_mapping_is_no_output(project_folder):
    assert steps.run_steps([{"os.getcwd": None}]) == {}


def test_a_step_that_raises_is_named(project_folder):
    with pytest.raises(RunyardError, match=r"step os.listdir failed: FileNotFoundError"):
        steps.run_steps([{"os.listdir": {"path": "/no/such/folder"}}])


def test_stored_objects_that_are_missing_say_what_to_type(project_folder):
    with pytest.raises(ProjectError, match=r"step os.getcwd: .*runyard secret set x"):
        steps.run_steps([{"os.getcwd": {"x": "{{ prefect.blocks.secret.x }}"}}])


def test_pull_steps_lead_to_the_directory(write, project_folder):
    write("inner/deeper/flow.py", "")
    found = steps.run_pull_steps(
        [
            {"prefect.deployments.steps.set_working_directory": {"directory": "inner"}},
            {"set_working_directory": {"directory": "deeper"}},
            {"run_shell_script": {"script": "pwd", "stream_output": False}},
        ]
    )
    assert found == str(project_folder / "inner" / "deeper") == os.getcwd()


def test_a_missing_working_directory(project_folder):
    with pytest.raises(InvalidInput, match=r"no directory .*nowhere"):
        steps.set_working_directory("nowhere")


def test_a_script_runs_line_by_line(project_folder, capfd):
    script = "# a comment\n\nsh -c 'echo out'\nsh -c 'echo err >&2'\n"
    assert steps.run_shell_script(script) == {"stdout": "out", "stderr": "err"}
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("out\n", "err\n")
    steps.run_shell_script(script, stream_output=False)
    assert capfd.readouterr().out == ""


def test_a_script_has_an_environment_a_directory_and_perhaps_a_shell(write, project_folder):
    write("sub/x", "")

    def out(script: str, **options) -> str:
        return steps.run_shell_script(script, stream_output=False, **options)["stdout"]

    assert out("ls", directory="sub") == "x"
    assert out("echo $NAME", env={"NAME": "n"}) == "$NAME"
    assert out("echo $NAME", env={"NAME": "n"}, expand_env_vars=True) == "n"
    assert out("for i in 1 2; do echo $i; done | tail -1", shell=True) == "2"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("sh -c 'echo why >&2; exit 3'", "exit code 3: why"),
        ("no-such-command --x", "cannot run: No such file"),
    ],
)
def test_a_failing_command_says_why(project_folder, script, message):
    with pytest.raises(RunyardError, match=message):
        steps.run_shell_script(script, stream_output=False)


def test_later_lines_do_not_run_after_a_failure(project_folder):
    with pytest.raises(RunyardError):
        steps.run_shell_script("false\ntouch late", stream_output=False)
    assert not (project_folder / "late").exists()


def test_missing_requirements(project_folder):
    with pytest.raises(InvalidInput, match=r"requirements\.txt"):
        steps.pip_install_requirements()


def test_clone_and_bring_up_to_date(repository, project_folder):
    assert steps.git_clone(str(repository.folder)) == {"directory": "origin"}
    assert (project_folder / "origin" / "flow.py").read_text() == "one"
    repository("three")
    steps.git_clone(str(repository.folder))
    assert (project_folder / "origin" / "flow.py").read_text() == "three"


def test_clone_a_branch(repository, project_folder):
    assert steps.git_clone(str(repository.folder), branch="feature/x") == {"directory": "origin-feature-x"}
    assert (project_folder / "origin-feature-x" / "flow.py").read_text() == "two"


@pytest.mark.parametrize("digits", [7, 40])
def test_clone_a_commit(repository, project_folder, digits):
    sha = repository.git("rev-parse", "HEAD")
    repository("three")
    steps.git_clone(str(repository.folder), commit_sha=sha[:digits], clone_directory_name="here")
    assert (project_folder / "here" / "flow.py").read_text() == "one"


def test_a_spoilt_clone_is_made_again(repository, project_folder):
    steps.git_clone(str(repository.folder))
    (project_folder / "origin" / ".git" / "HEAD").write_text("spoilt")
    steps.git_clone(str(repository.folder))
    assert (project_folder / "origin" / "flow.py").read_text() == "one"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"branch": "a", "commit_sha": "abcd"}, "branch or a commit_sha"),
        ({"access_token": "t", "credentials": {"token": "t"}}, "access_token or credentials"),
        ({"commit_sha": "xyz"}, "hex"),
        ({"access_token": "t"}, "https"),
        ({"branch": "--upload-pack=x"}, "no repository or branch"),
    ],
)
def test_options_that_exclude_each_other(repository, project_folder, options, message):
    with pytest.raises(InvalidInput, match=message):
        steps.git_clone(str(repository.folder), **options)


def test_a_failing_clone_says_why_without_the_token(project_folder):
    with pytest.raises(RunyardError) as caught:
        steps.git_clone("http://127.0.0.1:1/x.git", access_token="very-secret")
    assert "git fetch failed" in str(caught.value)
    assert "very-secret" not in str(caught.value)


def test_a_token_is_in_no_command_line_and_not_in_the_clone(project_folder, tmp_path, monkeypatch):
    # A git that notes what it is called with.
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "git"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\nenv | grep GIT_CONFIG >> {tmp_path}/env\nexit 0\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    for address, options in (
        ("https://example.com/team/x.git", {"access_token": "secret-1"}),
        ("https://me:secret-1@example.com/team/x.git", {}),
        ("https://secret-1@example.com/team/x.git", {}),
        ("https://example.com/team/x.git", {"credentials": {"username": "me", "token": "secret-1"}}),
        ("https://example.com/team/x.git", {"credentials": {"value": {"password": "secret-1"}}}),
    ):
        (tmp_path / "env").unlink(missing_ok=True)
        assert steps.git_clone(address, clone_directory_name="x", **options) == {"directory": "x"}
        told = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
        assert told["GIT_CONFIG_KEY_0"] == "http.https://example.com/.extraHeader"
        basic = base64.b64decode(told["GIT_CONFIG_VALUE_0"].rpartition(" ")[2]).decode()
        assert basic.endswith(":secret-1")
    calls = (tmp_path / "calls").read_text()
    assert "fetch" in calls
    assert "secret-1" not in calls


def test_what_the_network_refuses_is_tried_three_times(project_folder, monkeypatch, capfd):
    pauses = []
    monkeypatch.setattr(git.time, "sleep", pauses.append)
    with pytest.raises(RunyardError, match="git fetch failed"):
        steps.git_clone("http://127.0.0.1:1/x.git")
    assert len(pauses) == 2
    assert all(1 <= pause <= 10 for pause in pauses)
    assert capfd.readouterr().err.count("trying again") == 2


def test_what_another_attempt_cannot_cure_is_tried_once(repository, project_folder, monkeypatch):
    monkeypatch.setattr(git.time, "sleep", lambda seconds: pytest.fail("it waited"))
    with pytest.raises(RunyardError, match="ref"):
        steps.git_clone(str(repository.folder), branch="nowhere")
    with pytest.raises(RunyardError, match="nowhere"):
        steps.git_clone("nowhere/at-all")


def test_runs_that_start_together_share_a_clone(repository, project_folder):
    command = [
        sys.executable, "-c",
        "import sys; from runyard.deployments.steps import git_clone; git_clone(sys.argv[1])",
        str(repository.folder),
    ]  # fmt: skip
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    said = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [0] * 4, said
    assert (project_folder / "origin" / "flow.py").read_text() == "one"


def test_submodules_and_sparse_directories(repository, project_folder, tmp_path):
    outer = tmp_path / "outer"
    shutil.copytree(repository.folder, outer)
    for name in ("kept", "left"):
        (outer / name).mkdir()
        (outer / name / "x.py").write_text(name)

    def run(*arguments):
        subprocess.run(
            ["git", "-C", str(outer), "-c", "protocol.file.allow=always", *arguments],
            check=True,
            capture_output=True,
        )

    run("add", ".")
    run("-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "more")
    steps.git_clone(str(outer), directories=["kept"], clone_directory_name="sparse")
    assert (project_folder / "sparse" / "kept" / "x.py").exists()
    assert not (project_folder / "sparse" / "left").exists()
