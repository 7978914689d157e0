"""`runyard environment`: the virtual environments of runs, shown and removed."""

from __future__ import annotations

import os

import pytest
from runyard.workers.environments import environment_store

KEY = "0123456789abcdef"


@pytest.fixture
def folder(home):
    """Of an environment."""
    with environment_store.making(KEY, lambda: None) as folder:
        os.makedirs(os.path.join(folder, "bin"))
        os.symlink("/bin/sh", environment_store.python_of(folder))
        environment_store.publish(KEY, folder, {"file": "requirements.txt", "folder": "/project"})
    return folder


def test_they_are_shown_and_removed(runyard, folder):
    (shown,) = runyard("environment", "ls", "-o", "json").json
    assert (shown["name"], shown["file"], shown["in_use"]) == (KEY, "requirements.txt", False)
    assert "/project/requirements.txt" in runyard("environments", "ls").out
    assert "No environment is old enough" in runyard("environment", "prune").out
    runyard("environment", "rm", KEY, "-y")
    assert not os.path.exists(folder)
    assert "No environments" in runyard("environment", "ls").err


def test_one_in_use_stays(runyard, folder):
    held = environment_store.take(KEY)
    assert runyard("environment", "ls", "--columns", "in-use").out == "yes\n"
    assert "is in use by a run" in runyard("environment", "rm", KEY, "-y", code=1).err
    os.close(held.lock)
    assert os.path.exists(folder)


def test_nothing_is_removed_where_one_of_the_names_is_wrong(runyard, folder):
    assert "environment 'nosuch' not found" in runyard("environment", "rm", KEY, "nosuch", code=1).err
    assert os.path.exists(folder)


def test_old_ones_are_pruned(runyard, folder):
    os.utime(os.path.join(folder, "used"), (0, 0))
    assert f"Deleted {KEY}" in runyard("environment", "prune").out
    assert not os.path.exists(folder)
