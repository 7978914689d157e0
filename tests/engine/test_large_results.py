"""Kept results that are larger than other bodies of the API may be."""

from __future__ import annotations

from runyard import flow, task
from runyard.client import engine_client


def test_a_large_result_is_kept_over_http(api, monkeypatch):
    monkeypatch.setenv("RUNYARD_API_URL", api.url)
    engine_client._clients.clear()
    calls = []

    @task(persist_result=True, cache_key_fn=lambda context, parameters: f"large-{parameters['size']}")
    def large(size):
        calls.append(size)
        return "é" * size

    @flow
    def both(size):
        return large(size) == large(size) == "é" * size

    try:
        for size in (10, 5_000_000):
            assert both(size)
        assert calls == [10, 5_000_000]
    finally:
        while engine_client._clients:
            engine_client._clients.popitem()[1].close()
