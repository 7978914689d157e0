"""Which files decide what an environment holds, and when environments are removed."""

from __future__ import annotations

import os
import shutil
import time
import zipfile

import pytest
from runyard.base.errors import InvalidInput
from runyard.workers.environments import environment_store, own_wheel
from runyard.workers.environments.make_environment import _reason
from runyard.workers.environments.requirement_files import find
from runyard.workers.environments.requires_python import suits
from runyard.workers.process import run_code

PROJECT = '[project]\nname = "p"\nversion = "1"\ndependencies = ["smallthing>=1"]\n'


def write(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_txt", ".txt").replace("_toml", ".toml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def digest(folder, environment="auto", lasting=True):
    return find(environment, str(folder), lasting).digest


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("present", "chosen"),
    [
        (["requirements.txt"], "requirements.txt"),
        (["pyproject.toml"], "pyproject.toml"),
        (["requirements.txt", "pyproject.toml"], "requirements.txt"),
        (["requirements.txt", "pyproject.toml", "uv.lock"], "uv.lock"),
        (["requirements.txt", "uv.lock"], "requirements.txt"),
    ],
)
def test_auto_takes_the_file_that_says_most_exactly(project, present, chosen):
    for name in present:
        (project / name).write_text(PROJECT if name.endswith(".toml") else "")
    assert find("auto", str(project), True).file == chosen


def test_the_same_content_elsewhere_is_the_same(project, tmp_path):
    write(project, requirements_txt="smallthing\n-r more/base.txt\n./pkg\n", more__base_txt="x==1\n")
    write(project, pkg__pyproject_toml=PROJECT)
    shutil.copytree(project, tmp_path / "other")
    assert digest(project) == digest(tmp_path / "other")


@pytest.mark.parametrize("changed", ["requirements.txt", "base.txt", "limits.txt", "pkg/mod.py", "thing.whl"])
def test_each_file_that_decides_counts(project, changed):
    lines = ["-r base.txt", "--constraint=limits.txt", "./pkg[extra] ; python_version > '3'", "thing.whl"]
    (project / "pkg").mkdir()
    for name in ("base.txt", "limits.txt", "pkg/mod.py", "thing.whl", "notes.md", "pkg/notes.pyc"):
        (project / name).write_text("a==1\n")
    (project / "requirements.txt").write_text("\n".join(lines))
    before = digest(project)
    (project / "notes.md").write_text("b")
    assert digest(project) == before
    with open(project / changed, "a") as file:
        file.write("\n")
    assert digest(project) != before


def test_files_that_name_each_other_end(project):
    write(project, requirements_txt="-r a.txt\n", a_txt="-r requirements.txt\nx\n")
    assert digest(project)


def test_only_what_a_project_depends_on_counts(project):
    write(project, pyproject_toml=PROJECT)
    before = digest(project)
    write(project, pyproject_toml=f'{PROJECT}description = "d"\n[tool.ruff]\nline-length = 80\n')
    assert digest(project) == before
    assert find("auto", str(project), True).requirements == ("smallthing>=1",)
    write(project, pyproject_toml=PROJECT.replace(">=1", ">=2"))
    assert digest(project) != before


def test_sources_of_uv_are_not_left_out(project):
    write(
        project, pyproject_toml=f'{PROJECT}[tool.uv.sources]\nsmallthing = {{ git = "https://x.test/s" }}\n'
    )
    assert "uv" in find("auto", str(project), True).needs_uv


def test_an_editable_package_belongs_to_its_folder(project, tmp_path):
    write(project, requirements_txt="-e ./pkg\n", pkg__pyproject_toml=PROJECT, pkg__mod_txt="1")
    before = digest(project)
    write(project, pkg__mod_txt="2")
    assert digest(project) == before
    shutil.copytree(project, tmp_path / "other")
    assert digest(tmp_path / "other") != before
    with pytest.raises(InvalidInput, match="editable"):
        digest(project, lasting=False)


def test_a_dependency_that_would_be_an_option_is_refused(project):
    write(project, pyproject_toml=PROJECT.replace("smallthing>=1", "--index-url=https://evil.test"))
    with pytest.raises(InvalidInput, match="one requirement"):
        digest(project)


@pytest.mark.parametrize(
    ("required", "suited"),
    [
        (">=3.10", True),
        (">=3.11.7", True),
        (">= 3.11.8", False),
        (">3.11.7", False),
        (">=3.10,<3.11", False),
        (">=3.10,<4", True),
        ("<=3.11", False),
        ("~=3.10", True),
        ("~=3.12", False),
        ("~=3.11.2", True),
        ("~=3.10.2", False),
        ("==3.11.*", True),
        ("==3.12.*", False),
        ("==3.11", False),
        ("==3.11.7", True),
        ("!=3.11.*", False),
        ("!=3.11", True),
        (">=3.10,", True),
        ("", True),
        ("^3.9", True),
    ],
)
def test_which_pythons_a_project_requires(required, suited):
    assert suits((3, 11, 7), required) is suited


def test_runyard_becomes_a_wheel_of_itself(tmp_path):
    installation = own_wheel.Installation()
    assert installation.digest() == own_wheel.Installation().digest()
    with zipfile.ZipFile(installation.write_wheel(str(tmp_path))) as wheel:
        names = wheel.namelist()
    facts = {name.partition("/")[2] for name in names if ".dist-info/" in name}
    assert {"METADATA", "WHEEL", "RECORD", "entry_points.txt"} <= facts
    assert "direct_url.json" not in facts
    assert not any(name.startswith("..") for name in names)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["Collecting a", "ERROR: No matching distribution found for a"], "ERROR: No matching"),
        (
            ["  × No solution found when resolving dependencies:", "  ╰─▶ Because a was not found"],
            "No solution",
        ),
        (["one", "two", "three", "four"], "two three four"),
        (["WARNING: Retrying after error", "ERROR: no a"], "an index did not answer: ERROR: no a"),
        ([], ""),
    ],
)
def test_the_reason_begins_where_the_error_does(lines, told):
    assert _reason(lines).startswith(told)


def made(key="0123456789abcdef", days_ago=0.0):
    """An environment that was used some days ago."""
    with environment_store.making(key, lambda: None) as folder:
        os.makedirs(os.path.join(folder, "bin"))
        os.symlink("/bin/sh", environment_store.python_of(folder))
        environment_store.publish(key, folder, {"file": "requirements.txt", "folder": "/p"})
    moment = time.time() - days_ago * 86_400
    os.utime(os.path.join(folder, "used"), (moment, moment))
    return folder


def test_old_ones_are_removed_and_those_in_use_are_not(home):
    old, new, busy = made("a" * 16, 31), made("b" * 16, 29), made("c" * 16, 31)
    held = environment_store.take("c" * 16)
    os.utime(held.lock, (0, 0))
    assert environment_store.evict_old() == ["a" * 16]
    assert [os.path.exists(folder) for folder in (old, new, busy)] == [False, True, True]
    assert environment_store.take("a" * 16) is None
    os.close(held.lock)
    assert environment_store.evict_old() == ["c" * 16]


def test_none_is_too_old_where_they_are_kept_for_ever(home, monkeypatch):
    monkeypatch.setenv("RUNYARD_ENVIRONMENTS_KEEP_DAYS", "0")
    made(days_ago=10_000)
    assert environment_store.evict_old() == []


def test_what_killed_makers_and_removers_left_goes(home):
    made("a" * 16)
    for name in ("b" * 16 + "-12345678", "trash-x", "a" * 16 + "-87654321"):
        os.makedirs(os.path.join(environment_store.home(), name, "bin"))
    with environment_store.making("c" * 16, lambda: None) as folder:
        os.makedirs(folder)
        environment_store.evict_old()
        assert os.path.exists(folder)
    environment_store.evict_old()
    left = {name.partition("-")[0] for name in os.listdir(environment_store.home())}
    assert left == {"a" * 16}


def test_one_whose_interpreter_is_gone_is_made_anew(home):
    folder = made()
    os.unlink(environment_store.python_of(folder))
    assert environment_store.take("0123456789abcdef") is None
    assert made() != folder
    assert not os.path.exists(folder)


def test_a_failure_is_told_to_those_who_waited_for_it_only(home):
    begun = time.time() - 1
    with environment_store.making("a" * 16, lambda: None):
        environment_store.note_failure("a" * 16, "no network")
    assert environment_store.failure_since("a" * 16, begun) == "no network"
    assert environment_store.failure_since("a" * 16, time.time() + 1) is None


def test_code_and_secrets_are_handed_over_once(home, tmp_path):
    from runyard.base import redaction

    redaction.register("a-long-secret")
    run_code.hand_over(str(tmp_path), None)
    redaction._known.clear()
    assert run_code.bring(None) == str(tmp_path)
    assert redaction.redact("a-long-secret") == redaction.STARS
    assert run_code.bring(None) == os.getcwd()
