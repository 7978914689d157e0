"""`runyard flow-run cancel`, `retry` and `delete`: of named runs, or of all that a filter matches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from runyard.base.quoting import command_of
from runyard.base.texts import counted

from runyard_cli.shared import output as out
from runyard_cli.shared import run_filters as filters
from runyard_cli.shared import values
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.bulk import change_all, check_given
from runyard_cli.shared.client import body, connect
from runyard_cli.shared.lookup import find_flow_run
from runyard_cli.shared.options import DryRun, Entrypoint, Output, Yes, many, option, seconds, words
from runyard_cli.shared.run_filters import RunFilter
from runyard_cli.shared.run_here import run_again_here
from runyard_cli.shared.watch import watched

if TYPE_CHECKING:
    from runyard.client import Client

cancel, retry, delete = App(), App(), App()


@cancel.command(
    "cancel",
    example="""runyard flow-run cancel calm-otter
        runyard flow-run cancel --state Late --deployment daily-etl --dry-run""",
)
def _cancel(
    context: typer.Context,
    references: Annotated[list[str], words("RUN")],
    flow_name: filters.FlowName,
    state: filters.States,
    state_type: filters.StateTypes,
    tag: filters.Tags,
    deployment: filters.Deployment = None,
    pool: filters.Pool = None,
    name: filters.Name = None,
    since: filters.Since = None,
    until: filters.Until = None,
    older_than: filters.OlderThan = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    output: Output = None,
) -> None:
    """Cancel runs; a run that has not started is cancelled at once.

    Instead of RUN, filters choose all runs that wait or run.
    """
    chosen = RunFilter(flow_name, state, state_type, tag, deployment, pool, name, since, until, older_than)
    check_given(references, chosen)
    client = connect()
    if not references:
        context.exit(change_all(client, "cancel", chosen, yes, dry_run, output))
    runs = [find_flow_run(client, reference) for reference in references]
    if dry_run:
        _would("cancel", runs, output)
        return
    changed = [_cancel_one(client, run, output) for run in runs]
    if output:
        out.print_data(changed, output)


def _cancel_one(client: Client, run: Any, output: str | None) -> Any:
    from runyard.base.errors import Conflict
    from runyard.operations.flow_runs import flow_runs

    proposal = body(flow_runs.set_flow_run_state, state={"type": "CANCELLING"}, force=False)
    result = client.call(flow_runs.set_flow_run_state, run.id, body=proposal)
    if result.status == "ABORT":
        reason = result.details.get("reason") or f"it is {run.state_name}"
        raise Conflict(f"flow run '{run.name}' cannot be cancelled: {reason}")
    if not output:
        if result.state is not None and result.state.type == "CANCELLED":
            out.done(f"Cancelled flow run '{run.name}'.")
            out.hint(f"Run it after all with: runyard flow-run retry {run.id}")
        else:
            out.done(f"Cancelling flow run '{run.name}': it is being stopped.")
            out.hint(f"Follow it with: runyard flow-run watch {run.id}")
    return client.call(flow_runs.read_flow_run, run.id) if output else run


@retry.command(
    "retry",
    example="""runyard flow-run retry calm-otter --watch
        runyard flow-run retry - --param size=5
        runyard flow-run retry --state Failed --since yesterday""",
)
def _retry(
    context: typer.Context,
    references: Annotated[list[str], words("RUN")],
    param: Annotated[
        list[str],
        many("--param", metavar="KEY=VALUE", help="Another value of a parameter; it is JSON or text."),
    ],
    flow_name: filters.FlowName,
    state: filters.States,
    state_type: filters.StateTypes,
    tag: filters.Tags,
    params: Annotated[
        str | None,
        option("--params", metavar="JSON", help="Other parameters as a JSON object; - reads standard input."),
    ] = None,
    entrypoint: Entrypoint = None,
    watch: Annotated[
        bool, option("--watch", help="Follow states and logs; exit code 0 only if it completes.")
    ] = False,
    watch_timeout: Annotated[
        float | None, seconds("--watch-timeout", help="Stop following after so many seconds.")
    ] = None,
    deployment: filters.Deployment = None,
    pool: filters.Pool = None,
    name: filters.Name = None,
    since: filters.Since = None,
    until: filters.Until = None,
    older_than: filters.OlderThan = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    output: Output = None,
) -> None:
    """Run ended runs again; tasks whose results were kept do not run again.

    A deployment's run goes back to its work pool. Any other one runs in this process. Instead of RUN, filters
    choose all ended runs of deployments.
    """
    chosen = RunFilter(flow_name, state, state_type, tag, deployment, pool, name, since, until, older_than)
    check_given(references, chosen)
    if len(references) != 1 and (entrypoint or watch or param or params is not None):
        raise WrongUsage("--watch, --param, --params and --entrypoint are for one run.")
    client = connect()
    _notice_lost_runs(client)
    if not references:
        context.exit(change_all(client, "retry", chosen, yes, dry_run, output))
    runs = [find_flow_run(client, reference) for reference in references]
    if dry_run:
        _would("retry", runs, output)
        return
    texts, whole = values.typed(param), values.whole_text(params)
    if len(runs) == 1 and runs[0].deployment_id is None:
        if entrypoint is None and (root := runs[0].root_flow_run_id):
            raise WrongUsage(
                f"flow run '{runs[0].name}' is a subflow run; retry the run that called it: "
                f"{command_of('runyard flow-run retry', root)}"
            )
        if entrypoint is None:
            raise WrongUsage(
                f"flow run '{runs[0].name}' has no deployment; name its code: --entrypoint FILE.py:FLOW."
            )
        context.exit(run_again_here(client, runs[0], entrypoint, param, whole, output))
    if entrypoint is not None:
        raise WrongUsage(f"flow run '{runs[0].name}' has a deployment, which names its code.")
    scheduled = [_retry_one(client, run, texts, whole, output) for run in runs]
    if watch:
        context.exit(watched(client, scheduled[0], watch_timeout, output))
    if output:
        out.print_data(scheduled, output)
    else:
        out.hint(f"Follow it with: runyard flow-run watch {runs[0].id}")


def _notice_lost_runs(client: Client) -> None:
    """End the runs whose process was killed a while ago, so that they can be retried."""
    from runyard.operations.recovery import recover_flow_runs

    client.call(recover_flow_runs.recover, body(recover_flow_runs.recover))


def _retry_one(client: Client, run: Any, texts: dict[str, str], whole: str | None, output: str | None) -> Any:
    from runyard.operations.flow_runs.retry_flow_run import FlowRunRetry, retry_flow_run

    change = FlowRunRetry(parameter_texts=texts, parameters_text=whole)
    scheduled = client.call(retry_flow_run, run.id, change)
    if not output:
        out.done(f"Retrying flow run '{run.name}': it is scheduled again.")
    return scheduled


@delete.command(
    "delete",
    example="""runyard flow-run delete 0193c5a2
        runyard flow-run delete --state Failed --older-than 30d --dry-run""",
)
def _delete(
    context: typer.Context,
    references: Annotated[list[str], words("RUN")],
    flow_name: filters.FlowName,
    state: filters.States,
    state_type: filters.StateTypes,
    tag: filters.Tags,
    deployment: filters.Deployment = None,
    pool: filters.Pool = None,
    name: filters.Name = None,
    since: filters.Since = None,
    until: filters.Until = None,
    older_than: filters.OlderThan = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    output: Output = None,
) -> None:
    """Delete runs with their task runs, states and logs.

    Instead of RUN, filters choose all runs that no process executes. To delete old runs regularly, see
    `runyard database prune`.
    """
    from runyard.operations.flow_runs import flow_runs

    chosen = RunFilter(flow_name, state, state_type, tag, deployment, pool, name, since, until, older_than)
    check_given(references, chosen)
    client = connect()
    if not references:
        context.exit(change_all(client, "delete", chosen, yes, dry_run, output))
    runs = [find_flow_run(client, reference) for reference in references]
    if dry_run:
        _would("delete", runs, output)
        return
    out.confirm(f"Delete {', '.join(run.name for run in runs)}?", yes)
    for run in runs:
        client.call(flow_runs.delete_flow_run, run.id)
        if not output:
            out.done(f"Deleted flow run '{run.name}'.")
    if output:
        out.print_data(runs, output)


def _would(action: str, runs: list[Any], output: str | None) -> None:
    """Show what a command would change."""
    if output:
        out.print_data({"action": action, "count": len(runs), "runs": runs}, output)
        return
    names = ", ".join(f"{run.name} ({run.state_name})" for run in runs)
    out.say(f"Would {action} {counted(len(runs), 'flow run')}: {names}.")
