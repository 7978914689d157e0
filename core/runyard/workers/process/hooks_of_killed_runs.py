"""Hooks of a run whose process was killed: it could not call them itself, so another process does.

`on_crashed` and `on_cancellation` are how people learn that a night's job is gone; a kill for want of memory
must not silence them.
"""

from __future__ import annotations

import logging
import sys
import traceback
from typing import TYPE_CHECKING

from runyard.base import clock
from runyard.client.shared_client import shared_client
from runyard.domain.states import State
from runyard.engine.effects import drive
from runyard.engine.hooks import call_hooks
from runyard.engine.runs import FlowRun
from runyard.operations.records.logs import LogCreate, create_logs
from runyard.workers.process.claimed_flow import load, read
from runyard.workers.process.run_environment import HOOKED

if TYPE_CHECKING:
    from runyard.client import Client


class _ToRun(logging.Handler):
    """Keeps records with the run."""

    def __init__(self, client: Client, flow_run_id: str) -> None:
        super().__init__()
        self._client = client
        self._flow_run_id = flow_run_id

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        body = LogCreate(
            name=record.name,
            level=record.levelno,
            message=self.format(record),
            timestamp=clock.now(),
            flow_run_id=self._flow_run_id,
        )
        self._client.call(create_logs, [body])


def call(flow_run_id: str) -> int:
    """Call the hooks of the state that a run has ended in, with its flow loaded as for a run.

    Returns:
        The exit code: 0 when they were called, whatever they raised.
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
