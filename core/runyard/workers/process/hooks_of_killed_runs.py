"""Calls the hooks of a run whose process was killed, in another process.

Users rely on `on_crashed` and `on_cancellation` to learn about failed runs. So these hooks must run also if
the kernel killed the process, for example as the machine ran out of memory.
"""

from __future__ import annotations

import logging
import sys
import traceback
from typing import TYPE_CHECKING

from runyard.base import clock
from runyard.client.engine_client import shared_client
from runyard.domain.states import State
from runyard.engine.effects import drive
from runyard.engine.hooks import call_hooks
from runyard.engine.run_objects import FlowRun
from runyard.operations.records.logs import LogCreate, create_logs
from runyard.workers.process.claimed_flow import load, read
from runyard.workers.process.process_constants import HOOKED

if TYPE_CHECKING:
    from runyard.client import Client


class _ToRun(logging.Handler):
    """A log handler that stores records as logs of the run."""

    def __init__(self, client: Client, flow_run_id: str) -> None:
        super().__init__()
        self._client = client
        self._flow_run_id = flow_run_id

    def emit(self, record: logging.LogRecord) -> None:
        """Store one record."""
        body = LogCreate(
            name=record.name,
            level=record.levelno,
            message=self.format(record),
            timestamp=clock.now(),
            flow_run_id=self._flow_run_id,
        )
        self._client.call(create_logs, [body])


def call(flow_run_id: str) -> int:
    """Load the flow of an ended run and call the hooks of its final state.

    Returns:
        The exit code: 0 if the hooks were called, also if they raised errors.
    """
    told = read(flow_run_id)
    its = told["flow_run"]
    state = State.from_json(its["state"])
    if state.type not in HOOKED:
        return 0
    try:
        flow, parameters = load(told)
    except Exception:
        print("The hooks of this run cannot be called:", file=sys.stderr)
        traceback.print_exc()
        return 1
    run = FlowRun(flow_run_id, its["name"], flow.name, its["tags"])
    run.deployment_id, run.flow_id, run.run_count = its["deployment_id"], its["flow_id"], its["run_count"]
    run.parameters = parameters
    run.enter(state)
    drive(call_hooks(flow, run, lambda: _logger(flow_run_id)))
    return 0


def _logger(flow_run_id: str) -> logging.Logger:
    log = logging.Logger("runyard.flow_runs")
    log.addHandler(_ToRun(shared_client(), flow_run_id))
    return log
