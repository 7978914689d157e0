"""`runyard artifact`: what runs left for people to read."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from runyard.base.texts import visible

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.client import connect, listed
from runyard_cli.shared.options import Output, Yes, argument, option, whole

artifact = App(
    "artifact",
    "See artifacts: markdown, tables, links, images and progress that runs left. Those with one key are "
    "versions of one thing.",
    "runyard artifact ls",
)
_COLUMNS = ["ID", "Key", "Type", "Updated"]


@artifact.command("ls", example="runyard artifact ls --all")
def ls(
    limit: Annotated[int, whole("-l", "--limit", help="How many at most.", least=1, show_default=True)] = 100,
    everything: Annotated[
        bool, option("-a", "--all", help="Every version, not only the newest of each key.")
    ] = False,
    output: Output = None,
) -> None:
    """List the newest artifact of each key."""
    from runyard.operations.records import stored_artifacts

    which = stored_artifacts.filter_artifacts if everything else stored_artifacts.filter_latest_artifacts
    found = list(listed(connect(), which, limit=limit))
    if output:
        out.print_data(found, output)
        return
    rows = [[each.id, each.key, each.type, out.ago(each.updated)] for each in found]
    empty = "No artifacts." if everything else "No artifacts with a key; see all: runyard artifact ls --all"
    out.table("Artifacts", _COLUMNS, rows, empty)


@artifact.command("inspect", example="runyard artifact inspect sales-report")
def inspect(
    key: Annotated[str, argument("KEY|ID")],
    limit: Annotated[int, whole("-l", "--limit", help="How many versions.", least=1, show_default=True)] = 10,
    output: Output = None,
) -> None:
    """Show an artifact's newest version, and list the others."""
    client = connect()
    found = _versions(client, key, limit)
    if output:
        out.print_data(found, output)
        return
    newest, *older = found
    out.facts(
        [
            ("Key", newest.key),
            ("Type", newest.type),
            ("Description", newest.description),
            ("ID", newest.id),
            ("Flow run", newest.flow_run_id),
            ("Task run", newest.task_run_id),
            ("Updated", out.local(newest.updated)),
        ]
    )
    typer.echo()
    text = newest.data if isinstance(newest.data, str) else json.dumps(newest.data, indent=2)
    typer.echo(visible(text) if out.on_terminal() else text)
    if older:
        typer.echo()
        out.table(
            "Earlier versions",
            _COLUMNS,
            [[one.id, one.key, one.type, out.ago(one.updated)] for one in older],
            "",
        )


def _versions(client: Any, key: str, limit: int) -> list[Any]:
    from runyard.base.errors import NotFound
    from runyard.operations.records import stored_artifacts

    for field in ("key", "id"):
        found = list(
            listed(client, stored_artifacts.filter_artifacts, limit=limit, artifacts={field: {"any_": [key]}})
        )
        if found:
            return found
    raise NotFound(f"artifact {key!r} not found; see: runyard artifact ls --all")


@artifact.command("delete", example="runyard artifact delete sales-report")
def delete(
    key: Annotated[str | None, argument("KEY")] = None,
    artifact_id: Annotated[str | None, option("--id", help="Delete one version, by its id.")] = None,
    yes: Yes = False,
) -> None:
    """Delete all versions of a key, or one artifact by its id."""
    from runyard.operations.records import stored_artifacts

    if (key is None) == (artifact_id is None):
        raise WrongUsage("Give a KEY or --id, one of them.")
    client = connect()
    if artifact_id is not None:
        found = [client.call(stored_artifacts.read_artifact, artifact_id)]
    else:
        client.call(stored_artifacts.read_latest_artifact, key)
        found = list(listed(client, stored_artifacts.filter_artifacts, artifacts={"key": {"any_": [key]}}))
    count = f"{len(found)} version{'s' if len(found) != 1 else ''}"
    out.confirm(f"Delete {key or artifact_id} ({count})?", yes)
    for each in found:
        client.call(stored_artifacts.delete_artifact, each.id)
    out.done(f"Deleted {count} of {key or artifact_id}.")
