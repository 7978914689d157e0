"""`runyard config`: the settings and where their values come from."""

from __future__ import annotations

import click

from runyard_cli import output as out
from runyard_cli.command import group, output_option

config = group("config", "See the settings.", "runyard config view --show-defaults")


@config.command("view", example="runyard config view --show-defaults")
@click.option("--show-defaults/--hide-defaults", default=False, help="Also what was not set.")
@click.option("--show-secrets/--hide-secrets", default=False, help="Show passwords and database URLs.")
@output_option
def view(show_defaults: bool, show_secrets: bool, output: str | None) -> None:
    """Show the settings; those that were set, or all."""
    import os

    from runyard import settings

    rows: list[tuple[str, str, object, str]] = []
    for name, setting in settings.SETTINGS.items():
        own = f"RUNYARD_{name.upper()}"
        source = next((each for each in (own, setting.alias) if each and each in os.environ), None)
        if source is None and not show_defaults:
            continue
        value = settings.get(name)
        if setting.secret and value and not show_secrets:
            value = "********"
        rows.append((own, setting.help, value, source or "default"))
    if output:
        out.print_json([dict(zip(("name", "help", "value", "source"), row, strict=True)) for row in rows])
        return
    for own, text, value, source in rows:
        if show_defaults:
            click.echo(click.style(f"# {text}", dim=True))
        origin = "from the environment" if source == own else f"from {source}"
        click.echo(f"{own}={str(value)!r}  ({'default' if source == 'default' else origin})")
    if not rows:
        click.echo("Nothing is set; see all with: runyard config view --show-defaults", err=True)
