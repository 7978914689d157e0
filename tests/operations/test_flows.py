"""Flows: got or created by name, listed, changed, deleted with all that is theirs."""

import pytest
from runyard.base.errors import InvalidInput, NotFound
from runyard.operations.deployments import known_flows
from runyard.operations.flow_runs import flow_runs
from runyard.operations.schemas import Filter, Listing


def make(client, name, **fields):
    return client.call(known_flows.create_flow, body=known_flows.FlowCreate(name=name, **fields))


def test_a_name_is_one_flow(client):
    first = make(client, "etl", tags=["a"])
    assert make(client, "etl", tags=["b"]) == first
    assert client.call(known_flows.read_flow, first.id) == first
    assert client.call(known_flows.read_flow_by_name, "etl") == first


def test_listing_and_counting(client):
    for name in ("b", "a", "c"):
        make(client, name)
    listed = client.call(known_flows.filter_flows, body=Listing(limit=2))
    assert [flow.name for flow in listed] == ["a", "b"]
    assert client.call(known_flows.count_flows, body=Filter(flows={"name": {"any_": ["a", "c"]}})) == 2


def test_tags_are_replaced(client):
    flow = make(client, "etl", tags=["a"])
    client.call(known_flows.update_flow, flow.id, body=known_flows.FlowUpdate(tags=["x"]))
    assert client.call(known_flows.read_flow, flow.id).tags == ["x"]


def test_deleting_takes_the_runs(client):
    flow = make(client, "etl")
    run = client.call(flow_runs.create_flow_run, body=flow_runs.FlowRunCreate(flow_id=flow.id))
    client.call(known_flows.delete_flow, flow.id)
    with pytest.raises(NotFound):
        client.call(known_flows.read_flow, flow.id)
    with pytest.raises(NotFound):
        client.call(flow_runs.read_flow_run, run.id)


def test_a_flow_needs_a_name(client):
    with pytest.raises(InvalidInput):
        make(client, " ")
