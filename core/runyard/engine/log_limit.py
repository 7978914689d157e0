"""Limits the log records of a run's own process; the worker counts the process's output separately."""

from __future__ import annotations

import logging
import threading

from runyard.base import ids
from runyard.engine.log_budget import Budget
from runyard.operations.runs.run_records import LogRow


class LogLimit:
    """The log limit of one root run, with its tasks and subflows, in this process."""

    def __init__(self) -> None:
        self._budget: Budget[LogRow] | None = None
        self._lock = threading.Lock()

    def begin_process(self) -> None:
        """Reset in a forked child: the parent writes the records that were held back."""
        self._lock = threading.Lock()
        self.take_end()

    def admit(self, row: LogRow) -> tuple[LogRow, ...]:
        """The records to store now: the record, or once the notice that the limit is reached, or none."""
        with self._lock:
            budget = self._budget
            if budget is None:
                budget = self._budget = Budget()
            was_over = budget.over
            if budget.admits(row, len(row.message)):
                return (row,)
            if was_over:
                return ()
            notice = row._replace(id=ids.new_id(), level=logging.WARNING, message=budget.notice())
            return (notice,)

    def take_end(self) -> list[LogRow]:
        """Remove and return the last records that were held back."""
        with self._lock:
            return [] if self._budget is None else self._budget.take_end()
