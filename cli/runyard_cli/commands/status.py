"""`runyard status`, and `runyard` alone: where things stand, and what to do next."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.client import connect
from runyard_cli.shared.options import Output, Watch, option, whole

if TYPE_CHECKING:
    from runyard.client import Client

_PROJECT_FILE = "prefect.yaml"
_WATCH_SECONDS = 2.0
# Of each kind, so that it fits a screen.
_FEW = 3

status = App()


@status.command(
    "status",
    example="""runyard status
        runyard status --since monday
        runyard status -o json""",
)
def _status(
    since: Annotated[
        str,
        option("--since", metavar="TIME", help="Count the runs that ended since then.", show_default=True),
    ] = "yesterday",
    limit: Annotated[
        int, whole("-l", "--limit", help="How many entries of each kind at most.", show_default=True)
    ] = 5,
    watch: Watch = False,
    output: Output = None,
) -> None:
    """Show where things stand: pools, workers, what runs, failed, waits and is due, and what to do next."""
    if watch and output:
        raise WrongUsage("--watch does not go together with -o.")
    client = connect()
    if output:
        out.print_data(_read(client, since, limit), output)
        return
    if not watch:
        _show(_read(client, since, limit), since)
        return
    while True:
        before = client.changes()
        found = _read(client, since, limit)
        out.clear_screen()
        _show(found, since)
        client.wait_for_change(before, _WATCH_SECONDS)


def bare() -> None:
    """What `runyard` alone prints: the overview; before the first use, how to begin."""
    from runyard import settings
    from runyard.store.database_maintenance import where

    settings.check()
    if not settings.get("api_url") and _is_missing(where()):
        from runyard.operations.installation.overview_steps import first_steps

        typer.echo("Deployments, work pools and workers for Python workflows, on one file.\n")
        typer.echo(f"Nothing is here yet: {where()} will be created.\n")
        for step in _here(first_steps()):
            typer.echo(f"  {step['text']}")
            out.hint(f"    {step['command']}")
    else:
        _show(_read(connect(), "yesterday", _FEW), "yesterday")
    typer.echo(f"\nAll commands: {typer.style('runyard --help', fg='cyan')}")


def _is_missing(database: str) -> bool:
    return "://" not in database and not os.path.exists(database)


def _read(client: Client, since: str, limit: int) -> dict[str, Any]:
    from runyard.base import clock
    from runyard.operations.installation.overview import read_overview

    from runyard_cli.shared import values

    moment = clock.format_time(values.past(since))
    found = client.call(read_overview, since=moment, limit=limit)
    return {**found, "steps": _here(found["steps"])}


def _here(steps: list[dict[str, str]]) -> list[dict[str, str]]:
    """The steps for the folder of this process: in a project, its deployments are the next step."""
    if not os.path.exists(_PROJECT_FILE):
        return steps
    text = f"No deployment exists yet; {_PROJECT_FILE} declares them."
    deploy = {"code": "no_deployment", "text": text, "command": "runyard deploy --all"}
    return [deploy if step["code"] == "no_deployment" else step for step in steps]


def _show(found: dict[str, Any], since: str) -> None:
    from runyard import settings
    from runyard.base.url_passwords import hidden
    from runyard.store.database_maintenance import where

    from runyard_cli.shared import status_text

    place = hidden(settings.get("api_url")) or where()
    width = shutil.get_terminal_size().columns if out.on_terminal() else None
    status_text.show(status_text.lines(found, place, since), width)
