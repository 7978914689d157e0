"""The limit of what a run's own process keeps of its log records; what it prints is counted by its worker."""

from __future__ import annotations

import logging
import threading

from runyard.base import ids
from runyard.engine.log_budget import Budget
from runyard.operations.runs.run_records import LogRow


class LogLimit:
    """What one root run, with its tasks and subflows, may still log in this process."""

    def __init__(self) -> None:
        self._budget: Budget[LogRow] | None = None
        self._lock = threading.Lock()

    def begin_process(self) -> None:
        """In a forked child: what was held back is its parent's to write."""
        self._lock = threading.Lock()
        self.take_end()

    def admit(self, row: LogRow) -> tuple[LogRow, ...]:
        """What is to be kept now: the record, once a line that the limit is reached, or nothing."""
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
        """The last of what was held back, once."""
        with self._lock:
            return [] if self._budget is None else self._budget.take_end()
