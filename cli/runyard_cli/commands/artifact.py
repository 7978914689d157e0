"""`runyard artifact`: what runs left for people to read."""

from __future__ import annotations

from typing import Annotated, Any

from runyard.base.texts import counted

from runyard_cli.shared import artifact_data
from runyard_cli.shared import output as out
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.client import body, connect, listed
from runyard_cli.shared.details import Section, show_details
from runyard_cli.shared.lists import Column, Listing, Page, View, cut, show_list
from runyard_cli.shared.options import (
    Columns,
    DryRun,
    Limit,
    ListOutput,
    Output,
    Sort,
    Watch,
    Yes,
    argument,
    option,
    whole,
)

artifact = App(
    "artifact",
    "See artifacts: markdown, tables, links, images and progress that runs left. Those with one key are "
    "versions of one thing.",
    "runyard artifact ls",
    aliases={"rm": "delete"},
)


def _listing(output: str | None, title: str = "Artifacts", empty: str = "") -> Listing:
    return Listing(
        title,
        (
            # Artifacts without a key are named by their ids.
            Column("Key", lambda each: each.key or (each.id if output == "name" else None), "name"),
            Column("Type", lambda each: each.type),
            Column("Updated", lambda each: each.updated, "time"),
            Column("Description", lambda each: each.description, wide=True),
            Column("Flow run", lambda each: each.flow_run_id, wide=True),
            Column("ID", lambda each: each.id, "id"),
        ),
        empty,
    )


@artifact.command(
    "ls",
    example="""runyard artifact ls --all
        runyard artifact ls --flow-run rapid-hare""",
)
def ls(
    everything: Annotated[
        bool, option("-a", "--all", help="Every version, not only the newest of each key.")
    ] = False,
    flow_run: Annotated[
        str | None, option("--flow-run", metavar="RUN", help="Every artifact of this flow run.")
    ] = None,
    limit: Limit = 100,
    sort: Sort = None,
    columns: Columns = None,
    watch: Watch = False,
    output: ListOutput = None,
) -> None:
    """List the newest artifact of each key."""
    from runyard.operations.records import stored_artifacts

    client = connect()
    wanted: dict[str, Any] = {}
    if flow_run is not None:
        from runyard_cli.shared.lookup import find_flow_run

        wanted = {"flow_runs": {"id": {"any_": [find_flow_run(client, flow_run).id]}}}
    which: Any = stored_artifacts.filter_artifacts
    count: Any = stored_artifacts.count_artifacts
    empty = "This run has no artifacts." if wanted else "No artifacts."
    if not (everything or wanted):
        which, count = stored_artifacts.filter_latest_artifacts, stored_artifacts.count_latest_artifacts
        empty = "No artifacts with a key; see all with: runyard artifact ls --all"

    def read() -> Page:
        if sort:
            return cut(list(listed(client, which, **wanted)), limit)
        found = list(listed(client, which, limit=limit or None, **wanted))
        return Page(found, client.call(count, body=body(count, **wanted)))

    show_list(_listing(output, empty=empty), read, View(output, columns, sort, watch), client)


@artifact.command("inspect", example="runyard artifact inspect sales-report")
def inspect(
    key: Annotated[str, argument("KEY|ID")],
    limit: Annotated[int, whole("-l", "--limit", help="How many versions.", least=1, show_default=True)] = 10,
    output: Output = None,
) -> None:
    """Show an artifact's newest version, and list the others."""
    from runyard.operations.records import stored_artifacts

    client = connect()
    newest = client.call(stored_artifacts.find_artifact, reference=key)
    found = _versions(client, newest, limit) if newest.key == key else [newest]
    if output:
        out.print_data(found, output)
        return
    newest, *older = found
    facts = [
        ("Type", newest.type),
        ("Description", newest.description),
        ("Updated", newest.updated),
        ("ID", newest.id),
    ]
    made_by = [("Flow run", _flow_run(client, newest.flow_run_id)), ("Task run", newest.task_run_id)]
    heading = f"Artifact {newest.key}" if newest.key else "Artifact"
    show_details(heading, [Section("Details", facts), Section("Created by", made_by)])
    out.say("")
    artifact_data.show(newest.type, newest.data)
    if older:
        out.say("")
        show_list(_listing(None, "Earlier versions"), lambda: Page(older, len(older)), View())


def _flow_run(client: Any, flow_run_id: str | None) -> str | None:
    """The name and the id of a flow run; only the id if it was deleted."""
    from runyard.base.errors import NotFound
    from runyard.operations.flow_runs.flow_runs import read_flow_run

    if flow_run_id is None:
        return None
    try:
        return f"{client.call(read_flow_run, flow_run_id).name} ({flow_run_id})"
    except NotFound:
        return flow_run_id


def _versions(client: Any, newest: Any, limit: int | None) -> list[Any]:
    """The newest versions of the key of an artifact; only itself if it has none."""
    from runyard.operations.records import stored_artifacts

    if newest.key is None:
        return [newest]
    wanted = {"key": {"any_": [newest.key]}}
    return list(listed(client, stored_artifacts.filter_artifacts, limit=limit, artifacts=wanted))


@artifact.command(
    "delete",
    example="""runyard artifact delete sales-report
        runyard artifact delete --id 01a206d5-70f1-78bb-bf95-fee96ea31d92""",
)
def delete(
    key: Annotated[str | None, argument("KEY")] = None,
    artifact_id: Annotated[str | None, option("--id", help="Delete one version, by its id.")] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    output: Output = None,
) -> None:
    """Delete all versions of a key, or one artifact by its id."""
    from runyard.base.errors import NotFound
    from runyard.operations.records import stored_artifacts

    if (key is None) == (artifact_id is None):
        raise WrongUsage("Give a KEY or --id, one of them.")
    client = connect()
    newest = client.call(stored_artifacts.find_artifact, reference=str(artifact_id or key))
    if (newest.key == artifact_id) if artifact_id else (newest.key != key):
        where = "its key, without --id" if artifact_id else "its id, with --id"
        raise NotFound(f"artifact {artifact_id or key!r} not found; to delete this one, give {where}")
    found = [newest] if artifact_id else _versions(client, newest, None)
    what = f"artifact '{key or artifact_id}' ({counted(len(found), 'version')})"
    if not dry_run:
        out.confirm(f"Delete {what}?", yes)
        for each in found:
            client.call(stored_artifacts.delete_artifact, each.id)
    if output:
        out.print_data(found, output)
    else:
        out.done(f"{'Would delete' if dry_run else 'Deleted'} {what}.")
