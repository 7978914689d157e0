"""`runyard flow-run resume` and `suspend`: runs that wait for a person."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.client import connect
from runyard_cli.shared.lookup import find_flow_run
from runyard_cli.shared.options import Entrypoint, Output, argument, option, seconds
from runyard_cli.shared.run_here import run_again_here
from runyard_cli.shared.values import json_object

resume = App()


@resume.command(
    "resume",
    example="""runyard flow-run resume calm-otter
        runyard flow-run resume calm-otter --input '{"approved": true}'""",
)
def _resume(
    context: typer.Context,
    reference: Annotated[str, argument("RUN")],
    given: Annotated[
        str | None,
        option(
            "-i", "--input", help="The input that the pause asks for; - reads standard input.", metavar="JSON"
        ),
    ] = None,
    entrypoint: Entrypoint = None,
    output: Output = None,
) -> None:
    """Resume a paused or suspended run.

    A paused run continues in its process, a suspended one in its work pool. A run without a deployment
    was suspended by a script: it runs in this process.
    """
    from runyard.base.errors import Conflict, InvalidInput
    from runyard.operations.flow_runs import flow_runs, pauses

    client = connect()
    run = find_flow_run(client, reference)
    suspended = run.state is not None and run.state.state_details.get("pause_reschedule")
    here = bool(suspended and run.deployment_id is None)
    if here and entrypoint is None:
        raise WrongUsage(
            f"flow run '{run.name}' has no deployment; name its code: --entrypoint FILE.py:FLOW."
        )
    if entrypoint is not None and run.state_type == "PAUSED" and not here:
        raise WrongUsage(f"flow run '{run.name}' does not need --entrypoint: its code is known.")
    run_input = json_object(given, "--input") if given is not None else None
    answer = client.call(pauses.resume_flow_run, run.id, pauses.ResumeFlowRun(run_input=run_input, here=here))
    if answer.status == "ABORT":
        raise Conflict(f"flow run '{run.name}' is {run.state_name}, not paused")
    if answer.status == "REJECT":
        state = answer.state.type if answer.state is not None else None
        kind = InvalidInput if state == "PAUSED" else Conflict
        raise kind(f"flow run '{run.name}' cannot be resumed: {answer.details.get('reason')}")
    if here:
        context.exit(run_again_here(client, run, str(entrypoint), output=output))
    if output:
        out.print_data(client.call(flow_runs.read_flow_run, run.id), output)
        return
    out.done(f"Resumed flow run '{run.name}'{': it is scheduled again' if suspended else ''}.")
    out.hint(f"Follow it with: runyard flow-run watch {run.id}")


suspend = App()


@suspend.command("suspend", example="runyard flow-run suspend calm-otter --timeout 3600")
def _suspend(
    reference: Annotated[str, argument("RUN")],
    timeout: Annotated[
        float | None, seconds("--timeout", help="The run fails unless it is resumed within so many seconds.")
    ] = None,
    output: Output = None,
) -> None:
    """Suspend a running run of a deployment: its process is stopped until the run is resumed."""
    from runyard.base import ids
    from runyard.base.errors import Conflict
    from runyard.domain.states import Suspended
    from runyard.operations.flow_runs import flow_runs, pauses

    client = connect()
    run = find_flow_run(client, reference)
    state = Suspended(timeout_seconds=timeout, pause_key=ids.new_id(), message="Suspended on request.")
    proposal: dict[str, Any] = {"flow_run_id": run.id, "attempt": None, "state": state.to_json()}
    answer = client.call(pauses.pause_flow_run, proposal)
    if answer["status"] != "ACCEPT":
        raise Conflict(f"flow run '{run.name}' cannot be suspended: {answer['reason']}")
    if output:
        out.print_data(client.call(flow_runs.read_flow_run, run.id), output)
        return
    out.done(f"Suspended flow run '{run.name}'.")
    out.hint(f"Resume it with: runyard flow-run resume {run.id}")
