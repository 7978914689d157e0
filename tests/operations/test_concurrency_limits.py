"""Limits by name and their slots: all or none, leases, decay, tags; four ways."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time

import pytest
from runyard.base.errors import Conflict, InvalidInput, LeaseGone, Locked, NotFound
from runyard.client import LocalClient
from runyard.operations import lease_clock
from runyard.operations.limits import concurrency_limits as limits
from runyard.operations.limits import limit_slots as slots
from runyard.operations.limits import tag_limits as tags
from runyard.operations.recovery.recover_flow_runs import RecoverRequest, recover


def make(client, name="db", limit=2, **fields):
    body = limits.ConcurrencyLimitCreate(name=name, limit=limit, **fields)
    return client.call(limits.create_concurrency_limit, body)


def read(client, name="db"):
    return client.call(limits.read_concurrency_limit, name)


def change(client, which="db", /, **fields):
    client.call(limits.update_concurrency_limit, which, limits.ConcurrencyLimitUpdate(**fields))


def take(client, *names, slots_=1, **fields):
    body = {"names": list(names or ["db"]), "slots": slots_, **fields}
    return client.call(slots.increment_slots_with_lease, body)


def give_back(client, lease):
    client.call(slots.decrement_slots_with_lease, {"lease_id": lease["lease_id"]})


def until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def taken(client, *names, **fields):
    try:
        return take(client, *names, **fields)
    except Locked:
        return None


def test_a_limit_is_made_read_changed_listed_and_deleted(client):
    made = make(client, slot_decay_per_second=0.5)
    assert (made.name, made.limit, made.active, made.active_slots) == ("db", 2, True, 0)
    assert read(client, made.id) == read(client, "db")
    make(client, "api", 7, active=False)
    change(client, "api", limit=9, active=True, slot_decay_per_second=1.5)
    listed = client.call(limits.filter_concurrency_limits, limits.LimitListing())
    assert [(each.name, each.limit, each.active) for each in listed] == [("api", 9, True), ("db", 2, True)]
    second = client.call(limits.filter_concurrency_limits, limits.LimitListing(limit=1, offset=1))
    assert [each.name for each in second] == ["db"]
    client.call(limits.delete_concurrency_limit, "api")
    with pytest.raises(NotFound, match="api"):
        read(client, "api")


def test_names_are_unique(client):
    make(client)
    with pytest.raises(Conflict, match="db"):
        make(client)
    make(client, "api")
    with pytest.raises(Conflict, match="db"):
        change(client, "api", name="db")
    change(client, "api", name="web")
    assert read(client, "web").limit == 2


def test_slots_are_taken_until_none_is_left_and_given_back(client):
    make(client)
    first, second = take(client), take(client)
    assert [each["name"] for each in first["limits"]] == ["db"]
    assert read(client).active_slots == 2
    with pytest.raises(Locked) as refused:
        take(client)
    assert 0 < refused.value.details["retry_after_seconds"] <= 30
    give_back(client, first)
    give_back(client, first)  # unknown by now
    assert read(client).active_slots == 1
    assert take(client)["lease_id"] not in (first["lease_id"], second["lease_id"])


def test_several_limits_are_taken_together_or_not_at_all(client):
    make(client, "a", 2)
    make(client, "b", 1)
    both = take(client, "a", "b", "unknown")
    assert [each["name"] for each in both["limits"]] == ["a", "b"]
    with pytest.raises(Locked, match="'b'"):
        take(client, "b", "a")
    assert read(client, "a").active_slots == 1
    give_back(client, both)
    assert (read(client, "a").active_slots, read(client, "b").active_slots) == (0, 0)


def test_unknown_and_inactive_limits_limit_nothing(client):
    assert take(client, "nobody")["limits"] == []
    make(client, "off", 1, active=False)
    first, second = take(client, "off"), take(client, "off")
    assert first["limits"]
    assert second["limits"]
    assert read(client, "off").active_slots == 0
    client.call(slots.renew_slots, first["lease_id"], {"lease_duration": 60})
    give_back(client, first)


def test_more_slots_than_there_are(client):
    make(client)
    with pytest.raises(InvalidInput, match="'db' allows 2 slots; 3 are needed"):
        take(client, slots_=3)
    make(client, "none", 0)
    with pytest.raises(InvalidInput, match="'none' allows 0 slots; 1 is needed"):
        take(client, "none")


@pytest.mark.parametrize(
    "body",
    [
        {"names": [], "slots": 1},
        {"names": "db", "slots": 1},
        {"names": ["db"], "slots": 0},
        {"names": ["db"], "slots": 1, "mode": "other"},
        {"names": ["db"], "slots": 1, "lease_duration": 0},
        {"names": ["db"], "slots": 1, "lease_duration": 100_000},
        {"names": ["db"], "slots": 1, "holder": "me"},
    ],
)
def test_a_wrong_body_is_refused(client, body):
    with pytest.raises(InvalidInput):
        client.call(slots.increment_slots_with_lease, body)


def test_asking_again_under_the_same_lease_gives_the_same_slots(client):
    make(client, limit=1)
    first = take(client, lease_id="8b7c6d5e-0000-7000-8000-000000000001")
    assert take(client, lease_id=first["lease_id"])["lease_id"] == first["lease_id"]
    assert read(client).active_slots == 1


def test_a_lease_that_runs_out_frees_its_slots(client):
    make(client, "a", 1)
    make(client, "b", 1)
    lost = take(client, "a", "b", lease_duration=1)
    until(lambda: read(client, "a").active_slots == 0)
    # Nobody needed them meanwhile: its holder, who was only late, still has them.
    client.call(slots.renew_slots, lost["lease_id"], {"lease_duration": 1})
    assert read(client, "b").active_slots == 1
    until(lambda: taken(client, "a"))
    with pytest.raises(LeaseGone):
        client.call(slots.renew_slots, lost["lease_id"], {"lease_duration": 60})
    assert read(client, "b").active_slots == 0  # a lease is lost as a whole


def test_the_wait_ends_at_the_latest_when_a_lease_does(client):
    make(client, limit=1)
    take(client, lease_duration=2)
    with pytest.raises(Locked) as refused:
        take(client)
    assert refused.value.details["retry_after_seconds"] <= 2


def test_renewing_holds_longer(client):
    make(client, limit=1)
    held = take(client, lease_duration=1)
    for _ in range(4):
        client.call(slots.renew_slots, held["lease_id"], {"lease_duration": 60})
    assert taken(client) is None
    with pytest.raises(LeaseGone):
        client.call(slots.renew_slots, "8b7c6d5e-0000-7000-8000-000000000002", {})


def test_slots_without_a_lease_come_back_by_name(client):
    make(client, limit=5)
    client.call(slots.increment_slots, {"names": ["db", "unknown"], "slots": 2})
    client.call(slots.increment_slots, {"names": ["db"], "slots": 3})
    assert read(client).active_slots == 5
    shown = client.call(slots.decrement_slots, {"names": ["db"], "slots": 3})
    assert [each["name"] for each in shown] == ["db"]
    assert read(client).active_slots == 2
    client.call(slots.decrement_slots, {"names": ["db"], "slots": 9})
    assert read(client).active_slots == 0
    assert client.call(slots.decrement_slots, {"names": ["unknown"], "slots": 1}) == []


def test_slots_decay(client):
    make(client, "rate", 3, slot_decay_per_second=0.001)
    ask = {"names": ["rate"], "slots": 2, "mode": "rate_limit"}
    client.call(slots.increment_slots, ask)
    with pytest.raises(Locked) as refused:
        client.call(slots.increment_slots, ask)
    # One slot is missing: at a thousandth a second it is free in just under 1000 seconds.
    assert 900 < refused.value.details["retry_after_seconds"] <= 1000
    change(client, "rate", slot_decay_per_second=1000.0)
    until(lambda: read(client, "rate").active_slots == 0)
    client.call(slots.increment_slots, ask)


def test_slots_of_a_decaying_limit_can_be_given_back_early(client):
    make(client, "rate", 2, slot_decay_per_second=0.0001)
    held = take(client, "rate", slots_=2)
    assert taken(client, "rate") is None
    give_back(client, held)
    assert taken(client, "rate", slots_=2)


def test_a_rate_needs_decay(client):
    make(client)
    with pytest.raises(InvalidInput, match="decay"):
        client.call(slots.increment_slots, {"names": ["db"], "slots": 1, "mode": "rate_limit"})


def test_a_limit_without_decay_gets_one_and_loses_it(client):
    make(client, limit=3)
    take(client, slots_=2)
    change(client, slot_decay_per_second=0.0001)
    assert round(read(client).active_slots + 0.5) == 2
    assert taken(client, slots_=2) is None
    change(client, slot_decay_per_second=0)
    assert read(client).active_slots == 2


def test_the_slots_in_use_can_be_said(client):
    make(client, limit=3, active_slots=2)
    assert read(client).active_slots == 2
    assert taken(client, slots_=2) is None
    change(client, active_slots=0)
    held = take(client, slots_=3)
    change(client, active_slots=0)
    assert taken(client, slots_=3)
    give_back(client, held)
    assert read(client).active_slots == 3


def test_a_limit_that_is_lowered_lets_nothing_start(client):
    make(client, limit=3)
    first, second = take(client), take(client)
    change(client, limit=1)
    give_back(client, first)
    assert taken(client) is None
    give_back(client, second)
    assert taken(client)


def test_deleting_a_limit_leaves_its_holders_alone(client):
    make(client)
    held = take(client)
    client.call(limits.delete_concurrency_limit, "db")
    give_back(client, held)


def test_many_at_once_never_take_more_than_there_are(client):
    make(client, "a", 2)
    make(client, "b", 3)
    got, failed = [], []

    def work(names):
        try:
            got.append(taken(client, *names))
        except Exception as error:
            failed.append(error)

    pairs = [("a", "b"), ("b", "a")] * 8
    threads = [threading.Thread(target=work, args=(names,)) for names in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sum(each is not None for each in got) == 2
    assert read(client, "a").active_slots == read(client, "b").active_slots == 2


def test_leases_that_ran_out_long_ago_are_deleted(client, monkeypatch):
    make(client)
    take(client, lease_duration=1)
    monkeypatch.setattr(slots, "_FORGET_AFTER_US", 0)

    def count():
        client.call(recover, RecoverRequest())
        from runyard.store.database import get_database

        with get_database().transaction(write=False) as tx:
            return tx.value("SELECT count(*) FROM limit_slots")

    until(lambda: count() == 0)


# Tags.


def limit_tag(client, tag="db", limit=1):
    return client.call(tags.create_tag_limit, tags.TagLimitCreate(tag=tag, concurrency_limit=limit))


def test_a_tag_gets_a_limit_and_another_one(client):
    first = limit_tag(client)
    assert (first.tag, first.concurrency_limit, first.active_slots) == ("db", 1, [])
    assert limit_tag(client, limit=3).id == first.id
    assert client.call(tags.read_tag_limit, first.id).concurrency_limit == 3
    assert client.call(tags.read_limit_of_tag, "db").id == first.id
    assert read(client, "tag:db").limit == 3
    make(client, "global")
    assert [each.tag for each in client.call(tags.filter_tag_limits, limits.LimitListing())] == ["db"]
    assert client.call(slots.read_limited_tags) == ["db"]
    client.call(tags.delete_limit_of_tag, "db")
    with pytest.raises(NotFound, match="'db'"):
        client.call(tags.read_limit_of_tag, "db")
    with pytest.raises(NotFound):
        client.call(tags.delete_tag_limit, first.id)
    assert client.call(slots.read_limited_tags) == []


def test_task_runs_hold_the_slots_of_tags(client):
    limit_tag(client, "db", 2)
    limit_tag(client, "cpu", 1)
    body = tags.TagSlots(names=["db", "cpu", "free"], task_run_id="run-1")
    assert [each["name"] for each in client.call(tags.increment_tag_slots, body)] == ["cpu", "db"]
    held = take(client, "tag:db", holder={"type": "task_run", "id": "run-2"})
    assert client.call(tags.read_limit_of_tag, "db").active_slots == ["run-1", "run-2"]
    with pytest.raises(Locked, match="tag:db"):
        client.call(tags.increment_tag_slots, tags.TagSlots(names=["db"], task_run_id="run-3"))
    client.call(tags.decrement_tag_slots, body)
    give_back(client, held)
    assert client.call(tags.read_limit_of_tag, "db").active_slots == []
    assert read(client, "tag:cpu").active_slots == 0


def test_the_slots_of_a_tag_are_reset(client):
    limit_tag(client, "db", 3)
    take(client, "tag:db", slots_=3)
    client.call(tags.reset_limit_of_tag, "db", tags.SlotsReset())
    assert read(client, "tag:db").active_slots == 0
    client.call(tags.reset_limit_of_tag, "db", tags.SlotsReset(slot_override=["one", "two"]))
    assert sorted(client.call(tags.read_limit_of_tag, "db").active_slots) == ["one", "two"]
    with pytest.raises(NotFound):
        client.call(tags.reset_limit_of_tag, "nobody", tags.SlotsReset())


def test_a_lease_that_runs_out_while_slots_are_taken_is_not_held_by_two(home, monkeypatch):
    client = LocalClient()
    make(client, limit=1)
    first = take(client, lease_duration=1)
    with client.database.transaction(write=False) as tx:
        moments = itertools.count(tx.value("SELECT expires FROM limit_slots") - 1)
    # Between one look at the clock and the next the lease runs out.
    monkeypatch.setattr(lease_clock, "tick", lambda tx: next(moments))
    monkeypatch.setattr(lease_clock, "now", lambda tx: next(moments))
    with contextlib.suppress(Locked):
        take(client)
        with pytest.raises(LeaseGone):
            client.call(slots.renew_slots, first["lease_id"], {"lease_duration": 60})


def test_a_lease_that_is_renewed_while_slots_are_taken_is_not_held_by_two(home, postgres_url, monkeypatch):
    monkeypatch.setenv("RUNYARD_DATABASE_URL", postgres_url)
    client = LocalClient()
    make(client, limit=1)
    first = take(client, lease_duration=60)
    with client.database.transaction() as tx:
        tx.execute("UPDATE limit_slots SET expires = 0")
    taken_too = []

    def take_too():
        with contextlib.suppress(Locked):
            taken_too.append(take(client))

    other = threading.Thread(target=take_too)
    waiting = "SELECT 1 FROM pg_locks WHERE NOT granted"
    with client.database.transaction() as tx:
        slots.renew_slots(tx, first["lease_id"], {"lease_duration": 60})
        other.start()
        # The renewal is committed when the other one has seen that the lease had run out.
        while other.is_alive() and not tx.value(waiting):
            time.sleep(0.01)
    other.join()
    assert not taken_too
    client.call(slots.renew_slots, first["lease_id"], {"lease_duration": 60})
