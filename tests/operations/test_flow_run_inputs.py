"""Inputs of flow runs: stored once under a key, found by the beginning of it."""

from __future__ import annotations

import pytest
from runyard.base.errors import Conflict, NotFound
from runyard.operations.deployments.known_flows import FlowCreate, create_flow
from runyard.operations.flow_runs.flow_run_inputs import (
    FlowRunInputCreate,
    FlowRunInputFilter,
    create_flow_run_input,
    delete_flow_run_input,
    filter_flow_run_input,
    read_flow_run_input,
)
from runyard.operations.flow_runs.flow_runs import FlowRunCreate, create_flow_run, delete_flow_run


@pytest.fixture
def run(client):
    flow = client.call(create_flow, FlowCreate(name="etl"))
    return client.call(create_flow_run, FlowRunCreate(flow_id=flow.id)).id


def put(client, run, key, value="{}", sender=None):
    client.call(create_flow_run_input, run, FlowRunInputCreate(key=key, value=value, sender=sender))


def keys(client, run, **wanted):
    return [each.key for each in client.call(filter_flow_run_input, run, FlowRunInputFilter(**wanted))]


def test_an_input_is_read_as_it_was_stored(client, run):
    put(client, run, "answer", '{"value": "süß"}')
    assert client.call(read_flow_run_input, run, "answer") == '{"value": "süß"}'


def test_each_key_is_given_once(client, run):
    put(client, run, "answer")
    with pytest.raises(Conflict, match="'answer'"):
        put(client, run, "answer")


def test_inputs_are_found_by_the_beginning_of_their_keys_the_oldest_first(client, run):
    for key in ("int-auto-1", "int-auto-2", "int_auto-3", "str-auto-1", "INT-auto-4"):
        put(client, run, key, sender="prefect.flow-run.x")
    assert keys(client, run, prefix="int-auto") == ["int-auto-1"]
    assert keys(client, run, prefix="int-auto", limit=9) == ["int-auto-1", "int-auto-2"]
    assert keys(client, run, prefix="int-auto", limit=9, exclude_keys=["int-auto-1"]) == ["int-auto-2"]
    assert keys(client, run, prefix="int_auto", limit=9) == ["int_auto-3"]
    assert keys(client, run, prefix="none") == []


def test_what_is_deleted_is_gone(client, run):
    put(client, run, "answer")
    client.call(delete_flow_run_input, run, "answer")
    for operation in (delete_flow_run_input, read_flow_run_input):
        with pytest.raises(NotFound, match="'answer'"):
            client.call(operation, run, "answer")


def test_an_input_needs_its_run_and_goes_away_with_it(client, run):
    put(client, run, "answer")
    client.call(delete_flow_run, run)
    assert keys(client, run, prefix="answer") == []
    with pytest.raises(NotFound, match=run):
        put(client, run, "answer")
