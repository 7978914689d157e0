"""Databases that can only be read, and homes whose names mean something in URLs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile

import pytest
from runyard import settings
from runyard.store import database_maintenance
from runyard.store.database import Database

INSERT = "INSERT INTO flows (id, created, updated, name) VALUES (:name, 1, 1, :name)"
# Answers each line of its input with the names it reads; it may not write where it reads.
READER = f"""
import os, sys
from runyard.errors import RunyardError
from runyard.store import migrate, sqlite
from runyard.store.database import Database
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
database = Database("sqlite:///" + sys.argv[1])
for line in sys.stdin:
    try:
        with database.transaction(write=line == "write\\n") as tx:
            if line == "write\\n":
                tx.execute({INSERT!r}, {{"name": "z"}})
            names = [row["name"] for row in tx.all("SELECT name FROM flows ORDER BY name")]
        print(*names, database.changes() is not None, flush=True)
    except RunyardError as error:
        print(type(error).__name__, error, flush=True)
"""


def add(database, name):
    with database.transaction() as tx:
        tx.execute(INSERT, {"name": name})


@pytest.fixture
def locked():
    """A folder that another user can enter; `lock()` takes away the right to write."""
    # /tmp itself can be entered by the other user, pytest's folder below it cannot.
    folder = tempfile.mkdtemp(prefix="runyard-reading-")

    def lock(file):
        os.chmod(file, 0o444)
        os.chmod(folder, 0o555)
        return file

    lock.file = os.path.join(folder, "runyard.db")
    try:
        yield lock
    finally:
        os.chmod(folder, 0o755)
        shutil.rmtree(folder)


@pytest.fixture
def reader(locked):
    """Asks a process without the right to write."""
    started = []

    def ask(what="read"):
        if not started:
            started.append(
                subprocess.Popen(
                    [sys.executable, "-c", READER, locked.file],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
        started[0].stdin.write(f"{what}\n")
        started[0].stdin.flush()
        return started[0].stdout.readline().strip()

    yield ask
    for process in started:
        process.stdin.close()
        process.stdout.close()
        process.wait()


def test_what_cannot_be_written_can_be_read(locked, reader):
    database = Database(f"sqlite:///{locked.file}")
    add(database, "a")
    database.close()
    locked(locked.file)
    assert reader() == "a True"
    answer = reader("write")
    assert answer.startswith("DatabaseReadOnly cannot write")
    assert reader() == "a True"
    assert os.listdir(os.path.dirname(locked.file)) == ["runyard.db"]


@pytest.mark.skipif(os.geteuid() != 0, reason="the owner of a read-only file cannot write it either")
def test_what_another_user_writes_meanwhile_is_read(locked, reader):
    database = Database(f"sqlite:///{locked.file}")
    add(database, "a")
    database.close()
    locked(locked.file)
    assert reader() == "a True"
    # The reader took the file for one that does not change; now it has a log.
    add(database, "b")
    assert reader() == "a b True"
    database.close()
    assert reader() == "a b True"
    add(database, "c")
    database.close()
    assert reader() == "a b c True"


def test_a_log_that_cannot_be_read_is_said(locked, reader):
    database = Database(f"sqlite:///{locked.file}")
    add(database, "a")
    copy = f"{locked.file}-copy"
    shutil.copy(f"{locked.file}-wal", copy)
    database.close()
    os.rename(copy, f"{locked.file}-wal")
    locked(locked.file)
    answer = reader()
    assert answer.startswith("DatabaseReadOnly")
    assert "copy" in answer


@pytest.mark.parametrize("name", ["job%2Fa", "what?now", "a#b", "50%", "ü ö", "q'u\"x", "a%3Fb"])
def test_a_home_of_any_name_has_its_database(tmp_path, monkeypatch, name):
    home = tmp_path / name
    monkeypatch.setenv("RUNYARD_HOME", str(home))
    monkeypatch.delenv("RUNYARD_DATABASE_URL", raising=False)
    database = Database(settings.database_url())
    add(database, "a")
    database.close()
    assert [file.name for file in home.iterdir()] == ["runyard.db"]
    assert database_maintenance.where() == str(home / "runyard.db")
    assert database_maintenance.check().problems == []
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_home_is_none(tmp_path, monkeypatch, empty):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.setenv("RUNYARD_HOME", empty)
    assert settings.home() == str(tmp_path / "me" / ".runyard")
    assert settings.given("home") is None
