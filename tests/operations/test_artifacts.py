"""Artifacts, four ways: versions by key, changes in place, filters."""

from __future__ import annotations

import pytest
from runyard.base.errors import Conflict, InvalidInput, NotFound
from runyard.operations.records import stored_artifacts as ops


def make(client, key=None, **fields):
    return client.call(ops.create_artifact, ops.ArtifactCreate(key=key, **fields))


def test_artifacts_of_a_key_are_versions(client):
    make(client, "report", type="markdown", data="# one")
    second = make(client, "report", type="markdown", data={"a": [1, None]})
    assert client.call(ops.read_latest_artifact, "report") == second
    client.call(ops.delete_artifact, second.id)
    assert client.call(ops.read_latest_artifact, "report").data == "# one"
    with pytest.raises(NotFound, match="'other'"):
        client.call(ops.read_latest_artifact, "other")


def test_an_artifact_changes_in_place(client):
    made = make(client, type="progress", data=0.0, description="d")
    client.call(ops.update_artifact, made.id, ops.ArtifactUpdate(data=50.0))
    found = client.call(ops.read_artifact, made.id)
    assert (found.data, found.description) == (50.0, "d")
    client.call(ops.update_artifact, made.id, ops.ArtifactUpdate(description="e", metadata_={"m": 1}))
    found = client.call(ops.read_artifact, made.id)
    assert (found.data, found.description, found.metadata_) == (50.0, "e", {"m": 1})


def test_listing(client):
    for key, kind in (("a", "table"), ("b", "markdown"), ("a", "table"), (None, "markdown")):
        make(client, key, type=kind, flow_run_id="f" if key == "b" else None)

    def keys(operation=ops.filter_artifacts, **listing):
        return [each.key for each in client.call(operation, ops.ArtifactListing(**listing))]

    assert keys() == [None, "a", "b", "a"]
    assert keys(artifacts={"key": {"exists_": True}}, sort="KEY_DESC") == ["b", "a", "a"]
    assert keys(artifacts={"type": {"any_": ["markdown"]}}) == [None, "b"]
    assert keys(artifacts={"type": {"not_any_": ["markdown"]}}) == ["a", "a"]
    assert keys(artifacts={"flow_run_id": {"any_": ["f"]}}) == ["b"]
    assert keys(ops.filter_latest_artifacts, sort="KEY_ASC") == ["a", "b"]
    latest = client.call(ops.filter_latest_artifacts, ops.ArtifactListing())
    assert all(each.latest_id == each.id for each in latest)
    assert client.call(ops.count_artifacts, ops.ArtifactListing()) == 4
    assert client.call(ops.count_latest_artifacts, ops.ArtifactListing()) == 2
    with pytest.raises(InvalidInput, match="valid are ID_DESC"):
        keys(sort="X")


def test_an_artifact_is_found_by_its_key_its_id_or_as_the_newest(client):
    def find(reference):
        return client.call(ops.find_artifact, reference=reference)

    with pytest.raises(NotFound, match="artifact '-' not found"):
        find("-")
    first, second, last = make(client, "report"), make(client, "report"), make(client)
    assert find("report").id == second.id
    assert find("-").id == last.id
    assert find(first.id).id == find(first.id.upper()).id == first.id
    assert find(first.id[:30] if first.id[:30] != second.id[:30] else first.id).id == first.id
    with pytest.raises(Conflict, match="the ids of 3 artifacts begin with"):
        find(first.id[:4])
    with pytest.raises(NotFound, match="artifact 'reprt' not found; did you mean 'report'"):
        find("reprt")
    for reference in ("", "abc", "\U0001d11e", "00000000", "%", "a" * 5000):
        with pytest.raises(NotFound, match="not found"):
            find(reference)
