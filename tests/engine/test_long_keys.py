"""Keys of results and locks that an index does not take as they are: found again in every database."""

from __future__ import annotations

import pytest
from runyard import flow, settings, task
from runyard.client import HttpClient, engine_client
from runyard.engine.cache_policies import CacheKeyFnPolicy
from runyard.engine.results.result_stores import ResultStore
from runyard.engine.transactions import IsolationLevel, transaction


@pytest.fixture
def used(request, database_url, monkeypatch):
    """The flows of this process use a database of each kind, directly and through HTTP."""
    if request.param == "http":
        monkeypatch.setenv("RUNYARD_API_URL", request.getfixturevalue("api").url)
    settings.reload()
    yield
    for client in engine_client._clients.values():
        if isinstance(client, HttpClient):
            client.close()
    engine_client._clients.clear()


WAYS = pytest.mark.parametrize("used", ["here", "http"], indirect=True)
KEYS = {
    "short": "a/b:c",
    "ascii": "x" * 10_000,
    "wide": "\N{ROCKET}" * 900,
    "nul": "nul\0in it",
    "replaced": "nul\ufffdin it",
    "surrogate": "caf\udce9",
    "spelled": "caf\\udce9",
    "like it": "x" * 9_999 + "y",
}


@WAYS
def test_results_of_long_keys(used):
    ran = []

    @task(cache_key_fn=lambda _context, parameters: KEYS[parameters["which"]], persist_result=True)
    def by_function(which):
        ran.append(which)
        return which

    @task(result_storage_key="template-{parameters[key]}", persist_result=True)
    def by_template(key):
        ran.append(key)
        return key

    @flow
    def calls():
        for which, key in KEYS.items():
            assert (by_function(which), by_template(key)) == (which, key)
            assert by_function(which, return_state=True).name == "Cached"
            assert by_template.submit(key, return_state=True).name == "Cached"

    calls()
    assert len(ran) == 2 * len(KEYS)
    for which, key in KEYS.items():
        assert ResultStore().read(key).result == which


@WAYS
def test_large_results_of_long_keys(used):
    kept = b"\1" * 1_000_000
    store = ResultStore()
    for key in KEYS.values():
        store.write((key, kept), key)
    for key in KEYS.values():
        assert store.read(key).result == (key, kept)


@WAYS
def test_locks_and_transactions_of_long_keys(used):
    policy = CacheKeyFnPolicy(lambda _context, parameters: parameters["key"]).configure(
        isolation_level=IsolationLevel.SERIALIZABLE
    )

    @task(cache_policy=policy, persist_result=True)
    def work(key):
        return key

    @flow
    def calls():
        for key in KEYS.values():
            assert work(key) == key
            with transaction(key=f"{key}-whole", isolation_level=IsolationLevel.SERIALIZABLE) as opened:
                opened.stage(key)
            assert ResultStore().read(f"{key}-whole").result == key

    calls()
