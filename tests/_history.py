"""Old runs for tests of retention, and a check for references to removed rows."""

from __future__ import annotations

import json

from runyard.base import clock, ids
from runyard.domain import states

DAY = 86_400_000_000
# Each column that refers to a run, and where that has to be.
REFERENCES = (
    ("flow_run_states", "flow_run_id", ("flow_runs",)),
    ("task_runs", "flow_run_id", ("flow_runs",)),
    ("task_run_states", "task_run_id", ("task_runs",)),
    ("logs", "flow_run_id", ("flow_runs",)),
    ("logs", "task_run_id", ("task_runs",)),
    ("artifacts", "flow_run_id", ("flow_runs",)),
    ("artifacts", "task_run_id", ("task_runs",)),
    ("results", "flow_run_id", ("flow_runs",)),
    ("flow_run_inputs", "flow_run_id", ("flow_runs",)),
    ("leases", "flow_run_id", ("flow_runs",)),
    ("background_tasks", "task_run_id", ("task_runs",)),
    ("background_waits", "task_run_id", ("task_runs",)),
    ("background_waits", "upstream_id", ("task_runs",)),
    ("flow_runs", "parent_task_run_id", ("task_runs",)),
    ("flow_runs", "root_flow_run_id", ("flow_runs",)),
)


class History:
    """Fills a database with runs that ended so many days ago."""

    def __init__(self, database):
        self.database = database
        self.now = clock.now_us()
        self.tx = None
        self._n = 0

    def __enter__(self):
        self._open = self.database.transaction()
        self.tx = self._open.__enter__()
        return self

    def __exit__(self, *raised):
        return self._open.__exit__(*raised)

    def put(self, table, **row):
        columns = ", ".join(row)
        values = ", ".join(f":{name}" for name in row)
        self.tx.execute(f"INSERT INTO {table} ({columns}) VALUES ({values})", row)

    def _run(self, table, days, kind, extra):
        at, id = self.now - int(days * DAY), ids.new_id()
        self._n += 1
        state = states.State(kind, timestamp=at)
        row = {
            "id": id, "created": at, "updated": at, "name": f"{table}-{self._n}", "state_id": ids.new_id(),
            "state_type": kind, "state_name": kind.capitalize(), "state_timestamp": at,
            "state": json.dumps(state.to_json()), "expected_start_time": at,
            "end_time": at if kind in states.TERMINAL else None, **extra,
        }  # fmt: skip
        self.put(table, **row)
        one = "flow_run" if table == "flow_runs" else "task_run"
        of_run = {f"{one}_id": id, "type": kind, "name": kind.capitalize(), "timestamp": at}
        self.put(f"{one}_states", id=ids.new_id(), **of_run)
        return id

    def flow_run(self, days=100.0, kind="COMPLETED", flow_id="f", **extra):
        """A flow run with a log, an artifact, an input and results; its id."""
        id = self._run("flow_runs", days, kind, {"flow_id": flow_id, **extra})
        at = self.now - int(days * DAY)
        self.log(days, flow_run_id=id)
        self.put("artifacts", id=ids.new_id(), created=at, updated=at, flow_run_id=id)
        self.put(
            "flow_run_inputs", id=ids.new_id(), created=at, updated=at, flow_run_id=id, key="k", value="1"
        )
        self.result(f"own-{id}", flow_run_id=id)
        return id

    def task_run(self, flow_run_id=None, days=100.0, kind="COMPLETED", **extra):
        """A task run with a log and an artifact; its id."""
        key = {"task_key": "t", "dynamic_key": f"{self._n}", "flow_run_id": flow_run_id}
        id = self._run("task_runs", days, kind, {**key, **extra})
        at = self.now - int(days * DAY)
        self.log(days, flow_run_id=flow_run_id, task_run_id=id)
        self.put(
            "artifacts", id=ids.new_id(), created=at, updated=at, flow_run_id=flow_run_id, task_run_id=id
        )
        return id

    def subflow(self, parent, days=100.0, kind="COMPLETED", within=None, **extra):
        """A flow run that a task run of `parent` represents; `within` the process of that root."""
        task = self.task_run(parent, days)
        return self.flow_run(days, kind, parent_task_run_id=task, root_flow_run_id=within, **extra)

    def log(self, days, **of):
        row = {"name": "n", "level": 20, "message": "m", "timestamp": self.now - int(days * DAY)}
        self.put("logs", id=ids.new_id(), **row, **of)

    def result(self, key, expires_days_ago=None, place=None, **of):
        expires = None if expires_days_ago is None else self.now - int(expires_days_ago * DAY)
        data = None if place else "ZGF0YQ=="
        row = {"key": key, "created": self.now, "expires": expires, "serializer": "{}", "data": data}
        self.put("results", **row, place=place, **of)

    def background(self, days=100.0, done=True, upstream=()):
        """A background task run, finished or waiting."""
        id = self.task_run(None, days, "COMPLETED" if done else "SCHEDULED")
        at = self.now - int(days * DAY)
        self.put(
            "background_tasks", task_run_id=id, created=at, task="t", payload="", done=at if done else None
        )
        for other in upstream:
            self.put("background_waits", task_run_id=id, upstream_id=other)
        return id


def there(database, table, column="id"):
    """The ids in a table."""
    with database.transaction(write=False) as tx:
        return {row[column] for row in tx.all(f"SELECT {column} FROM {table}")}


def orphans(database):
    """References to missing rows."""
    with database.transaction(write=False) as tx:
        return [
            (table, column, row[column])
            for table, column, (target,) in REFERENCES
            for row in tx.all(
                f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL "
                f"AND {column} NOT IN (SELECT id FROM {target})"
            )
        ]


def counts(database, tables):
    """The number of rows per table."""
    with database.transaction(write=False) as tx:
        return {table: tx.value(f"SELECT count(*) FROM {table}") for table in tables}
