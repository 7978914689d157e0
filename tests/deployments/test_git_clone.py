"""The step git_clone: what it fetches, what it keeps, and what nobody sees."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys

import pytest
from runyard.base.errors import InvalidInput, RunyardError
from runyard.deployments import steps
from runyard.deployments.steps import git_program
from runyard.deployments.steps.git_mirror import Mirror

pytestmark = pytest.mark.usefixtures("git")


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


@pytest.fixture(params=["{}", "file://{}"], ids=["path", "url"])
def address(repository, request):
    """Where it is: a path, or an address as of another machine."""
    return request.param.format(repository.folder)


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """Notes what git is called with; gives the notes."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "git").write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\nexec {shutil.which("git")} "$@"\n'
    )
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return lambda: (tmp_path / "calls").read_text().splitlines()


def fetches(calls, address):
    return [line for line in calls() if " fetch " in line and f" {address}" in line]


def test_clone_and_bring_up_to_date(repository, address, project_folder):
    assert steps.git_clone(address) == {"directory": "origin"}
    assert (project_folder / "origin" / "flow.py").read_text() == "one"
    repository("three")
    steps.git_clone(address)
    assert (project_folder / "origin" / "flow.py").read_text() == "three"


def test_clone_a_branch_or_a_tag(repository, address, project_folder):
    assert steps.git_clone(address, branch="feature/x") == {"directory": "origin-feature-x"}
    assert (project_folder / "origin-feature-x" / "flow.py").read_text() == "two"
    repository.git("tag", "-a", "v1", "-m", "one")
    repository("three")
    assert steps.git_clone(address, branch="v1") == {"directory": "origin-v1"}
    assert (project_folder / "origin-v1" / "flow.py").read_text() == "one"


@pytest.mark.parametrize("digits", [7, 40])
def test_clone_a_commit(repository, address, project_folder, digits):
    sha = repository.git("rev-parse", "HEAD")
    repository("three")
    steps.git_clone(address, commit_sha=sha[:digits], clone_directory_name="here")
    assert (project_folder / "here" / "flow.py").read_text() == "one"


def test_a_spoilt_clone_is_made_again(repository, address, project_folder):
    steps.git_clone(address)
    (project_folder / "origin" / ".git" / "HEAD").write_text("spoilt")
    steps.git_clone(address)
    assert (project_folder / "origin" / "flow.py").read_text() == "one"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"branch": "a", "commit_sha": "abcd"}, "branch or a commit_sha"),
        ({"access_token": "t", "credentials": {"token": "t"}}, "access_token or credentials"),
        ({"commit_sha": "xyz"}, "hex"),
        ({"access_token": "t"}, "https"),
        ({"credentials": {"username": "me"}}, "no token"),
        ({"branch": "--upload-pack=x"}, "invalid repository or branch"),
    ],
)
def test_options_that_exclude_each_other(repository, project_folder, options, message):
    with pytest.raises(InvalidInput, match=message):
        steps.git_clone(str(repository.folder), **options)


# Tokens


def test_a_failing_clone_says_why_without_the_token(project_folder, monkeypatch):
    monkeypatch.setattr(git_program.time, "sleep", lambda seconds: None)
    with pytest.raises(RunyardError) as caught:
        steps.git_clone("http://127.0.0.1:1/x.git", access_token="very-secret")
    assert "git fetch failed" in str(caught.value)
    assert "very-secret" not in str(caught.value)


def test_a_token_is_in_no_command_line_and_not_in_the_clone(project_folder, tmp_path, monkeypatch):
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


# The network


def test_what_the_network_refuses_is_tried_three_times(project_folder, monkeypatch, capfd):
    pauses = []
    monkeypatch.setattr(git_program.time, "sleep", pauses.append)
    with pytest.raises(RunyardError, match="git fetch failed"):
        steps.git_clone("http://127.0.0.1:1/x.git")
    assert len(pauses) == 2
    assert all(1 <= pause <= 10 for pause in pauses)
    assert capfd.readouterr().err.count("trying again") == 2


def test_what_another_attempt_cannot_cure_is_tried_once(repository, address, project_folder, monkeypatch):
    monkeypatch.setattr(git_program.time, "sleep", lambda seconds: pytest.fail("it waited"))
    with pytest.raises(RunyardError, match="ref"):
        steps.git_clone(address, branch="nowhere")
    with pytest.raises(RunyardError, match="git fetch failed"):
        steps.git_clone("nowhere/at-all")


def test_runs_that_start_together_fetch_no_more_than_twice(repository, calls, tmp_path, home):
    address = f"file://{repository.folder}"
    program = "import sys; from runyard.deployments.steps import git_clone; git_clone(sys.argv[1])"
    running = []
    for number in range(6):
        folder = tmp_path / f"run-{number}"
        folder.mkdir()
        command = [sys.executable, "-c", program, address]
        running.append(subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True))
    said = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [0] * 6, said
    for number in range(6):
        assert (tmp_path / f"run-{number}" / "origin" / "flow.py").read_text() == "one"
    assert 1 <= len(fetches(calls, address)) < 6


def test_runs_that_start_together_share_a_clone(repository, address, project_folder):
    program = "import sys; from runyard.deployments.steps import git_clone; git_clone(sys.argv[1])"
    command = [sys.executable, "-c", program, address]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    said = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [0] * 4, said
    assert (project_folder / "origin" / "flow.py").read_text() == "one"


def test_a_commit_that_is_here_is_not_fetched_again(repository, calls, project_folder):
    sha, address = repository.git("rev-parse", "HEAD"), f"file://{repository.folder}"
    for name in ("first", "second"):
        steps.git_clone(address, commit_sha=sha, clone_directory_name=name)
    assert len(fetches(calls, address)) == 1
    shutil.rmtree(repository.folder)
    steps.git_clone(address, commit_sha=sha, clone_directory_name="third")
    assert (project_folder / "third" / "flow.py").read_text() == "one"


def test_a_home_that_cannot_be_written_is_done_without(repository, project_folder, home):
    home.mkdir(exist_ok=True)
    (home / "git").write_text("in the way")
    steps.git_clone(f"file://{repository.folder}")
    assert (project_folder / "origin" / "flow.py").read_text() == "one"


def test_only_some_directories(repository, address, project_folder):
    for name in ("kept", "left"):
        (repository.folder / name).mkdir()
        (repository.folder / name / "x.py").write_text(name)
    repository("more")
    steps.git_clone(address, directories=["kept"], clone_directory_name="sparse")
    assert (project_folder / "sparse" / "kept" / "x.py").exists()
    assert not (project_folder / "sparse" / "left").exists()


def test_submodules_come_along(repository, address, project_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "protocol.file.allow")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "always")
    inner = tmp_path / "inner"
    shutil.copytree(repository.folder, inner)
    repository.git("submodule", "add", str(inner), "part")
    repository("with a part")
    steps.git_clone(address, clone_directory_name="without")
    assert not (project_folder / "without" / "part" / "flow.py").exists()
    steps.git_clone(address, include_submodules=True, clone_directory_name="with")
    assert (project_folder / "with" / "part" / "flow.py").read_text() == "one"


def test_what_is_fetched_can_be_changed_by_its_owner_alone(repository, home):
    home.mkdir(exist_ok=True)
    home.chmod(0o755)  # as a person may have made it
    before = os.umask(0)
    try:
        Mirror(f"file://{repository.folder}", {}).fetch(None, None)
    finally:
        os.umask(before)
    assert (home / "git").stat().st_mode & 0o777 == 0o700
