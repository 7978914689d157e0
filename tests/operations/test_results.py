"""Kept results: found by key, replaced, expired, forgotten; four ways."""

from __future__ import annotations

from pathlib import Path

from runyard.base import clock
from runyard.engine.results import large_results
from runyard.engine.retention_loop import remove
from runyard.operations.flow_runs.flow_runs import delete_flow_run
from runyard.operations.flow_runs.start_flow_run import start_flow_run
from runyard.operations.limits.locks import acquire_lock, read_lock, release_lock
from runyard.operations.records.kept_results import delete_result, read_result, write_result

HOUR = 3_600_000_000


def keep(client, key, expires_in=None, flow_run_id=None, data="ZGF0YQ==", place=None):
    now = clock.now_us()
    expires = None if expires_in is None else now + expires_in
    row = (key, now, expires, flow_run_id, '{"type": "json"}', data, place)
    client.call(write_result, {"row": row})


def find(client, key):
    return client.call(read_result, {"key": key})


def test_a_result_is_found_and_replaced_and_forgotten(client):
    assert find(client, "k") == {}
    keep(client, "k")
    assert find(client, "k")["data"] == "ZGF0YQ=="
    keep(client, "k", data="bmV3")
    assert find(client, "k")["data"] == "bmV3"
    client.call(delete_result, {"key": "k"})
    assert find(client, "k") == {}


def test_an_expired_result_does_not_count_and_is_pruned(client):
    place = large_results.write("past", b"old")
    kept = large_results.write("future", b"new")
    keep(client, "past", expires_in=-1, data=None, place=place)
    keep(client, "gone", expires_in=-1, data=None, place=f"{place}-of-another-machine")
    keep(client, "future", expires_in=HOUR, data=None, place=kept)
    keep(client, "forever")
    assert find(client, "past") == {}
    assert remove(client).rows == {"results": 2}
    assert remove(client).rows == {}
    assert not Path(place).exists()
    assert Path(kept).read_bytes() == b"new"
    assert find(client, "future")["place"] == kept
    assert find(client, "forever")["key"] == "forever"


def test_pruning_deletes_no_file_that_a_row_chose(client, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    own = large_results.write("other", b"of another key")
    places = [str(victim), own, str(tmp_path / Path(own).name), f"{own}/../{Path(own).name}", "", "/", "\0"]
    for number, place in enumerate(places):
        keep(client, f"evil{number}", expires_in=-1, data=None, place=place)
    remove(client)
    assert victim.read_text() == "precious"
    assert Path(own).exists()


def test_the_results_of_a_run_go_with_it(client):
    body = {
        "flow_run_id": "01a20000-0000-7000-8000-000000000001",
        "attempt": None,
        "flow_name": "f",
        "name": "run",
        "parameters": "{}",
        "empirical_policy": "{}",
        "tags": [],
        "owner": "test",
        "lease_seconds": 60.0,
    }
    client.call(start_flow_run, body)
    keep(client, "own", flow_run_id=body["flow_run_id"])
    keep(client, "shared")
    client.call(delete_flow_run, body["flow_run_id"])
    assert find(client, "own") == {}
    assert find(client, "shared")["key"] == "shared"


def test_a_lock_has_one_holder(client):
    def ask(holder, seconds=60.0):
        body = {"name": "k", "holder": holder, "lease_seconds": seconds}
        return client.call(acquire_lock, body)["acquired"]

    assert client.call(read_lock, {"name": "k"})["holder"] is None
    assert ask("me")
    assert ask("me")
    assert not ask("you")
    assert client.call(read_lock, {"name": "k"})["holder"] == "me"
    assert not client.call(release_lock, {"name": "k", "holder": "you"})["released"]
    assert client.call(release_lock, {"name": "k", "holder": "me"})["released"]
    assert ask("you", seconds=0.0)
    assert client.call(read_lock, {"name": "k"})["holder"] is None
    assert ask("me")
