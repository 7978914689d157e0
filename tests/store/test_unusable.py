"""Databases that cannot be used: each gives one clear line and is left as it was."""

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys

import pytest
from _yard import until
from runyard.base.errors import (
    DatabaseBusy,
    DatabaseCorrupt,
    DatabaseMoved,
    DatabaseReadOnly,
    DatabaseTooNew,
    InvalidInput,
    StoreError,
)
from runyard.store.database import Database

INSERT = "INSERT INTO flows (id, created, updated, name) VALUES (:name, 1, 1, :name)"


def write(database, name="a"):
    with database.transaction() as tx:
        tx.execute(INSERT, {"name": name})


def one_line(error):
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.fixture
def path(home):
    home.mkdir()
    return home / "runyard.db"


def test_a_newer_database_is_refused_and_left_alone(path):
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99999")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(DatabaseTooNew) as error:
        write(Database(f"sqlite:///{path}"))
    assert "99999" in one_line(error)
    assert "upgrade Runyard" in one_line(error)
    assert path.read_bytes() == before


def test_a_newer_postgres_database_is_refused(postgres_url, postgres_cluster, home):
    with postgres_cluster._connect("runyard") as connection:
        version = connection.execute("SELECT version FROM runyard_schema").fetchone()[0]
        connection.execute("UPDATE runyard_schema SET version = 99999")
        try:
            with pytest.raises(DatabaseTooNew) as error:
                write(Database(postgres_url))
        finally:
            connection.execute("UPDATE runyard_schema SET version = %s", (version,))
    assert "99999" in one_line(error)


def test_a_file_that_is_no_database(path):
    path.write_bytes(b"this is no database at all\n" * 100)
    with pytest.raises(DatabaseCorrupt) as error:
        write(Database(f"sqlite:///{path}"))
    assert str(path) in one_line(error)
    assert path.read_bytes() == b"this is no database at all\n" * 100


def test_a_damaged_database(path):
    database = Database(f"sqlite:///{path}")
    write(database)
    database.close()
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    with pytest.raises(DatabaseCorrupt) as error:
        write(Database(f"sqlite:///{path}"), "b")
    assert "restore a backup" in one_line(error)


def test_a_home_below_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseReadOnly) as error:
        write(Database(f"sqlite:///{tmp_path}/file/home/runyard.db"))
    assert "RUNYARD_HOME" in one_line(error)


def test_a_folder_in_place_of_the_file(path):
    path.mkdir()
    with pytest.raises(DatabaseReadOnly):
        write(Database(f"sqlite:///{path}"))


AS_NOBODY = f"""
import os, sys
from runyard.errors import DatabaseReadOnly
from runyard.store.database import Database
from runyard.store import sqlite, migrate
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    with Database("sqlite:///" + sys.argv[1]).transaction() as tx:
        tx.execute({INSERT!r}, {{"name": "b"}})
except DatabaseReadOnly as error:
    print(error)
"""


@pytest.mark.parametrize("exists", [False, True])
def test_a_home_without_the_right_to_write(tmp_path_factory, exists):
    # /tmp itself can be entered by the other user, pytest's folder below it cannot.
    import shutil
    import tempfile

    folder = tempfile.mkdtemp(prefix="runyard-readonly-")
    file = os.path.join(folder, "runyard.db")
    try:
        if exists:
            database = Database(f"sqlite:///{file}")
            write(database)
            database.close()
            os.chmod(file, 0o444)
        os.chmod(folder, 0o555)
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, file], capture_output=True, text=True, check=False
        )
        assert done.stderr == ""
        assert len(done.stdout.splitlines()) == 1
        assert folder in done.stdout
    finally:
        os.chmod(folder, 0o755)
        shutil.rmtree(folder)


CHECK_AS_NOBODY = """
import os, sys
from runyard.errors import DatabaseReadOnly
from runyard.store.database import Database
from runyard.store import sqlite, migrate
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
database = Database("sqlite:///" + sys.argv[1])
with database.transaction():
    pass  # SQLite refuses nothing until something is written
try:
    database.check_writable()
except DatabaseReadOnly as error:
    print(error)
"""


def test_a_check_tells_a_file_that_can_only_be_read(tmp_path_factory):
    import tempfile

    with tempfile.TemporaryDirectory(prefix="runyard-readonly-") as folder:
        file = os.path.join(folder, "runyard.db")
        database = Database(f"sqlite:///{file}")
        write(database)
        database.check_writable()
        database.close()
        os.chmod(file, 0o444)
        os.chmod(folder, 0o777)
        done = subprocess.run(
            [sys.executable, "-c", CHECK_AS_NOBODY, file], capture_output=True, text=True, check=False
        )
        assert done.stderr == ""
        assert done.stdout.startswith(f"cannot write {file} (attempt to write a readonly database)")


def _small_files():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (800_000, 800_000))


FILL = f"""
import sys
from runyard.errors import DatabaseReadOnly
from runyard.store.database import Database
database = Database("sqlite:///" + sys.argv[1])
with database.transaction() as tx:
    tx.execute({INSERT!r}, {{"name": "small"}})
try:
    with database.transaction() as tx:
        tx.execute({INSERT!r}, {{"name": "x" * 4_000_000}})
except DatabaseReadOnly as error:
    print(error)
with database.transaction() as tx:
    assert tx.value("SELECT count(*) FROM flows") == 1
"""


def test_a_full_disk_gives_one_line_and_keeps_what_was_there(path):
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(path)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=_small_files,
    )
    assert done.stderr == ""
    assert "disk space" in done.stdout


def test_another_process_holds_it_for_too_long(path, monkeypatch):
    monkeypatch.setenv("RUNYARD_DATABASE_TIMEOUT_SECONDS", "0.05")
    database = Database(f"sqlite:///{path}")
    write(database)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseBusy) as error:
        write(database, "b")
    assert "database is locked" not in one_line(error)
    holder.execute("ROLLBACK")
    holder.close()
    write(database, "b")
    database.close()


def test_a_postgres_server_that_is_not_there(home):
    with pytest.raises(StoreError) as error:
        write(Database("postgresql://user:hidden@127.0.0.1:1/nothing"))
    assert "127.0.0.1:1/nothing" in one_line(error)
    assert "hidden" not in one_line(error)


@pytest.mark.parametrize("url", ["mysql://x", "runyard.db", "sqlite:///", "sqlite:///:memory:"])
def test_a_url_that_names_no_database(home, url):
    with pytest.raises(InvalidInput) as error:
        write(Database(url))
    one_line(error)


def until_back(database):
    def is_back():
        try:
            with database.transaction(write=False):
                return True
        except DatabaseMoved:
            return False

    until(is_back, "the database")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root takes another user's place")
def test_a_process_that_gives_its_rights_up_is_told_what_it_lacks(path):
    path.parent.chmod(0o700)
    program = """
import os, sys
from runyard.store.database import Database
database = Database("sqlite:///" + sys.argv[1])
with database.transaction() as tx:
    tx.value("SELECT 1")
os.setuid(65534)
try:
    with database.transaction() as tx:
        tx.value("SELECT 1")
except Exception as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True)
    assert "cannot be reached any more: Permission denied" in said.stdout, said.stderr


@pytest.mark.parametrize("way", ["moved", "deleted"])
def test_a_file_that_is_gone_is_told_not_made_anew_and_found_when_it_is_back(path, tmp_path, way):
    database = Database(f"sqlite:///{path}")
    write(database, "before")
    files = sorted(path.parent.glob("runyard.db*"))
    for file in files:
        shutil.copy(file, tmp_path / file.name)
        if way == "deleted":
            file.unlink()
        else:
            file.rename(tmp_path / file.name)
    for _ in range(2):
        with pytest.raises(DatabaseMoved) as error:
            write(database)
        assert "runyard.db was moved, deleted or replaced" in one_line(error)
    assert not path.exists()
    for file in files:
        (tmp_path / file.name).rename(file)
    until_back(database)
    with database.transaction() as tx:
        assert tx.value("SELECT count(*) FROM flows") == 1
    database.close()


def test_a_file_that_was_replaced_is_the_one_that_is_used(path, tmp_path):
    database = Database(f"sqlite:///{path}")
    write(database, "old")
    other = Database(f"sqlite:///{tmp_path / 'runyard.db'}")
    write(other, "new")
    other.close()
    path.rename(tmp_path / "old.db")
    (tmp_path / "runyard.db").rename(path)
    for file in path.parent.glob("runyard.db-*"):
        file.unlink()
    until_back(database)
    with database.transaction() as tx:
        assert tx.value("SELECT name FROM flows") == "new"
        tx.execute(INSERT, {"name": "newer"})
    database.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM flows").fetchone() == (2,)
