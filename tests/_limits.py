"""Limits in a fresh home, and counters of concurrent users, for tests of slots."""

from __future__ import annotations

import threading
import time

from runyard.operations.limits import concurrency_limits as limits


def settled():
    """Wait until threads that release slots, or wait for a loop, have ended."""
    deadline = time.monotonic() + 60
    names = ("runyard-block", "runyard-slots-back")
    while any(thread.name in names for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Yard:
    """Limits of a fresh home."""

    def __init__(self, client):
        self.client = client

    def limit(self, name, limit, **fields):
        body = limits.ConcurrencyLimitCreate(name=name, limit=limit, **fields)
        self.client.call(limits.create_concurrency_limit, body)

    def taken(self, name):
        return self.client.call(limits.read_concurrency_limit, name).active_slots

    def until(self, condition, seconds=60.0):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.01)


class Room:
    """Counts how many threads are inside."""

    def __init__(self):
        self._lock = threading.Lock()
        self.inside = self.most = self.visits = 0

    def enter(self):
        with self._lock:
            self.inside += 1
            self.visits += 1
            self.most = max(self.most, self.inside)

    def leave(self):
        with self._lock:
            self.inside -= 1


def run_all(*functions):
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
