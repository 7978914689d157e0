"""`runyard flow-run inspect`: one run in full: what, when, where, why, and the runs inside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from runyard.base.texts import counted

from runyard_cli.shared import output as out
from runyard_cli.shared import times
from runyard_cli.shared.app import App
from runyard_cli.shared.client import connect, listed
from runyard_cli.shared.details import Section, show_details
from runyard_cli.shared.lookup import deployment_names, find_flow_run, flow_names
from runyard_cli.shared.options import Output, argument, option
from runyard_cli.shared.run_lists import run_time
from runyard_cli.shared.run_tree import tracebacks, tree_lines

if TYPE_CHECKING:
    from runyard.client import Client

inspect = App()

# How many runs inside each run are shown: without --tree and with it.
_FEW, _MANY = 10, 1_000
# Below this many seconds after its time a run was not late.
_LATE_SECONDS = 15


@inspect.command(
    "inspect",
    example="""runyard flow-run inspect calm-otter
        runyard flow-run inspect - --tree""",
)
def _inspect(
    reference: Annotated[str, argument("RUN")],
    tree: Annotated[
        bool, option("--tree", help="Show only the runs inside it, all of them, with the errors.")
    ] = False,
    output: Output = None,
) -> None:
    """Show one flow run, the runs inside it, and its artifacts."""
    from runyard.operations.flow_runs import run_tree

    client = connect()
    run = find_flow_run(client, reference)
    if output and not tree:
        out.print_data(run, output)
        return
    root = client.call(run_tree.read_flow_run_tree, run.id, limit=_MANY if tree else _FEW)
    if output:
        out.print_data(root, output)
        return
    if not tree:
        show_details(f"Flow run {run.name}", _sections(client, run, root), state=run.state_name)
        return
    show_details(f"Flow run {run.name}", [], state=run.state_name)
    for line in tree_lines(root, tracebacks(client, root)):
        typer.echo(line)
    if not (root.children or root.left_out):
        typer.echo("No task runs or subflow runs.", err=True)


def _sections(client: Client, run: Any, root: Any) -> list[Section]:
    deployment = deployment_names(client, {run.deployment_id} if run.deployment_id else set())
    created_by = (run.created_by or {}).get("display_value") or (run.created_by or {}).get("type")
    what = Section(
        "What",
        [
            ("Flow", flow_names(client, {run.flow_id}).get(run.flow_id)),
            ("Deployment", deployment.get(run.deployment_id)),
            ("Tags", run.tags),
            ("Created by", created_by),
            ("ID", run.id),
        ],
    )
    return [
        what,
        _why(client, run),
        _when(run),
        Section(
            "Where",
            [
                ("Work pool", run.work_pool_name),
                ("Work queue", run.work_queue_name),
                ("Process", run.infrastructure_pid),
                ("Part of", _root(client, run)),
            ],
        ),
        Section("Parameters", data=run.parameters),
        Section("Job variables", data=run.job_variables),
        _inside(run, root),
        _artifacts(client, run),
    ]


def _root(client: Client, run: Any) -> str | None:
    """The run in whose process a subflow run executes."""
    from runyard.base.errors import NotFound

    if run.root_flow_run_id is None:
        return None
    try:
        root = find_flow_run(client, run.root_flow_run_id)
    except NotFound:
        return str(run.root_flow_run_id)
    return f"{root.name} ({root.id})"


def _when(run: Any) -> Section:
    late = run.estimated_start_time_delta.total_seconds()
    times_run = run.run_count if run.run_count > 1 else None
    crashed = run.crash_count or None
    waits = run.state_type == "SCHEDULED"
    expected = run.expected_start_time if run.start_time is None or late >= _LATE_SECONDS else None
    return Section(
        "When",
        [
            ("Due", run.next_scheduled_start_time if waits else None),
            ("Expected", None if waits else expected),
            ("Started", run.start_time),
            ("Ended", run.end_time),
            ("Took", run_time(run)),
            ("Late by", times.rough(late) if run.start_time and late >= _LATE_SECONDS else None),
            ("Tries", times_run),
            ("Crashes", crashed),
        ],
    )


def _why(client: Client, run: Any) -> Section:
    """Why the run failed, or why it is not running; nothing of a run that went well."""
    if run.state_type == "COMPLETED":
        return Section("", [])
    from runyard.operations.flow_runs import explain

    told = client.call(explain.explain_flow_run, run.id)
    lines = []
    for reason in told.reasons:
        # That a process executes a running run is not worth a line.
        if reason.code == "lease" and run.state_type == "RUNNING":
            continue
        lines.append(times.texts_in_zone(reason.text))
        if reason.command:
            lines.append(typer.style(f"  {reason.command}", fg="cyan"))
    return Section("Why it failed" if told.failure else "Why", lines=lines)


def _inside(run: Any, root: Any) -> Section:
    lines = list(tree_lines(root))
    if root.left_out:
        lines.append(typer.style(f"All of them: runyard flow-run inspect {run.id} --tree", fg="cyan"))
    number = len(root.children) + sum(root.left_out.values())
    return Section(f"Runs inside ({counted(number, 'run')})" if number else "", lines=lines)


def _artifacts(client: Client, run: Any) -> Section:
    from runyard.operations.records import stored_artifacts

    found = listed(client, stored_artifacts.filter_artifacts, artifacts={"flow_run_id": {"any_": [run.id]}})
    lines = [
        "  ".join(str(part) for part in (each.key or each.id, each.type, each.description) if part)
        for each in found
        if each.key or each.type or each.description
    ]
    return Section("Artifacts", lines=lines)
