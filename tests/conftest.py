"""Shared fixtures: a temporary home, a database of each kind, and a client on each, four ways."""

from __future__ import annotations

import os
import signal

import hypothesis
import pytest
from _postgres import Cluster
from _recorded import Recorded
from _tools import need
from runyard import settings
from runyard.base import redaction
from runyard.client import Client, HttpClient, LocalClient, engine_client
from runyard.store import database as store

# No test depends on how busy the machine is.
hypothesis.settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any-machine")

WAYS = ("sqlite", "sqlite-http", "postgres", "postgres-http")

# Started in the background of a shell, pytest ignores Ctrl-C, and what it starts would too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Under nohup it ignores the end of its terminal, which what it starts would respect.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def own_clock(monkeypatch):
    """Reset the clock before each test: runs adopt the clock of an API or server that differs."""
    monkeypatch.setattr("runyard.base.clock._behind_us", 0)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A fresh RUNYARD_HOME, isolated from the developer's own."""
    for name in list(os.environ):
        if name.startswith(("RUNYARD_", "PREFECT_")):
            monkeypatch.delenv(name)
    folder = tmp_path / "home"
    monkeypatch.setenv("RUNYARD_HOME", str(folder))
    settings.reload()
    # What earlier tests called a secret may be a word of this one.
    redaction._known.clear()
    yield folder
    for database in store._databases.values():
        database.close()
    store._databases.clear()


@pytest.fixture
def recorded(home):
    """The records of runs in a fresh home."""
    yield Recorded()
    engine_client._clients.clear()


@pytest.fixture(scope="session")
def git():
    """The path of git; skips the test if it cannot be installed."""
    return need("git")


@pytest.fixture(scope="session")
def postgres_cluster(tmp_path_factory):
    """A PostgreSQL server for this test session; skips the test without its programs."""
    need("postgresql")
    cluster = Cluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def postgres_url(postgres_cluster):
    """The URL of an empty, migrated PostgreSQL database."""
    return postgres_cluster.fresh_database()


@pytest.fixture(params=("sqlite", "postgres"))
def database_url(request, home):
    """The URL of an empty database of each kind, also set as the setting."""
    if request.param == "sqlite":
        return f"sqlite:///{home}/runyard.db"
    url = request.getfixturevalue("postgres_url")
    request.getfixturevalue("monkeypatch").setenv("RUNYARD_DATABASE_URL", url)
    return url


@pytest.fixture
def database(database_url):
    """An empty database of each kind."""
    return store.get_database(database_url)


@pytest.fixture(scope="session")
def api_server():
    """The API of this test session, without a database; the fixtures `api` and `client` set one."""
    pytest.importorskip("uvicorn", reason="the extra `server` is not installed")
    from _api import ApiServer, no_database
    from runyard.server.app import create_app

    server = ApiServer(create_app(no_database(), auth="", maintenance=False))
    yield server
    server.stop()


@pytest.fixture
def api(api_server, database):
    """A running API on an empty database of each kind."""
    from _api import serving

    with serving(api_server, database):
        yield api_server


@pytest.fixture(params=WAYS)
def client(request, home) -> Client:
    """A client on an empty database: SQLite and PostgreSQL, in this process and through HTTP."""
    kind, _, http = request.param.partition("-")
    if kind == "postgres":
        url = request.getfixturevalue("postgres_url")
        request.getfixturevalue("monkeypatch").setenv("RUNYARD_DATABASE_URL", url)
    database = store.get_database()
    if not http:
        yield LocalClient(database)
        return
    from _api import serving

    with serving(request.getfixturevalue("api_server"), database) as server:
        remote = HttpClient(server.url)
        yield remote
        remote.close()
