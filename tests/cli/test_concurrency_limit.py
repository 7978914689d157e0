"""`runyard global-concurrency-limit` and `runyard concurrency-limit`."""

from __future__ import annotations

import pytest
from runyard.operations.limits import limit_slots


def shown(runyard, name="db"):
    return runyard("gcl", "inspect", name, "-o", "json").json


def test_a_limit_is_made_listed_changed_and_deleted(runyard):
    runyard("global-concurrency-limit", "create", "db", "--limit", 5)
    assert (shown(runyard)["limit"], shown(runyard)["active"]) == (5, True)
    (listing,) = runyard("gcl", "ls").out.splitlines()
    assert listing.split("\t")[:5] == ["db", "on", "0", "5", ""]
    assert runyard("gcl", "ls", "-o", "name").out == "db\n"
    runyard("gcl", "update", "db", "--limit", 8, "--slot-decay-per-second", 0.5, "--active-slots", 2)
    assert (shown(runyard)["limit"], shown(runyard)["slot_decay_per_second"]) == (8, 0.5)
    text = runyard("gcl", "inspect", "db").out
    assert text.startswith("Limit db\n\nLimit\n  Slots ")
    assert " of 8 slots in use\n  Decay    0.5 slots become free each second\n" in text
    assert "Held by\n  set by hand  2 slots" in text
    runyard("gcl", "delete", "db")
    assert runyard("gcl", "ls", "-o", "json").json == []
    assert "create NAME" in runyard("global-concurrency-limits", "ls").err


def test_a_limit_is_disabled_and_enabled(runyard):
    assert "inactive" in runyard("gcl", "create", "db", "-l", 1, "--inactive").out
    assert shown(runyard)["active"] is False
    runyard("gcl", "enable", "db")
    assert shown(runyard)["active"] is True
    runyard("gcl", "disable", "db")
    assert shown(runyard)["active"] is False
    runyard("gcl", "update", "db", "--enable")
    assert shown(runyard)["active"] is True
    assert runyard("gcl", "create", "other", "-l", 1, "--disable", "-o", "json").json["active"] is False


def test_wrong_usage(runyard):
    assert "--limit" in runyard("gcl", "create", "db", code=2).err
    assert "-1" in runyard("gcl", "create", "db", "--limit", -1, code=2).err
    runyard("gcl", "create", "db", "--limit", 1)
    assert "Nothing to change" in runyard("gcl", "update", "db", code=2).err
    assert "exclude" in runyard("gcl", "update", "db", "--enable", "--disable", code=2).err
    error = runyard("gcl", "create", "db", "--limit", 1, code=1).err
    assert error == "Error: a limit named 'db' exists already\n"


@pytest.mark.parametrize("command", ["inspect", "enable", "disable", "delete"])
def test_a_limit_that_is_not_there(runyard, command):
    error = runyard("gcl", command, "nobody", code=1).err
    assert error.startswith("Error: ")
    assert "nobody" in error
    assert len(error.splitlines()) == 1


def test_the_limit_of_a_tag(runyard, store):
    assert "2 task runs tagged 'db' at a time" in runyard("concurrency-limit", "create", "db", 2).out
    runyard("concurrency-limit", "create", "db", 3)
    take = {"names": ["tag:db"], "slots": 1, "holder": {"type": "task_run", "id": "run-1"}}
    store.call(limit_slots.increment_slots_with_lease, take)
    seen = runyard("concurrency-limit", "inspect", "db", "-o", "json").json
    assert (seen["tag"], seen["concurrency_limit"], seen["active_slots"]) == ("db", 3, ["run-1"])
    assert runyard("concurrency-limits", "ls").out.split("\t")[:3] == ["db", "1", "3"]
    runyard("concurrency-limit", "reset", "db")
    assert runyard("concurrency-limit", "ls", "-o", "json").json[0]["active_slots"] == []
    runyard("concurrency-limit", "delete", "db")
    assert "create TAG" in runyard("concurrency-limit", "ls").err


@pytest.mark.parametrize("command", ["inspect", "delete", "reset"])
def test_a_tag_without_a_limit(runyard, command):
    error = runyard("concurrency-limit", command, "nobody", code=1).err
    assert error.startswith("Error: ")
    assert "nobody" in error
    assert len(error.splitlines()) == 1


def test_a_limit_shows_who_holds_its_slots_and_who_waits(runyard, store):
    from runyard.operations.limits import slot_waits

    runyard("gcl", "create", "db", "--limit", 1)
    store.call(
        limit_slots.increment_slots_with_lease, {"names": ["db"], "holder": {"type": "script", "id": "s"}}
    )
    note = {
        "names": ["db"],
        "slots": 1,
        "lease_id": "l",
        "run_id": None,
        "holder": {"type": "other", "id": "o"},
    }
    store.call(slot_waits.note_slot_wait, note)
    text = runyard("gcl", "inspect", "db").out
    assert (
        "\nHeld by\n  script  1 slot  now  s\n" in text
        or "\nHeld by\n  script  1 slot  1 second ago  s\n" in text
    )
    assert "\nWaiting\n  other  1 slot" in text
    seen = shown(runyard)
    assert [(use["type"], use["slots"]) for use in seen["holders"]] == [("script", 1)]
    assert [use["type"] for use in seen["waiting"]] == ["other"]


def test_changes_print_the_limit_as_json(runyard):
    runyard("gcl", "create", "db", "--limit", 1)
    assert runyard("gcl", "update", "db", "--limit", 2, "-o", "json").json["limit"] == 2
    assert runyard("gcl", "disable", "db", "-o", "json").json["active"] is False
    assert runyard("gcl", "enable", "db", "-o", "yaml").out.count("active: true") == 1
    assert runyard("gcl", "delete", "db", "-o", "json").json["name"] == "db"
    runyard("concurrency-limit", "create", "api", 2)
    assert runyard("concurrency-limit", "reset", "api", "-o", "json").json["active_slots"] == []
    assert runyard("concurrency-limit", "delete", "api", "-o", "json").json["tag"] == "api"


def test_a_misspelt_limit_or_tag_is_suggested(runyard):
    runyard("gcl", "create", "warehouse", "--limit", 1)
    runyard("concurrency-limit", "create", "database", 1)
    assert runyard("gcl", "inspect", "warehous", code=1).err == (
        "Error: limit 'warehous' not found; did you mean 'warehouse'? "
        "To create it: runyard global-concurrency-limit create warehous --limit N\n"
    )
    assert runyard("gcl", "inspect", "x", code=1).err == (
        "Error: limit 'x' not found; create it: runyard global-concurrency-limit create x --limit N\n"
    )
    assert runyard("concurrency-limit", "reset", "databse", code=1).err == (
        "Error: the tag 'databse' has no limit; did you mean 'database'? "
        "To create it: runyard concurrency-limit create databse N\n"
    )
