"""`runyard flow-run`: the executions of flows."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from runyard_cli.commands.flow_run_pause import resume, suspend
from runyard_cli.shared import output as out
from runyard_cli.shared import values
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.client import body, connect, listed
from runyard_cli.shared.logs import Head, Level, NumLogs, Reverse, RunNames, Tail, select
from runyard_cli.shared.lookup import find_flow_run, flow_names
from runyard_cli.shared.options import Entrypoint, Limit, Output, Yes, argument, many, option, seconds
from runyard_cli.shared.run_here import ended, run_again_here
from runyard_cli.shared.run_lists import no_runs, state_filter, when
from runyard_cli.shared.watch import follow as follow_run
from runyard_cli.shared.watch import watched

flow_run = App(
    "flow-run",
    "See flow runs and their logs, cancel them, and see why they wait. "
    "A run is named by its id, the beginning of its id, or its name.",
    "runyard flow-run ls --state Failed",
)


@flow_run.command(
    "ls",
    example="""runyard flow-run ls --flow-name my-etl-flow --state Failed
        runyard flow-run ls --deployment daily-etl --tag nightly --since 2d""",
)
def ls(
    flow_name: Annotated[list[str], many("--flow-name", help="Only runs of this flow.")],
    state: Annotated[list[str], many("--state", help="Only runs in this state, such as Late or Running.")],
    state_type: Annotated[list[str], many("--state-type", help="Only runs in a state of this type.")],
    tag: Annotated[list[str], many("-t", "--tag", help="Only runs with this tag; of several, with all.")],
    deployment: Annotated[
        str | None, option("--deployment", help="Only runs of this deployment: flow/name or an id.")
    ] = None,
    name: Annotated[str | None, option("--name", help="Only runs with this in their name.")] = None,
    since: Annotated[
        str | None,
        option("--since", help="Only runs expected after this time: 2h, 1d, or a time.", metavar="TIME"),
    ] = None,
    until: Annotated[
        str | None, option("--until", help="Only runs expected before this time.", metavar="TIME")
    ] = None,
    limit: Limit = 15,
    output: Output = None,
) -> None:
    """List flow runs, the newest first."""
    from runyard.operations.flow_runs import flow_runs

    client = connect()
    fields: dict[str, Any] = {}
    criteria = {**state_filter(state, state_type), **_of_time(since, until)}
    if tag:
        criteria["tags"] = {"all_": list(tag)}
    if name:
        criteria["name"] = {"like_": name}
    if deployment:
        from runyard.operations.deployments import deployments

        found = client.call(deployments.find_deployment, reference=deployment)
        criteria["deployment_id"] = {"any_": [found.id]}
    if criteria:
        fields["flow_runs"] = criteria
    if flow_name:
        fields["flows"] = {"name": {"any_": list(flow_name)}}
    runs = list(
        listed(client, flow_runs.filter_flow_runs, limit=limit, sort="EXPECTED_START_TIME_DESC", **fields)
    )
    if output:
        out.print_data(runs, output)
        return
    flows = flow_names(client, {run.flow_id for run in runs})
    rows = [[run.id, flows.get(run.flow_id), run.name, run.state_name, when(run)] for run in runs]
    out.table("Flow runs", ["ID", "Flow", "Name", "State", "When"], rows, no_runs("flow runs", state))


def _of_time(since: str | None, until: str | None) -> dict[str, Any]:
    """The part of a run filter on when runs are expected."""
    found = {
        word: values.past(text).isoformat() for word, text in (("after_", since), ("before_", until)) if text
    }
    return {"expected_start_time": found} if found else {}


@flow_run.command("inspect", example="runyard flow-run inspect 0193c5a2")
def inspect(reference: Annotated[str, argument("RUN")], output: Output = None) -> None:
    """Show one flow run and its artifacts."""
    client = connect()
    run = find_flow_run(client, reference)
    out.show(run, output)
    if output:
        return
    from runyard.operations.records import stored_artifacts

    left = list(
        listed(client, stored_artifacts.filter_artifacts, artifacts={"flow_run_id": {"any_": [run.id]}})
    )
    if left:
        rows = [[each.id, each.key, each.type, each.description] for each in left]
        typer.echo()
        out.table("Artifacts", ["Artifact", "Key", "Type", "Description"], rows, "")


@flow_run.command("logs", example="runyard flow-run logs calm-otter --follow")
def logs(
    reference: Annotated[str, argument("RUN")],
    follow: Annotated[bool, option("-f", "--follow", help="Continue until the run has ended.")] = False,
    output: Output = None,
    level: Level = None,
    reverse: Reverse = False,
    num_logs: NumLogs = None,
    tail: Tail = False,
    head: Head = False,
) -> None:
    """Show the log records of a flow run and of its task runs."""
    chosen: dict[str, Any] = {"head": head, "tail": tail, "num_logs": num_logs, "reverse": reverse}
    client = connect()
    run = find_flow_run(client, reference)
    if follow:
        if output or any(chosen.values()):
            raise WrongUsage("--follow goes with --level and no other option.")
        follow_run(client, run, show_states=False, level=level)
        return
    records = select(client, {"flow_run_id": {"any_": [run.id]}}, level=level, **chosen)
    if output:
        out.print_data(records, output)
    else:
        for line in RunNames(client, run).lines(records):
            typer.echo(line)


@flow_run.command("watch", example="runyard flow-run watch calm-otter --timeout 600")
def watch(
    context: typer.Context,
    reference: Annotated[str, argument("RUN")],
    timeout: Annotated[
        float | None, seconds("--timeout", help="Stop following after so many seconds.")
    ] = None,
) -> None:
    """Follow a run's states and logs; exit code 0 only if it completes."""
    client = connect()
    context.exit(watched(client, find_flow_run(client, reference), timeout))


@flow_run.command("cancel", example="runyard flow-run cancel calm-otter")
def cancel(references: Annotated[list[str], argument("RUN")]) -> None:
    """Cancel runs; a run that has not started is cancelled at once."""
    from runyard.base.errors import Conflict
    from runyard.operations.flow_runs import flow_runs

    client = connect()
    for run in [find_flow_run(client, reference) for reference in references]:
        proposal = body(flow_runs.set_flow_run_state, state={"type": "CANCELLING"}, force=False)
        result = client.call(flow_runs.set_flow_run_state, run.id, body=proposal)
        if result.status == "ABORT":
            reason = getattr(result.details, "reason", None) or f"it is {run.state_name}"
            raise Conflict(f"flow run '{run.name}' cannot be cancelled: {reason}")
        if result.state is not None and result.state.type == "CANCELLED":
            out.done(f"Cancelled flow run '{run.name}'.")
        else:
            out.done(f"Cancelling flow run '{run.name}': it is being stopped.")


@flow_run.command("retry", example="runyard flow-run retry calm-otter")
def retry(
    context: typer.Context, reference: Annotated[str, argument("RUN")], entrypoint: Entrypoint = None
) -> None:
    """Run an ended run again; tasks whose results were kept do not run again.

    A deployment's run goes back to its work pool. Any other one runs in this process.
    """
    from runyard.base.errors import Conflict
    from runyard.domain.states import TERMINAL
    from runyard.operations.flow_runs import flow_runs
    from runyard.operations.recovery import recover_flow_runs

    client = connect()
    # What was killed a while ago may not have been noticed yet.
    client.call(recover_flow_runs.recover, body(recover_flow_runs.recover))
    run = find_flow_run(client, reference)
    if run.state_type not in TERMINAL:
        raise Conflict(f"flow run '{run.name}' is {run.state_name}; only an ended run can be retried")
    if run.deployment_id is None:
        if entrypoint is None:
            raise WrongUsage(
                f"flow run '{run.name}' has no deployment; name its code: --entrypoint FILE.py:FLOW."
            )
        context.exit(run_again_here(run, entrypoint))
    if entrypoint is not None:
        raise WrongUsage(f"flow run '{run.name}' has a deployment, which names its code.")
    proposal = body(
        flow_runs.set_flow_run_state, state={"type": "SCHEDULED", "name": "AwaitingRetry"}, force=True
    )
    result = client.call(flow_runs.set_flow_run_state, run.id, body=proposal)
    if result.status != "ACCEPT":
        reason = getattr(result.details, "reason", None) or f"it is {run.state_name}"
        raise Conflict(f"flow run '{run.name}' cannot be retried: {reason}")
    out.done(f"Retrying flow run '{run.name}': it is scheduled again.")


@flow_run.command("execute", example="runyard flow-run execute 0193c5a2")
def execute(context: typer.Context, reference: Annotated[str | None, argument("RUN")] = None) -> None:
    """Run a deployment's run here and now, as containers do; no worker is needed.

    Without RUN it is the one that RUNYARD__FLOW_RUN_ID or PREFECT__FLOW_RUN_ID names. The exit code is 0 when
    it completes. A run that another process executes is refused.
    """
    import os

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


@flow_run.command("delete", example="runyard flow-run delete 0193c5a2")
def delete(references: Annotated[list[str], argument("RUN")], yes: Yes = False) -> None:
    """Delete runs with their task runs, states and logs."""
    from runyard.operations.flow_runs import flow_runs

    client = connect()
    runs = [find_flow_run(client, reference) for reference in references]
    out.confirm(f"Delete {', '.join(run.name for run in runs)}?", yes)
    for run in runs:
        client.call(flow_runs.delete_flow_run, run.id)
        out.done(f"Deleted flow run '{run.name}'.")


@flow_run.command("why", example="runyard flow-run why calm-otter")
def why(reference: Annotated[str, argument("RUN")], output: Output = None) -> None:
    """Explain why a run is not running, and which command would change that."""
    from runyard.operations.flow_runs import explain

    client = connect()
    told = client.call(explain.explain_flow_run, find_flow_run(client, reference).id)
    if output:
        out.print_data(told, output)
        return
    out.say(told.summary)
    for reason in told.reasons:
        out.say(f"- {reason.text}")
        if reason.command:
            out.hint(f"  {reason.command}")


flow_run.add_typer(resume)
flow_run.add_typer(suspend)
