"""Reads what runs left in the database."""

from __future__ import annotations

import json

from runyard.client import LocalClient
from runyard.engine.flowless_journal import close_journal_without_flow


class Recorded:
    """The content of the database, read with plain SQL."""

    def __init__(self):
        self.client = LocalClient()

    def rows(self, sql, **values):
        close_journal_without_flow()  # which writes a moment later
        with self.client.database.transaction(write=False) as tx:
            return tx.all(sql, values)

    def flow_runs(self, flow=None):
        rows = self.rows(
            "SELECT r.*, f.name AS flow_name FROM flow_runs r JOIN flows f ON f.id = r.flow_id"
            " ORDER BY r.created"
        )
        return [row for row in rows if flow in (None, row["flow_name"])]

    def task_runs(self, name=None):
        rows = self.rows("SELECT * FROM task_runs ORDER BY created, name")
        return [row for row in rows if name is None or row["name"].rpartition("-")[0] == name]

    def states(self, run, kind="task"):
        """The names of the states a run went through."""
        sql = f"SELECT name FROM {kind}_run_states WHERE {kind}_run_id = :id ORDER BY timestamp, id"
        return [row["name"] for row in self.rows(sql, id=run["id"])]

    def state(self, run):
        return json.loads(run["state"])

    def logs(self):
        return [row["message"] for row in self.rows("SELECT * FROM logs ORDER BY timestamp, id")]
