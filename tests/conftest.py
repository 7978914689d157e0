"""Shared fixtures: a throw-away home, a database of each kind, and a client on each, four ways."""

from __future__ import annotations

import os
import threading

import pytest
from _postgres import Cluster, programs

from runyard.client import Client, HttpClient, LocalClient
from runyard.store import database as store

WAYS = ("sqlite", "sqlite-http", "postgres", "postgres-http")


@pytest.fixture()
def home(tmp_path, monkeypatch):
    """A fresh RUNYARD_HOME; nothing of the developer's own is read or written."""
    for name in list(os.environ):
        if name.startswith(("RUNYARD_", "PREFECT_")):
            monkeypatch.delenv(name)
    folder = tmp_path / "home"
    monkeypatch.setenv("RUNYARD_HOME", str(folder))
    yield folder
    for database in store._databases.values():
        database.close()
    store._databases.clear()


@pytest.fixture(scope="session")
def postgres_cluster(tmp_path_factory):
    """A PostgreSQL server of this test session alone; skips where its programs are missing."""
    if programs() is None:
        pytest.skip("PostgreSQL's programs initdb and pg_ctl are not installed")
    cluster = Cluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture()
def postgres_url(postgres_cluster):
    """The URL of an empty, migrated PostgreSQL database."""
    return postgres_cluster.fresh_database()


@pytest.fixture(params=("sqlite", "postgres"))
def database_url(request, home):
    """The URL of an empty database of each kind, which the settings name as well."""
    if request.param == "sqlite":
        return f"sqlite:///{home}/runyard.db"
    url = request.getfixturevalue("postgres_url")
    request.getfixturevalue("monkeypatch").setenv("RUNYARD_DATABASE_URL", url)
    return url


@pytest.fixture()
def database(database_url):
    """An empty database of each kind."""
    return store.get_database(database_url)


class ApiServer:
    """The API on a free port, on whichever database a test puts into it."""

    def __init__(self) -> None:
        import uvicorn

        from runyard.server.app import Service, create_app
        from runyard.server.serve import listen

        self._service = Service
        self._idle = store.Database("sqlite:////nonexistent/runyard.db")
        self.app = create_app(self._idle, auth="", maintenance=False)
        self._listener = listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/api"
        self._server = uvicorn.Server(uvicorn.Config(self.app, log_level="error", lifespan="off"))
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, daemon=True
        )
        self._thread.start()

    def use(self, database: store.Database) -> None:
        """Serve this database from now on."""
        self.app.state.service.close()
        self.app.state.service = self._service(database)

    def stop(self) -> None:
        """Stop listening."""
        self.use(self._idle)
        self._server.should_exit = True
        self._thread.join(timeout=10)
        self._listener.close()


@pytest.fixture(scope="session")
def _session_api():
    pytest.importorskip("uvicorn", reason="the extra `server` is not installed")
    server = ApiServer()
    yield server
    server.stop()


@pytest.fixture()
def api(_session_api, database):
    """A running API on an empty database of each kind."""
    _session_api.use(database)
    yield _session_api
    _session_api.use(_session_api._idle)


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
    api = request.getfixturevalue("_session_api")
    api.use(database)
    remote = HttpClient(api.url)
    yield remote
    remote.close()
    api.use(api._idle)
