"""What people type first, from other programs, does what they mean or names the command that does."""

from __future__ import annotations

import pytest
from _history import History
from runyard.operations.work_pools import work_pools
from runyard.store.database import get_database


@pytest.fixture
def stored(store):
    store.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name="machines"))
    with History(get_database()) as history:
        history.flow_run(0.1, "RUNNING", name="calm-otter")
        history.flow_run(0.2, "FAILED", name="sad-fox")
    return store


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["get", "work-pools"], ["work-pool", "ls"]),
        (["get", "pools"], ["work-pool", "ls"]),
        (["list", "work-pool"], ["work-pool", "ls"]),
        (["get", "pools", "-o", "name"], ["work-pool", "ls", "-o", "name"]),
        (["get", "pool", "machines"], ["work-pool", "inspect", "machines"]),
        (["describe", "work-pool", "machines"], ["work-pool", "inspect", "machines"]),
        (["work-pool", "list"], ["work-pool", "ls"]),
        (["work-pools", "describe", "machines"], ["work-pool", "inspect", "machines"]),
        (["work-pool", "show", "machines"], ["work-pool", "inspect", "machines"]),
        (["pools", "ls"], ["work-pool", "ls"]),
        (["runs", "list"], ["flow-run", "ls"]),
        (["ps"], ["flow-run", "ls", "--state", "Running"]),
        (["ps", "--state", "Failed"], ["flow-run", "ls", "--state", "Failed"]),
        (["logs", "sad-fox"], ["flow-run", "logs", "sad-fox"]),
        (["why", "sad-fox"], ["flow-run", "why", "sad-fox"]),
        (["ps", "-a"], ["flow-run", "ls"]),
        (["help"], ["--help"]),
        (["help", "--help"], ["--help"]),
        (["help", "work-pool"], ["work-pool", "--help"]),
        (["help", "get", "pools"], ["work-pool", "ls", "--help"]),
        (["--no-prompt", "get", "pools"], ["work-pool", "ls"]),
    ],
)
def test_a_word_means_a_command(stored, runyard, typed, meant):

    assert runyard(*typed).out == runyard(*meant).out != ""


def test_a_verb_alone_says_what_is_missing(runyard):
    assert "runyard list work-pools" in runyard("list", code=2).err
    assert "runyard describe flow-run NAME" in runyard("describe", "spoon", code=2).err


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["flow-run", "ls", "--yaml"], "use -o yaml."),
        (["work-pool", "delete", "machines", "--force"], "use --yes."),
        (["flow-run", "ls", "--stat", "x"], "did you mean '--state'?"),
        (["work-pool", "ls", "--colums", "name"], "did you mean '--columns'?"),
        (["work-pool", "ls", "--nonsense"], "No such option: --nonsense."),
        (["--json"], "No such option: --json; the options of a command stand after its name."),
        (["flow-run", "-o", "json", "ls"], "stand after its name."),
        (["deployment", "run", "x", "--name", "y"], "did you mean '--flow-run-name'?"),
        (["--versio"], "did you mean '--version'?"),
        (["work-pool", "ls", "-o", "xml"], "'xml' is not one of 'json', 'yaml', 'wide', 'name'."),
        (["spoons"], "see: runyard -h"),
        (["work-pool", "spoons"], "see: runyard work-pool -h"),
        (["work-pool", "ls", "-Z"], "No such option: -Z."),
    ],
)
def test_an_unknown_option_leads_to_the_one_that_is_meant(stored, runyard, typed, words):
    shown = runyard(*typed, code=2).err
    assert words in shown
    assert "\x1b" not in shown
