"""Shared fixtures: a throw-away home, its database and a client on it."""

from __future__ import annotations

import pytest

from runyard.client import LocalClient
from runyard.store import database as store


@pytest.fixture()
def home(tmp_path, monkeypatch):
    """A fresh RUNYARD_HOME; nothing of the developer's own is read or written."""
    import os

    for name in list(os.environ):
        if name.startswith(("RUNYARD_", "PREFECT_")):
            monkeypatch.delenv(name)
    folder = tmp_path / "home"
    monkeypatch.setenv("RUNYARD_HOME", str(folder))
    yield folder
    for database in store._databases.values():
        database.close()
    store._databases.clear()


@pytest.fixture()
def client(home):
    """A client on an empty database."""
    return LocalClient()
