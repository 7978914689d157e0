"""The service itself: health, versions, statistics."""

from __future__ import annotations

import pytest
from runyard.base.errors import InvalidInput
from runyard.operations.deployments import known_flows
from runyard.operations.installation import admin
from runyard.operations.retention import database_size


def test_health_version_and_greeting(client):
    assert client.call(admin.read_health) is True
    assert client.call(admin.read_ready) == {"message": "OK"}
    assert client.call(admin.read_version) == client.call(admin.read_api_version) == "3.8.8"
    assert client.call(admin.read_hello)
    assert client.call(admin.read_result_storage).default_result_storage_block_id is None


def test_there_is_no_token_to_get(client):
    with pytest.raises(InvalidInput, match="CSRF protection is disabled"):
        client.call(admin.read_csrf_token, client="c")


def test_secrets_of_the_settings_are_masked(client, monkeypatch):
    monkeypatch.setenv("RUNYARD_API_AUTH_STRING", "user:secret")
    assert client.call(admin.read_settings)["api_auth_string"] == "********"


def test_the_databases_size_and_rows(client):
    client.call(known_flows.create_flow, known_flows.FlowCreate(name="etl"))
    stats = client.call(database_size.read_database_stats)
    assert stats.rows["flows"] == 1
    assert stats.size_bytes > 0
