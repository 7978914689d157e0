"""What is made in the home can be read by its owner alone, whatever the umask of the process says."""

from __future__ import annotations

import os
import stat

import pytest
from runyard import flow, task
from runyard.blocks.system import Secret
from runyard.client import engine_client


@pytest.fixture(params=(0o000, 0o077, 0o277))
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(folder):
    return {
        path.relative_to(folder.parent).as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in (folder, *folder.rglob("*"))
    }


def test_home_database_logs_and_keys_are_private(home, monkeypatch, runyard, tmp_path, umask):
    above = tmp_path / "a" / "b" / "home"
    monkeypatch.setenv("RUNYARD_HOME", str(above))

    @task(persist_result=True)
    def large():
        return "x" * 2_000_000

    @flow(log_prints=True)
    def kept():
        print("a line")
        large()

    kept()
    Secret(value="hunter2-hunter2").save("key")
    runyard("config", "set", "RUNYARD_LOGGING_LEVEL=DEBUG")
    runyard("database", "backup", above / "copy.db")
    # While a connection is open, what SQLite keeps beside the database is there.
    found = modes(tmp_path / "a")
    engine_client._clients.clear()
    names = {name.rpartition("/")[2] for name in found}
    assert {
        "runyard.db",
        "runyard.db-wal",
        "runyard.db-shm",
        "secret.key",
        "profiles.toml",
        "copy.db",
    } <= names
    open_to_others = {name: oct(mode) for name, mode in found.items() if mode & 0o077}
    assert open_to_others == {}
    assert found["a/b/home/runyard.db"] == 0o600
    assert found["a/b/home"] == 0o700
