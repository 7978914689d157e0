"""Lock managers: one holder at a time, in a process, between processes, and after one was killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading

import pytest
from _yard import until
from runyard import flow, task
from runyard.base.errors import ApiUnavailable
from runyard.client.engine_client import shared_client
from runyard.engine.cache_policies import INPUTS
from runyard.engine.locking import database_locks
from runyard.engine.locking.database_locks import DatabaseLockManager
from runyard.engine.locking.file_locks import FileSystemLockManager
from runyard.engine.locking.lock_protocol import LockManager
from runyard.engine.locking.memory_locks import MemoryLockManager
from runyard.engine.transactions import IsolationLevel

KINDS = ["memory", "filesystem", "database"]
SHARED = KINDS[1:]


@pytest.fixture
def make(home, tmp_path):
    """A function that makes a manager of a kind; those of one kind share their locks."""

    def make(kind):
        if kind == "filesystem":
            return FileSystemLockManager(tmp_path / "locks")
        return {"memory": MemoryLockManager, "database": DatabaseLockManager}[kind]()

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_one_holds_a_key_at_a_time(make, kind):
    locks, others = make(kind), make(kind)
    assert isinstance(locks, LockManager)
    assert not locks.is_locked("k")
    assert locks.acquire_lock("k", "me", acquire_timeout=0)
    assert locks.acquire_lock("k", "me", acquire_timeout=0)
    assert locks.is_lock_holder("k", "me")
    assert not locks.is_lock_holder("k", "you")
    assert others.is_locked("k")
    assert not others.acquire_lock("k", "you", acquire_timeout=0)
    assert not others.wait_for_lock("k", timeout=0)
    assert others.acquire_lock("other", "you", acquire_timeout=0)
    with pytest.raises(ValueError, match="you does not hold the lock of 'k'"):
        locks.release_lock("k", "you")
    locks.release_lock("k", "me")
    others.release_lock("other", "you")
    assert others.wait_for_lock("k", timeout=0)
    assert others.acquire_lock("k", "you", acquire_timeout=0)
    others.release_lock("k", "you")


@pytest.mark.parametrize("kind", KINDS)
def test_a_hold_timeout_ends_it(make, kind):
    locks = make(kind)
    assert locks.acquire_lock("k", "me", hold_timeout=0.01)
    assert locks.wait_for_lock("k", timeout=60)
    assert locks.acquire_lock("k", "you", acquire_timeout=60)
    locks.release_lock("k", "you")


@pytest.mark.parametrize("kind", KINDS)
def test_who_waits_is_next(make, kind):
    locks, got = make(kind), []
    locks.acquire_lock("k", "me")
    waiting = threading.Thread(target=lambda: got.append(locks.acquire_lock("k", "you", acquire_timeout=60)))
    waiting.start()
    locks.release_lock("k", "me")
    waiting.join(60)
    assert got == [True]
    locks.release_lock("k", "you")


@pytest.mark.parametrize("kind", KINDS)
def test_async_code_has_the_same(make, kind):
    locks = make(kind)

    async def main():
        assert await locks.aacquire_lock("k", "me")
        assert not await locks.aacquire_lock("k", "you", acquire_timeout=0)
        assert not await locks.await_for_lock("k", timeout=0)
        locks.release_lock("k", "me")
        return await locks.await_for_lock("k", timeout=0)

    assert asyncio.run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_threads_never_hold_one_together(make, kind):
    locks, inside, most = make(kind), [], []

    def work(name):
        for _ in range(10):
            assert locks.acquire_lock("k", name, acquire_timeout=60)
            inside.append(name)
            most.append(len(inside))
            inside.remove(name)
            locks.release_lock("k", name)

    threads = [threading.Thread(target=work, args=(f"t{at}",)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == [1] * 40


HOLDER = """
import sys, time
from runyard.engine.locking import database_locks
from runyard.engine.locking.database_locks import DatabaseLockManager
from runyard.engine.locking.file_locks import FileSystemLockManager
database_locks.LEASE_SECONDS = 2.0
locks = DatabaseLockManager() if sys.argv[1] == "database" else FileSystemLockManager(sys.argv[2])
assert locks.acquire_lock("k", "child")
print("held", flush=True)
time.sleep(600)
"""


def until_renewed():
    """Wait until whoever holds the only lock of the database holds it for longer than now."""

    def expiry():
        with shared_client().database.transaction(write=False) as tx:
            return tx.value("SELECT expires FROM locks")

    first = expiry()
    until(lambda: expiry() > first, "a renewal")


@pytest.mark.parametrize("kind", SHARED)
def test_a_killed_holder_holds_nothing_for_long(make, kind, tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, kind, str(tmp_path / "locks")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        locks = make(kind)
        if kind == "database":
            until_renewed()  # as long as its process lives
        assert not locks.acquire_lock("k", "me", acquire_timeout=0)
        holder.send_signal(signal.SIGKILL)
        assert locks.acquire_lock("k", "me", acquire_timeout=60)
        locks.release_lock("k", "me")
    finally:
        holder.kill()
        holder.communicate()


def test_the_thread_that_renews_ends_with_the_last_lock(make, monkeypatch):
    monkeypatch.setattr(database_locks, "LEASE_SECONDS", 2.0)
    locks = make("database")
    locks.acquire_lock("k", "me")
    until_renewed()
    assert not locks.acquire_lock("k", "you", acquire_timeout=0)
    locks.release_lock("k", "me")
    thread = locks._thread
    if thread is not None:
        thread.join(60)
    assert locks._thread is None


def test_lock_files_are_private(make, tmp_path):
    make("filesystem").acquire_lock("../k", "me")
    (file,) = (tmp_path / "locks").iterdir()
    assert oct(os.stat(file).st_mode & 0o777) == "0o600"


class Away:
    """A client whose API answers every second request only, the first time of two after doing it."""

    def __init__(self):
        self.client = shared_client()
        self.calls = 0

    def call(self, operation, *args, **kwargs):
        self.calls += 1
        answer = self.client.call(operation, *args, **kwargs)
        if self.calls % 2:
            raise ApiUnavailable("the answer was lost")
        return answer


class Slow:
    """A client whose renewals are sent when `go` is set, and whose answers to them are lost."""

    def __init__(self):
        self.client = shared_client()
        self.renewing, self.go = threading.Event(), threading.Event()

    def call(self, operation, *args, **kwargs):
        if threading.current_thread().name != "runyard-locks":
            return self.client.call(operation, *args, **kwargs)
        self.renewing.set()
        assert self.go.wait(60)
        self.client.call(operation, *args, **kwargs)
        raise ApiUnavailable("the answer was lost")


@pytest.fixture
def amid_a_renewal(home, monkeypatch):
    """Locks that hold `k` for `me` and are being renewed, and their client."""
    monkeypatch.setattr(database_locks, "LEASE_SECONDS", 4.0)
    slow = Slow()
    locks = DatabaseLockManager(slow)
    locks.acquire_lock("k", "me")
    assert slow.renewing.wait(60)
    return locks, slow


def test_a_lock_that_is_released_while_it_is_renewed_is_free(amid_a_renewal):
    locks, slow = amid_a_renewal
    releasing = threading.Thread(target=locks.release_lock, args=("k", "me"))
    releasing.start()
    releasing.join(0.5)  # it may be over before the renewal
    slow.go.set()
    releasing.join(60)
    thread = locks._thread
    if thread is not None:
        thread.join(60)
    assert not locks.is_locked("k")
    assert locks._thread is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_that_was_forked_amid_a_renewal_can_release(amid_a_renewal):
    locks, slow = amid_a_renewal
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        locks.release_lock("k", "me")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    slow.go.set()
    locks.release_lock("k", "me")
    assert not locks.is_locked("k")


def test_a_run_waits_for_the_lock_of_a_result_while_the_api_is_away(recorded, capfd):
    locks = DatabaseLockManager(Away())

    @task(
        persist_result=True,
        cache_policy=INPUTS.configure(isolation_level=IsolationLevel.SERIALIZABLE, lock_manager=locks),
    )
    def double(x):
        return 2 * x

    @flow
    def main():
        held = locks.acquire_lock("k", "me", hold_timeout=60)
        locks.release_lock("k", "me")
        return double(4), held, locks.is_locked("k")

    assert main() == (8, True, False)
    assert "cannot acquire the lock of a result, retrying" in capfd.readouterr().err
    with pytest.raises(ApiUnavailable):
        locks.is_locked("k")
