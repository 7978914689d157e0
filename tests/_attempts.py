"""Who holds a run, and what happens to it: calls of operations like a worker's."""

from __future__ import annotations

from datetime import timedelta

from runyard.base import clock
from runyard.operations.flow_runs import flow_runs, renew_leases, report_exit
from runyard.operations.recovery import recover_flow_runs
from runyard.operations.schemas import StateCreate


def propose(client, claimed, state):
    body = flow_runs.SetState(state=StateCreate.of(state), attempt=claimed.attempt)
    return client.call(flow_runs.set_flow_run_state, claimed.flow_run_id, body)


def renew(client, claimed):
    held = [{"flow_run_id": claimed.flow_run_id, "attempt": claimed.attempt}]
    body = renew_leases.RenewLeases.model_validate({"leases": held, "lease_seconds": 30})
    return client.call(renew_leases.renew_leases, body)


def exited(client, claimed, code, message=None, lost=False):
    body = report_exit.ExitReport(
        flow_run_id=claimed.flow_run_id, attempt=claimed.attempt, exit_code=code, message=message, lost=lost
    )
    return client.call(report_exit.report_exit, body)


def recover(client, seconds=60):
    body = recover_flow_runs.RecoverRequest(now=clock.now() + timedelta(seconds=seconds))
    return client.call(recover_flow_runs.recover, body)


def read(client, claimed):
    return client.call(flow_runs.read_flow_run, claimed.flow_run_id)
