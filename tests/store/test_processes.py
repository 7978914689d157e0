"""Several processes on one database: first start, forks, and one that is killed while it writes."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading

import pytest
from runyard.store.database import Database
from runyard.store.migrate import LATEST

INSERT = "INSERT INTO flows (id, created, updated, name) VALUES (:name, 1, 1, :name)"

ADD_ONE = f"""
import sys
from runyard.store.database import get_database
sys.stdin.readline()
with get_database(sys.argv[1]).transaction() as tx:
    tx.execute({INSERT!r}, {{"name": sys.argv[2]}})
"""


def count(url):
    database = Database(url)
    with database.transaction(write=False) as tx:
        found = tx.value("SELECT count(*) FROM flows")
    database.close()
    return found


def start_all_at_once(url, number):
    children = [
        subprocess.Popen(
            [sys.executable, "-c", ADD_ONE, url, str(n)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in range(number)
    ]
    # They wait for the line, so that they open the database at the same moment.
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    errors = [child.communicate(timeout=60)[1] for child in children]
    assert errors == [""] * number
    assert [child.returncode for child in children] == [0] * number


def test_many_processes_start_at_once_on_an_empty_home(home):
    url = f"sqlite:///{home}/runyard.db"
    start_all_at_once(url, 8)
    assert count(url) == 8


def test_many_processes_start_at_once_on_an_empty_postgres(postgres_cluster, home):
    with postgres_cluster._connect("postgres") as connection:
        connection.execute("DROP DATABASE IF EXISTS empty WITH (FORCE)")
        connection.execute("CREATE DATABASE empty")
    url = postgres_cluster.url.rpartition("/")[0] + "/empty"
    start_all_at_once(url, 6)
    assert count(url) == 6


def _in_child(url, outcome):
    from runyard.store.database import get_database

    with get_database(url).transaction() as tx:
        tx.execute(INSERT, {"name": "child"})
    outcome.put(get_database(url).changes() is not None)
    get_database(url).close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_uses_a_connection_of_its_own(database, database_url):
    with database.transaction() as tx:
        tx.execute(INSERT, {"name": "before"})
    context = multiprocessing.get_context("fork")
    outcome = context.Queue()
    child = context.Process(target=_in_child, args=(database_url, outcome))
    child.start()
    assert outcome.get(timeout=60)
    child.join(60)
    assert child.exitcode == 0
    # The child closed its own connection and left ours alone.
    with database.transaction() as tx:
        tx.execute(INSERT, {"name": "after"})
        names = [row["name"] for row in tx.all("SELECT name FROM flows ORDER BY name")]
    assert names == ["after", "before", "child"]


# Forks while three other threads open and close connections: a child that hangs ends by its alarm.
FORKS = """
import os, signal, sys, threading, warnings
from runyard.store.database import get_database
warnings.simplefilter("ignore")
database = get_database(sys.argv[1])

def use():
    with database.transaction(write=False) as tx:
        tx.value("SELECT 1")

def use_and_close():
    while True:
        use()
        database.discard()

for _ in range(3):
    threading.Thread(target=use_and_close, daemon=True).start()
for _ in range(40):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        use()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, "a child hung"
print("done", flush=True)
os._exit(0)
"""


def test_a_child_forked_while_other_threads_open_and_close_connections_goes_on(database_url, home):
    done = subprocess.run(
        [sys.executable, "-c", FORKS, database_url], capture_output=True, text=True, timeout=300
    )
    assert (done.stdout, done.stderr) == ("done\n", "")


KILLED = f"""
import sys
from runyard.store.database import get_database
with get_database(sys.argv[1]).transaction() as tx:
    tx.execute({INSERT!r}, {{"name": "half"}})
    print("written", flush=True)
    sys.stdin.readline()
"""


def test_what_a_killed_process_had_not_committed_is_gone(database, database_url):
    database.changes()
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, database_url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout.readline() == "written\n"
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    with database.transaction() as tx:
        assert tx.value("SELECT count(*) FROM flows") == 0
        tx.execute(INSERT, {"name": "next"})


def test_a_restarted_server_is_found_again(postgres_cluster, postgres_url, home):
    database = Database(postgres_url)
    with database.transaction() as tx:
        tx.execute(INSERT, {"name": "before"})
    with postgres_cluster._connect("runyard") as connection:
        postgres_cluster._end_others(connection)
    with database.transaction() as tx:
        assert tx.value("SELECT count(*) FROM flows") == 1
    assert database.changes() == 0
    database.close()


def test_the_newest_migration_is_the_one_the_code_expects():
    from runyard.store import migrate

    numbers = [number for number, _ in migrate.scripts()]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == LATEST


def test_a_later_migration_beside_older_code_is_left_alone(database, monkeypatch):
    from runyard.store import migrate

    scripts = [*migrate.scripts(), (LATEST + 1, "what only later code can read")]
    monkeypatch.setattr(migrate, "scripts", lambda: scripts)
    with database.transaction() as tx:
        migrate.upgrade(tx, LATEST)


def test_a_thread_that_ends_leaves_no_connection(database):
    def use():
        with database.transaction(write=False) as tx:
            tx.value("SELECT count(*) FROM flows")

    use()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        thread = threading.Thread(target=use)
        thread.start()
        thread.join(60)
    assert len(os.listdir("/proc/self/fd")) <= before + 1


AT_EXIT = """
import atexit, os, sys
def still_open():
    links = [os.path.join("/proc/self/fd", each) for each in os.listdir("/proc/self/fd")]
    print([each for each in links if os.path.exists(each) and os.readlink(each).endswith(".db")])
atexit.register(still_open)  # called last
from runyard.store.database import Database
database = Database(sys.argv[1])
with database.transaction(write=False) as tx:
    print(tx.value("SELECT 1"))
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="the system does not list open files")
def test_connections_are_closed_at_the_exit_before_modules_are_emptied(home):
    url = f"sqlite:///{home}/runyard.db"
    done = subprocess.run([sys.executable, "-c", AT_EXIT, url], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("1\n[]\n", "")
