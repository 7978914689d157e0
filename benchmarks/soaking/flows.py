"""The flows of the soak. Each notes when it starts, when it ends, and until when it executes at least."""

from __future__ import annotations

import os
import threading
import time

from runyard import flow, task
from runyard.engine import runtime

_FOLDER = os.environ["SOAK_FOLDER"]
_EVENTS = os.open(f"{_FOLDER}/events", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)


class Executing:
    """A block that notes its start and its end, and in between, every 20 ms, that it still executes.

    Args:
        kind: what executes: the flow's name, or `db` for the tasks with that tag.
    """

    def __init__(self, kind: str) -> None:
        run, attempt = os.environ["RUNYARD__FLOW_RUN_ID"], os.environ["RUNYARD__ATTEMPT"]
        self._what = f"{run} {attempt} {runtime.flow_run.run_count} {kind} {os.getpid()}"
        self._what += f" {os.environ['RUNYARD__WORKER_NAME']}"
        self._moment = os.open(
            f"{_FOLDER}/moments/{self._what.replace(' ', '.')}", os.O_WRONLY | os.O_CREAT, 0o644
        )
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> None:
        self._note("start")
        self._thread.start()

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()
        os.close(self._moment)
        self._note("end")

    def _note(self, event: str) -> None:
        os.write(_EVENTS, f"{event} {self._what} {time.monotonic():.6f}\n".encode())

    def _tick(self) -> None:
        while not self._over.wait(0.02):
            os.pwrite(self._moment, f"{time.monotonic():.6f}".encode(), 0)


@flow
def plain(number: int = 0) -> int:
    """Sleeps."""
    with Executing("plain"):
        time.sleep(0.1)
    return number


@flow(retries=1)
def failing(number: int = 0) -> None:
    """Fails, and fails again."""
    with Executing("failing"):
        time.sleep(0.05)
    raise ValueError(f"number {number} fails")


@task(persist_result=True)
def step(number: int, index: int) -> int:
    """One step whose result is kept."""
    time.sleep(0.02)
    return number + index


@flow(persist_result=True)
def steps(number: int = 0) -> list[int]:
    """Goes on where a lost attempt ended."""
    with Executing("steps"):
        found = [step(number, index) for index in range(4)]
        assert found == [number + index for index in range(4)], found
        return found


@task(tags=["db"], retries=1)
def query(number: int, index: int) -> None:
    """Holds a slot of the tag."""
    with Executing("db"):
        time.sleep(0.06)


@flow
def tagged(number: int = 0) -> None:
    """Two queries, one after the other."""
    with Executing("tagged"):
        for index in range(2):
            query(number, index)


@flow
def limited(number: int = 0) -> None:
    """At most so many at a time as its deployment allows."""
    with Executing("limited"):
        time.sleep(0.1)
