"""Entering a state: what follows from it for the times and counts of a run. The one place that says so."""

from __future__ import annotations

from runyard.domain.flow_run_rules import keeps_lease, scheduled_us
from runyard.domain.states import PAUSED, RUNNING, SCHEDULED, TERMINAL, State


class RunProgress:
    """How far a flow run or a task run has come. All times are in microseconds since 1970.

    The engine keeps one for each run that it executes; an operation makes one of a run's row.
    """

    __slots__ = (
        "end_us",
        "expected_us",
        "next_scheduled_us",
        "run_count",
        "running_since_us",
        "start_us",
        "state",
        "total_us",
        "was_paused",
    )

    def __init__(self, expected_us: int | None = None) -> None:
        self.expected_us = expected_us
        self.next_scheduled_us: int | None = None
        self.start_us: int | None = None
        self.end_us: int | None = None
        # Since when it is Running; None in other states.
        self.running_since_us: int | None = None
        self.total_us = 0
        self.run_count = 0
        self.was_paused = False
        self.state: State = None  # type: ignore[assignment]  # set by the first `enter`

    def enter(self, state: State, resuming: bool = False) -> None:
        """Take a state, and keep the times and counts that follow from it.

        Args:
            state: with its final time.
            resuming: it goes on after a pause, which is no further run.
        """
        moment, kind = state.timestamp_us, state.type
        if self.running_since_us is not None:
            self.total_us += max(0, moment - self.running_since_us)
            self.running_since_us = None
        if kind == RUNNING:
            if not (resuming or self.was_paused):
                self.run_count += 1
            self.running_since_us = moment
            if self.start_us is None:
                self.start_us = moment
        due = scheduled_us(state) if kind == SCHEDULED else None
        if self.expected_us is None:
            self.expected_us = moment if due is None else due
        # A retry within the process waits there: no other process may take the run meanwhile.
        self.next_scheduled_us = None if due is None or keeps_lease(state) else due
        self.end_us = moment if kind in TERMINAL else None
        self.was_paused = kind == PAUSED
        self.state = state
