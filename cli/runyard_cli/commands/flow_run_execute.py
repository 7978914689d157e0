"""`runyard flow-run execute`: a deployment's run in this process, as containers do."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.client import connect
from runyard_cli.shared.lookup import find_flow_run
from runyard_cli.shared.options import argument
from runyard_cli.shared.run_here import ended

execute = App()


@execute.command("execute", example="runyard flow-run execute 0193c5a2")
def _execute(context: typer.Context, reference: Annotated[str | None, argument("RUN")] = None) -> None:
    """Run a deployment's run here and now, as containers do; no worker is needed.

    Without RUN it is the one that RUNYARD__FLOW_RUN_ID or PREFECT__FLOW_RUN_ID names. The exit code is 0 when
    it completes. A run that another process executes is refused.
    """
    from runyard.base.errors import Conflict
    from runyard.domain.states import PENDING, SCHEDULED
    from runyard.workers.process import claimed_flow
    from runyard.workers.process.status_channel import StatusChannel

    named = os.environ.get("RUNYARD__FLOW_RUN_ID") or os.environ.get("PREFECT__FLOW_RUN_ID")
    attempt = os.environ.get("RUNYARD__ATTEMPT")
    if reference is None and named and attempt:
        # A worker claimed it for us, and looks after its lease.
        from runyard.workers.process.child import execute

        context.exit(execute(named, int(attempt), None, StatusChannel.inherited()))
    if not (reference or named):
        raise WrongUsage("Name a run, or set RUNYARD__FLOW_RUN_ID.")
    client = connect()
    run = find_flow_run(client, reference or str(named))
    if run.state_type not in (SCHEDULED, PENDING):
        raise Conflict(f"flow run '{run.name}' is {run.state_name}; only a waiting run can be executed")
    from runyard.engine.entry import run_waiting

    flow, parameters = claimed_flow.load_run(run.id)
    context.exit(ended(run, run_waiting(flow, run.id, parameters)))
