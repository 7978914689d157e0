"""Variables, four ways."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from runyard.base.errors import Conflict, InvalidInput, NotFound
from runyard.operations.records import stored_variables as ops


def make(client, name, value=1, tags=None):
    return client.call(ops.create_variable, ops.VariableCreate(name=name, value=value, tags=tags))


@pytest.mark.parametrize("value", ["text", 1, 1.5, True, None, ["a", {"b": 1}], {"a": {"b": None}}])
def test_any_json_value_comes_back(client, value):
    made = make(client, "x", value)
    assert client.call(ops.read_variable_by_name, "x").value == value
    assert client.call(ops.read_variable, made.id) == made


def test_a_name_is_taken_once(client):
    make(client, "x")
    with pytest.raises(Conflict, match="'x' exists already"):
        make(client, "x")
    make(client, "y")
    with pytest.raises(Conflict, match="'x' exists already"):
        client.call(ops.update_variable_by_name, "y", ops.VariableUpdate(name="x"))


def test_only_what_is_given_changes(client):
    made = make(client, "x", 1, ["a"])
    client.call(ops.update_variable_by_name, "x", ops.VariableUpdate(value=2))
    found = client.call(ops.read_variable_by_name, "x")
    assert (found.value, found.tags) == (2, ["a"])
    client.call(ops.update_variable, made.id, ops.VariableUpdate(name="y", tags=[]))
    found = client.call(ops.read_variable_by_name, "y")
    assert (found.value, found.tags) == (2, [])


def test_they_are_deleted(client):
    made = make(client, "x")
    client.call(ops.delete_variable, made.id)
    make(client, "x")
    client.call(ops.delete_variable_by_name, "x")
    with pytest.raises(NotFound, match="variable 'x' not found"):
        client.call(ops.read_variable_by_name, "x")


def test_listing(client):
    for name, tags in (("b", ["one", "two"]), ("a", ["one"]), ("ab", [])):
        make(client, name, tags=tags)

    def names(**listing):
        body = ops.VariableListing(**listing)
        found = [each.name for each in client.call(ops.filter_variables, body)]
        if "limit" not in listing:
            assert client.call(ops.count_variables, body) == len(found)
        return found

    assert names() == ["a", "ab", "b"]
    assert names(sort="NAME_DESC", limit=1) == ["b"]
    assert names(variables={"name": {"like_": "A"}}) == ["a", "ab"]
    assert names(variables={"tags": {"all_": ["one"]}}) == ["a", "b"]
    assert names(variables={"tags": {"all_": ["one", "two"]}}) == ["b"]
    with pytest.raises(InvalidInput, match="valid are NAME_ASC"):
        names(sort="X")


def test_what_cannot_be_is_refused():
    with pytest.raises(ValidationError, match="at most 5000"):
        ops.VariableCreate(name="x", value="x" * 6000)
    with pytest.raises(ValidationError):
        ops.VariableCreate(name="not a name", value=1)
