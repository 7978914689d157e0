"""Make a large database: `python benchmarks/large.py [--runs 1000000] [--tasks 0] [--days 30]`.

It fills the database that the settings name (SQLite or PostgreSQL), which has to be empty. Runs are spread
evenly over the days until now, those of coming hours are scheduled; of a thousand about 963 completed, 30
failed, 3 timed out, 2 crashed and 2 were cancelled. A few are open. The same seed gives the same runs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
import time
from collections.abc import Iterator
from typing import Any

HOUR = 3_600_000_000
FLOWS, DEPLOYMENTS = 20, 50
# One run that mapped over much has this share of all task runs.
_GREATEST = 0.1
_AT_ONCE = 400
# (type, name, of a million runs), for those of the past.
_ENDS = [
    ("FAILED", "Failed", 30_000),
    ("FAILED", "TimedOut", 3_000),
    ("CRASHED", "Crashed", 2_000),
    ("CANCELLED", "Cancelled", 2_000),
    ("RUNNING", "Running", 200),
    ("PENDING", "Pending", 50),
    ("SCHEDULED", "Late", 40),
    ("SCHEDULED", "AwaitingRetry", 30),
    ("PAUSED", "Paused", 10),
    ("CANCELLING", "Cancelling", 5),
]
_OVER = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
# Further runs that are due within the coming hours.
_COMING = 500

_RUN_COLUMNS = (
    "id", "created", "updated", "name", "flow_id", "deployment_id", "work_queue_id", "parameters", "tags",
    "state_id", "state_type", "state_name", "state_timestamp", "state", "run_count", "attempt",
    "expected_start_time", "next_scheduled_start_time", "start_time", "end_time", "total_run_time",
    "auto_scheduled",
)  # fmt: skip
_TASK_COLUMNS = (
    "id", "created", "updated", "name", "flow_run_id", "task_key", "dynamic_key", "state_id", "state_type",
    "state_name", "state_timestamp", "state", "run_count", "expected_start_time", "start_time", "end_time",
    "total_run_time",
)  # fmt: skip


class Maker:
    """The rows of one database.

    Args:
        runs: how many of the past.
        tasks: how many task runs, at most a tenth of them in one run.
        days: over how many days.
        now: the present, in microseconds.
        places: of each deployment: the ids of its flow, itself and its queue.
    """

    def __init__(
        self, runs: int, tasks: int, days: float, now: int, places: list[tuple[str, str, str]]
    ) -> None:
        self.runs_count, self.tasks_count, self.now, self.places = runs, tasks, now, places
        self.step = days * 24 * HOUR / runs
        self.random = random.Random(7)
        self.made: list[tuple[str, int]] = []

    def _id(self, moment: int) -> str:
        millisecond, rest = divmod(moment, 1000)
        text, tail = f"{millisecond:012x}", f"{self.random.getrandbits(62) | 1 << 63:016x}"
        return f"{text[:8]}-{text[8:]}-7{rest * 4096 // 1000:03x}-{tail[:4]}-{tail[4:]}"

    def _end(self) -> tuple[str, str]:
        drawn = self.random.randrange(1_000_000)
        for kind, name, share in _ENDS:
            drawn -= share
            if drawn < 0:
                return kind, name
        return "COMPLETED", "Completed"

    def runs(self) -> Iterator[tuple[Any, ...]]:
        """Rows of flow runs, the oldest first."""
        every = max(1, int(self.runs_count / max(1.0, self.tasks_count * (1 - _GREATEST))))
        for number in range(self.runs_count + _COMING):
            coming = number >= self.runs_count
            expected = int(self.now - (self.runs_count - number) * self.step)
            if coming:
                expected = self.now + (number - self.runs_count + 1) * 60_000_000
            kind, name = ("SCHEDULED", "Scheduled") if coming else self._end()
            row = self._run(number, expected, kind, name)
            if not coming and number % every == 0:
                self.made.append((row[0], expected))
            yield row

    def _run(self, number: int, expected: int, kind: str, name: str) -> tuple[Any, ...]:
        flow_id, deployment_id, queue_id = self.places[number % len(self.places)]
        created = expected - self.random.randrange(3_600_000_000)
        run_id, state_id = self._id(created), self._id(expected)
        over, waits = kind in _OVER, kind == "SCHEDULED"
        took = int(self.random.lognormvariate(3, 1) * 1e6)
        start = None if waits or kind == "PENDING" else expected + self.random.randrange(50_000, 5_000_000)
        end = start + took if over and start else None
        moment = min(end or start or expected, max(self.now, expected))
        state = self._state(kind, name, moment, state_id, {"flow_run_id": run_id})
        parameters = json.dumps({"day": number % 30, "table": f"orders_{number % 97}", "full": False})
        return (
            run_id, created, moment, f"run-{number}", flow_id, deployment_id, queue_id, parameters, "[]",
            state_id, kind, name, moment, state, int(start is not None), int(start is not None), expected,
            expected if waits else None, start, end, took if over else 0, 1,
        )  # fmt: skip

    def _state(self, kind: str, name: str, moment: int, state_id: str, details: dict[str, str]) -> str:
        from runyard.domain.states import State

        message = "Flow run encountered an exception: ValueError: no such table" if kind == "FAILED" else None
        return json.dumps(State(kind, name, message, None, moment, details, state_id).to_json())

    def tasks(self) -> Iterator[tuple[Any, ...]]:
        """Rows of task runs of the runs that were made."""
        greatest = int(self.tasks_count * _GREATEST)
        for number in range(self.tasks_count):
            run_id, begun = self.made[-1 if number < greatest else number % len(self.made)]
            start = begun + number % greatest * 1000
            kind, name = ("FAILED", "Failed") if self.random.random() < 0.01 else ("COMPLETED", "Completed")
            task_id, state_id = self._id(start), self._id(start + 20_000)
            details = {"flow_run_id": run_id, "task_run_id": task_id}
            state = self._state(kind, name, start + 20_000, state_id, details)
            yield (
                task_id, start, start, f"load-{number}", run_id, "load-1a2b3c4d", str(number), state_id, kind,
                name, start + 20_000, state, 1, start, start, start + 20_000, 20_000,
            )  # fmt: skip


def fill(runs: int, tasks: int = 0, days: float = 30, now: int | None = None) -> None:
    """Fill the database that the settings name; it has a pool `bench`, 20 flows and 50 deployments then.

    Args:
        runs: how many flow runs of the past; 500 coming ones are added.
        tasks: how many task runs, a tenth of them in the newest of the runs that have any.
        days: over how many days they are spread.
        now: the present, in microseconds since 1970.
    """
    from runyard.base import clock
    from runyard.store.database import get_database

    database = get_database()
    maker = Maker(runs, tasks, days, now or clock.now_us(), _places())
    for table, columns, rows in (
        ("flow_runs", _RUN_COLUMNS, maker.runs()),
        ("task_runs", _TASK_COLUMNS, maker.tasks()),
    ):
        chunk: list[tuple[Any, ...]] = []
        more = True
        while more:
            with database.transaction(durable=False) as tx:
                for _ in range(50):
                    chunk = list(itertools.islice(rows, _AT_ONCE))
                    if not chunk:
                        more = False
                        break
                    marks = ", ".join(["(" + ", ".join("?" * len(columns)) + ")"] * len(chunk))
                    sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES {marks}"
                    tx.execute(sql, [value for row in chunk for value in row])


def _places() -> list[tuple[str, str, str]]:
    from runyard.client import LocalClient
    from runyard.operations.deployments.deployments import DeploymentCreate, create_deployment
    from runyard.operations.deployments.known_flows import FlowCreate, create_flow
    from runyard.operations.work_pools.work_pools import WorkPoolCreate, create_work_pool

    client = LocalClient()
    client.call(create_work_pool, WorkPoolCreate(name="bench", type="process"))
    flows = [client.call(create_flow, FlowCreate(name=f"flow-{number}")).id for number in range(FLOWS)]
    places = []
    for number in range(DEPLOYMENTS):
        flow_id = flows[number % FLOWS]
        body = DeploymentCreate(name=f"deployment-{number}", flow_id=flow_id, work_pool_name="bench")
        made = client.call(create_deployment, body)
        places.append((flow_id, made.id, made.work_queue_id or ""))
    return places


def main() -> int:
    """Fill the database and say how long it took."""
    parser = argparse.ArgumentParser(prog="python benchmarks/large.py", description="Make a large database.")
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--tasks", type=int, default=0)
    parser.add_argument("--days", type=float, default=30)
    options = parser.parse_args()
    from runyard.store import database_maintenance

    began = time.monotonic()
    fill(options.runs, options.tasks, options.days)
    took = time.monotonic() - began
    where = database_maintenance.where()
    print(f"{options.runs:,} runs and {options.tasks:,} task runs in {took:.0f} s: {where}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
