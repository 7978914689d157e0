"""`runyard database`, and a database that cannot be used."""

from __future__ import annotations

import os
import socket
import sqlite3

import pytest
from runyard.operations.deployments import known_flows


@pytest.fixture
def filled(runyard, home):
    runyard("database", "upgrade")
    return home / "runyard.db"


def test_upgrade_makes_the_database_once(runyard):
    assert "from schema 0" in runyard("database", "upgrade").out
    assert "already" in runyard("database", "upgrade").out


def test_path(runyard, home):
    assert runyard("database", "path").out.strip() == str(home / "runyard.db")


def test_the_path_of_a_server_hides_its_password(runyard, monkeypatch):
    monkeypatch.setenv("RUNYARD_DATABASE_URL", "postgresql://me:secret@host:5432/db")
    assert runyard("database", "path").out.strip() == "postgresql://me:********@host:5432/db"
    assert "pg_dump" in runyard("database", "backup", "x.db", code=1).err


def test_check_of_a_sound_database(runyard, filled):
    assert "sound" in runyard("database", "check").out
    assert runyard("database", "check", "-o", "json").json["problems"] == []


def test_check_does_not_make_a_database(runyard, home):
    assert "no database" in runyard("database", "check", code=1).err
    assert not home.exists()


def test_check_finds_damage(runyard, filled):
    with sqlite3.connect(filled) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    with open(filled, "r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 4)
    answer = runyard("database", "check", code=1)
    assert "damaged" in answer.err
    assert len(answer.err.splitlines()) == 1


@pytest.mark.parametrize("command", [("work-pool", "ls"), ("database", "check"), ("database", "vacuum")])
def test_a_file_that_is_no_database(runyard, home, command):
    home.mkdir()
    (home / "runyard.db").write_text("not a database at all, but long enough to be read as one" * 50)
    error = runyard(*command, code=1).err
    assert error.startswith("Error: ")
    assert "damaged or not a database" in error
    assert len(error.splitlines()) == 1


def test_a_newer_database_is_refused(runyard, filled):
    with sqlite3.connect(filled) as connection:
        connection.execute("PRAGMA user_version=9999")
    connection.close()
    for command in (("database", "check"), ("work-pool", "ls")):
        assert "upgrade Runyard" in runyard(*command, code=1).err


def test_a_home_that_cannot_be_made(runyard, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RUNYARD_HOME", str(tmp_path / "file" / "home"))
    error = runyard("work-pool", "ls", code=1).err
    assert error.startswith("Error: cannot create the folder")
    assert "RUNYARD_HOME" in error


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_without_permission_to_write(runyard, home):
    home.mkdir(mode=0o500)
    assert "permissions" in runyard("work-pool", "ls", code=1).err


def test_backup_is_a_copy_that_can_be_used(runyard, filled, store, tmp_path, monkeypatch):
    store.call(known_flows.create_flow, body=known_flows.FlowCreate(name="kept"))
    target = tmp_path / "copy" / "runyard.db"
    target.parent.mkdir()
    runyard("database", "backup", target)
    assert target.stat().st_mode & 0o077 == 0
    monkeypatch.setenv("RUNYARD_HOME", str(target.parent))
    assert "kept" in runyard("flow", "ls").out
    assert sorted(path.name for path in target.parent.iterdir() if "partial" in path.name) == []


def test_backup_replaces_only_when_told(runyard, filled, tmp_path):
    target = tmp_path / "copy.db"
    target.write_text("precious")
    assert "exists" in runyard("database", "backup", target, code=1).err
    assert target.read_text() == "precious"
    runyard("database", "backup", target, "--overwrite")
    assert "itself" in runyard("database", "backup", filled, "--overwrite", code=1).err


@pytest.mark.parametrize(
    "name", ["secret.key", "api.token", "profiles.toml", "runyard.db-wal", "runyard.db-shm"]
)
@pytest.mark.parametrize("there", [True, False])
def test_backup_is_never_in_the_place_of_a_file_of_the_home(runyard, filled, tmp_path, name, there):
    target = filled.with_name(name)
    target.unlink(missing_ok=True)
    if there:
        target.write_text("" if "db-" in name else "# precious")
    way = tmp_path / "way"
    way.symlink_to(filled.parent)
    before = target.read_text() if there else None
    for path in (target, way / name):
        assert "needs" in runyard("database", "backup", path, "--overwrite", code=1).err
    assert (target.read_text() if target.exists() else None) == before


@pytest.mark.parametrize("kind", ["fifo", "link", "dead link", "socket"])
def test_backup_replaces_only_regular_files(runyard, filled, tmp_path, kind):
    target = tmp_path / "target"
    other = tmp_path / "other"
    other.write_text("x")
    if kind == "fifo":
        os.mkfifo(target)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(target))
    else:
        target.symlink_to(other if kind == "link" else tmp_path / "none")
    before = os.lstat(target)
    for arguments in ([], ["--overwrite"]):
        assert "does not replace" in runyard("database", "backup", target, *arguments, code=1).err
    assert (os.lstat(target).st_ino, os.lstat(target).st_mode) == (before.st_ino, before.st_mode)
    assert other.read_text() == "x"
    assert sorted(path.name for path in tmp_path.iterdir() if "partial" in path.name) == []


def test_backup_to_a_folder_that_is_not_there(runyard, filled, tmp_path):
    assert "cannot write" in runyard("database", "backup", tmp_path / "no" / "copy.db", code=1).err


def test_vacuum_says_what_it_won(runyard, filled):
    assert "Reduced the database from" in runyard("database", "vacuum").out
