"""`runyard database backup` and `restore`: the database with the key of its secrets and its large results."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile

import pytest
from runyard.blocks.system import Secret
from runyard.store import database as store

CLEAR = "hunter2-the-whole-secret"
BIG = """
from prefect import flow, task

@task(persist_result=True, cache_key_fn=lambda *_: "big")
def big():
    print("computed")
    return "x" * 200_000

@flow(log_prints=True)
def report():
    return len(big())
"""


@pytest.fixture
def another(monkeypatch, tmp_path):
    """Use a second, fresh home."""

    def use(name="home2"):
        monkeypatch.setenv("RUNYARD_HOME", str(tmp_path / name))
        return tmp_path / name

    return use


@pytest.fixture
def saved(runyard, home, tmp_path):
    """A backup of a database with a secret and a pool."""
    runyard("work-pool", "create", "pool", "--type", "process")
    Secret(value=CLEAR).save("mine")
    runyard("database", "backup", tmp_path / "copy.db")
    return tmp_path / "copy.db"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_backup_has_the_key_of_its_secrets(runyard, home, saved, another):
    key = saved.with_name("copy.db.key")
    assert key.read_text() == (home / "secret.key").read_text()
    assert {oct(path.stat().st_mode & 0o777) for path in (saved, key)} == {"0o600"}
    assert CLEAR.encode() not in saved.read_bytes()
    other = another()
    assert "Restored" in runyard("database", "restore", saved).out
    assert names(other) == ["runyard.db", "secret.key"]
    assert CLEAR in runyard("secret", "inspect", "mine", "--show").out
    assert names(saved.parent) == ["copy.db", "copy.db.key", "home", "home2"]


def test_a_backup_without_secrets_needs_no_key(runyard, home, tmp_path, another):
    runyard("work-pool", "create", "pool", "--type", "process")
    made = runyard("database", "backup", tmp_path / "copy.db", "-o", "json").json
    assert (made["secrets"], made["key"], made["key_place"]) == (0, None, None)
    other = another()
    runyard("database", "restore", tmp_path / "copy.db")
    assert names(other) == ["runyard.db"]
    assert "pool" in runyard("work-pool", "ls").out


def test_without_its_key_a_backup_is_refused(runyard, saved, another):
    saved.with_name("copy.db.key").unlink()
    other = another()
    told = runyard("database", "restore", saved, code=1).err
    assert "holds 1 encrypted saved block" in told
    assert "--key FILE" in told
    assert not other.exists()


@pytest.mark.parametrize("how", ["beside", "given", "setting"])
def test_another_key_is_refused(runyard, home, saved, another, monkeypatch, how):
    key = saved.with_name("copy.db.key")
    right = key.read_text()
    other = another()
    Secret(value="x").save("first")  # this home has a key and a database of its own
    before = (other / "secret.key").read_text()
    wrong = ()
    if how == "setting":
        monkeypatch.setenv("RUNYARD_ENCRYPTION_KEY", before)
    else:
        key.write_text(before)
        wrong = () if how == "beside" else ("--key", key)
    assert "key" in runyard("database", "restore", saved, *wrong, code=1).err
    assert (other / "secret.key").read_text() == before
    assert runyard("secret", "ls", "-o", "json").json[0]["name"] == "first"
    if how == "setting":
        monkeypatch.setenv("RUNYARD_ENCRYPTION_KEY", f"{before.strip()},{right.strip()}")
    else:
        key.write_text(right)
    runyard("database", "restore", saved)
    assert CLEAR in runyard("secret", "inspect", "mine", "--show").out


def test_a_key_that_is_a_setting_is_named(runyard, home, tmp_path, monkeypatch):
    from cryptography.fernet import Fernet

    monkeypatch.setenv("RUNYARD_ENCRYPTION_KEY", Fernet.generate_key().decode())
    Secret(value=CLEAR).save("mine")
    told = runyard("database", "backup", tmp_path / "copy.db")
    assert "Not in the backup: the key of its 1 saved block. Keep it too: RUNYARD_ENCRYPTION_KEY" in told.err
    assert not (tmp_path / "copy.db.key").exists()


def test_no_key_names_where_it_is(runyard, home, saved, tmp_path):
    told = runyard("database", "backup", tmp_path / "other.db", "--no-key").err
    assert f"Keep it too: {home / 'secret.key'}" in told
    assert not (tmp_path / "other.db.key").exists()


def test_a_lost_key_is_told_and_no_new_one_is_made(runyard, saved, another):
    saved.with_name("copy.db.key").unlink()
    other = another()
    assert "block delete --all" in runyard("database", "restore", saved, "--without-key").err
    assert names(other) == ["runyard.db"]
    told = {check["name"]: check for check in runyard("doctor", "-o", "json", code=1).json}["secrets"]
    assert told["status"] == "problem"
    assert "'secret/mine'" in told["text"]
    assert "cannot be decrypted" in runyard("database", "backup", saved.with_name("again.db")).err
    for attempt in (["set", "other"], ["rotate"]):
        answer = subprocess.run(
            [sys.executable, "-m", "runyard_cli.main", "secret", *attempt],
            input="x", capture_output=True, text=True, env=dict(os.environ), timeout=60,
        )  # fmt: skip
        assert "key" in answer.stderr
        assert answer.returncode == 1
    assert names(other) == ["runyard.db"]
    runyard("block", "delete", "--all", "--yes")
    assert "secrets" not in {check["name"] for check in runyard("doctor", "-o", "json").json}


def test_the_present_database_and_key_are_kept_and_can_be_restored(runyard, saved, another):
    other = another()
    Secret(value="of the second").save("second")
    before = (other / "secret.key").read_text()
    plan = runyard("database", "restore", saved, "--dry-run", "-o", "json").json
    assert plan["dry_run"] is True
    assert runyard("secret", "ls", "-o", "json").json[0]["name"] == "second"
    done = runyard("database", "restore", saved, "-o", "json").json
    assert (done["secrets"], done["dry_run"]) == (1, False)
    kept = other / os.path.basename(done["replaced"])
    assert names(other) == ["runyard.db", kept.name, f"{kept.name}.key", "secret.key"]
    assert (other / f"{kept.name}.key").read_text() == before
    assert CLEAR in runyard("secret", "inspect", "mine", "--show").out
    runyard("database", "restore", kept)
    assert "of the second" in runyard("secret", "inspect", "second", "--show").out
    assert runyard("database", "check", "-o", "json").json["problems"] == []


def test_a_damaged_database_is_replaced_with_its_log(runyard, program, home, saved):
    store._databases.pop(f"sqlite:///{home}/runyard.db").close()
    data = bytearray((home / "runyard.db").read_bytes())
    data[:4096] = b"x" * 4096
    (home / "runyard.db").write_bytes(data)
    (home / "runyard.db-wal").write_bytes(b"y" * 4096)
    program("secret", "ls", code=1)
    runyard("database", "restore", saved)
    assert CLEAR in runyard("secret", "inspect", "mine", "--show").out
    assert not any(name.endswith("db-wal") for name in names(home))


def test_a_database_in_use_is_not_replaced(runyard, home, saved):
    worker = subprocess.Popen(
        [sys.executable, "-m", "runyard_cli.main", "worker", "start", "--pool", "pool", "--name", "busy"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=dict(os.environ), text=True,
    )  # fmt: skip
    try:
        assert worker.stdout is not None
        while "busy" not in (line := worker.stdout.readline()):
            assert line, "the worker ended"
        while not any(each["name"] == "busy" for each in runyard("worker", "ls", "-o", "json").json):
            pass
        told = runyard("database", "restore", saved, "--yes", code=1).err
        assert "is in use by other processes (worker 'busy'); stop" in told
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.communicate(timeout=60)
    assert "pool" in runyard("work-pool", "ls").out
    runyard("database", "restore", saved, "--yes")
    mode = runyard("database", "check")  # and it is again in the mode in which readers never wait
    assert "not damaged" in mode.out

    with sqlite3.connect(home / "runyard.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_large_results_come_with_it(runyard, home, tmp_path, another, program, monkeypatch):
    (tmp_path / "report.py").write_text(BIG)
    monkeypatch.chdir(tmp_path)
    assert "computed" in program("run", "report.py:report").err
    made = runyard("database", "backup", tmp_path / "copy.db", "-o", "json").json
    assert (made["result_files"], made["results"]) == (1, None)
    assert made["result_bytes"] > 200_000
    assert "--results includes them" in runyard("database", "backup", tmp_path / "other.db").err
    runyard("database", "backup", tmp_path / "copy.db", "--overwrite", "--results")
    with tarfile.open(tmp_path / "copy.db.results.tar") as tar:
        assert len(tar.getnames()) == 1
    shutil.rmtree(home)
    other = another()
    runyard("database", "restore", tmp_path / "copy.db")
    assert len(names(other / "storage")) == 1
    assert "computed" not in program("run", "report.py:report").err


@pytest.mark.parametrize("kind", ["text", "foreign", "cut", "itself", "missing", "newer"])
def test_what_is_no_backup_is_refused(runyard, home, saved, tmp_path, kind):

    bad = {"itself": home / "runyard.db", "missing": tmp_path / "none.db"}.get(kind, tmp_path / "bad.db")
    if kind == "text":
        bad.write_text("hello " * 1000)
    elif kind == "cut":
        bad.write_bytes(saved.read_bytes()[: 4096 * 20])
    elif kind in ("foreign", "newer"):
        if kind == "newer":
            shutil.copy(saved, bad)
        with sqlite3.connect(bad) as connection:
            connection.execute("CREATE TABLE mine (x)" if kind == "foreign" else "PRAGMA user_version=999")
        connection.close()
    told = runyard("database", "restore", bad, code=1).err
    assert len(told.splitlines()) == 1
    assert {"itself": "itself", "missing": "not found", "newer": "999"}.get(kind, "bad.db") in told
    assert "pool" in runyard("work-pool", "ls").out
    assert CLEAR in runyard("secret", "inspect", "mine", "--show").out


@pytest.mark.parametrize(
    "command", [["check"], ["backup", "x.db"], ["restore", "x.db"], ["vacuum"], ["upgrade"]]
)
def test_with_an_api_the_database_is_the_servers(runyard, home, monkeypatch, command):
    monkeypatch.setenv("RUNYARD_API_URL", "http://me:pass@127.0.0.1:9/api")
    told = runyard("database", *command, code=1).err
    assert "belongs to the server at http://me:********@127.0.0.1:9/api" in told
    assert not home.exists()


def test_a_restore_that_fails_changes_nothing(runyard, program, home, saved):
    key = (home / "secret.key").read_text()
    store._databases.pop(f"sqlite:///{home}/runyard.db").close()
    (home / "secret.key").unlink()
    (home / "secret.key").mkdir()
    assert "cannot be read" in program("database", "restore", saved, "--yes", code=1).err
    assert "cannot be decrypted" in program("database", "backup", saved, "--overwrite", "--no-key").err
    (home / "secret.key").rmdir()
    (home / "secret.key").write_text(key)
    with sqlite3.connect(home / "runyard.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    assert CLEAR in program("secret", "inspect", "mine", "--show").out
    assert not [name for name in names(home) if "restore" in name or "partial" in name]


def test_results_of_a_backup_that_are_damaged_change_nothing(runyard, program, home, saved):
    store._databases.pop(f"sqlite:///{home}/runyard.db").close()
    saved.with_name("copy.db.results.tar").write_text("no tar")
    assert "copy.db.results.tar is damaged" in program("database", "restore", saved, "--yes", code=1).err
    assert CLEAR in program("secret", "inspect", "mine", "--show").out
    assert "runyard.db.before" not in " ".join(names(home))


def test_each_restore_keeps_what_it_replaces(runyard, home, saved):
    store._databases.pop(f"sqlite:///{home}/runyard.db").close()
    kept = {runyard("database", "restore", saved, "-y", "-o", "json").json["replaced"] for _ in range(4)}
    assert len(kept) == 4  # also within one second
    assert all(os.path.exists(path) for path in kept)
