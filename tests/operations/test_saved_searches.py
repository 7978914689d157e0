"""Searches that a dashboard saves by name."""

import httpx
import pytest
from runyard.base.errors import InvalidInput, NotFound
from runyard.operations.records import saved_searches
from runyard.operations.records.saved_searches import SavedSearchCreate, SavedSearchListing

FILTER = {"object": "flow", "property": "name", "type": "string", "operation": "equals", "value": ["etl", 1]}


def save(client, name, *filters):
    return client.call(saved_searches.save_search, SavedSearchCreate(name=name, filters=list(filters)))


def names(client, **page):
    found = client.call(saved_searches.filter_saved_searches, SavedSearchListing(**page))
    return [each.name for each in found]


def test_a_search_is_kept_replaced_by_its_name_and_deleted(client):
    first = save(client, "late", FILTER)
    assert client.call(saved_searches.read_saved_search, first.id) == first
    assert first.filters == [FILTER]
    again = save(client, "late")
    assert (again.id, again.created, again.filters) == (first.id, first.created, [])
    client.call(saved_searches.delete_saved_search, first.id)
    for operation in (saved_searches.read_saved_search, saved_searches.delete_saved_search):
        with pytest.raises(NotFound, match=first.id):
            client.call(operation, first.id)


def test_searches_are_listed_in_pages(client):
    for name in ("b", "c", "a"):
        save(client, name)
    assert names(client) == ["a", "b", "c"]
    assert names(client, limit=1, offset=1) == ["b"]
    assert names(client, limit=0) == []
    for wrong in ({"limit": 201}, {"limit": -1}, {"offset": -1}):
        with pytest.raises(InvalidInput, match="Invalid"):
            names(client, **wrong)


def test_the_first_answer_is_created_and_a_filter_has_all_its_fields(api):
    def put(body):
        return httpx.put(f"{api.url}/saved_searches/", json=body, timeout=60).status_code

    assert [put({"name": "late", "filters": [FILTER]}) for _ in range(2)] == [201, 200]
    assert put({"name": "late", "filters": [{"object": "flow"}]}) == 422
    assert put({"name": "late", "colour": "red"}) == 422
    assert put({"filters": []}) == 422
