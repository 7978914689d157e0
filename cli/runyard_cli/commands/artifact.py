"""`runyard artifact`: what runs left for people to read."""

from __future__ import annotations

import json
from typing import Any

import click
from runyard.base.texts import visible

from runyard_cli.shared import output as out
from runyard_cli.shared.click_classes import Count, group, output_option, yes_option
from runyard_cli.shared.client import connect, listed

artifact = group(
    "artifact",
    "See artifacts: markdown, tables, links, images and progress that runs left. Those with one key are "
    "versions of one thing.",
    "runyard artifact ls",
)
_COLUMNS = ["ID", "Key", "Type", "Updated"]


@artifact.command("ls", example="runyard artifact ls --all")
@click.option("-l", "--limit", type=Count(1), default=100, show_default=True, help="How many at most.")
@click.option(
    "-a", "--all", "everything", is_flag=True, help="Every version, not only the newest of each key."
)
@output_option
def ls(limit: int, everything: bool, output: str | None) -> None:
    """List the newest artifact of each key."""
    from runyard.operations.records import stored_artifacts

    which = stored_artifacts.filter_artifacts if everything else stored_artifacts.filter_latest_artifacts
    found = list(listed(connect(), which, limit=limit))
    if output:
        out.print_json(found)
        return
    rows = [[each.id, each.key, each.type, out.ago(each.updated)] for each in found]
    empty = "No artifacts." if everything else "No artifacts with a key; see all: runyard artifact ls --all"
    out.table("Artifacts", _COLUMNS, rows, empty)


@artifact.command("inspect", example="runyard artifact inspect sales-report")
@click.argument("key", metavar="KEY|ID")
@click.option("-l", "--limit", type=Count(1), default=10, show_default=True, help="How many versions.")
@output_option
def inspect(key: str, limit: int, output: str | None) -> None:
    """Show an artifact's newest version, and list the others."""
    client = connect()
    found = _versions(client, key, limit)
    if output:
        out.print_json(found)
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
    click.echo()
    text = newest.data if isinstance(newest.data, str) else json.dumps(newest.data, indent=2)
    click.echo(visible(text) if out.on_terminal() else text)
    if older:
        click.echo()
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
@click.argument("key", metavar="[KEY]", required=False)
@click.option("--id", "artifact_id", help="Delete one version, by its id.")
@yes_option
def delete(key: str | None, artifact_id: str | None, yes: bool) -> None:
    """Delete all versions of a key, or one artifact by its id."""
    from runyard.operations.records import stored_artifacts

    if (key is None) == (artifact_id is None):
        raise click.UsageError("Give a KEY or --id, one of them.")
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
