"""`runyard database`: look after the database itself."""

from __future__ import annotations

import click

from runyard_cli import output as out
from runyard_cli.command import group, output_option

database = group(
    "database", "Check, back up and upgrade the database.", "runyard database backup ~/runyard-backup.db"
)


@database.command("path", example="runyard database path")
def path() -> None:
    """Print where the database is."""
    from runyard.store import maintenance

    click.echo(maintenance.where())


@database.command("check", example="runyard database check")
@output_option
def check(output: str | None) -> None:
    """Read the whole database and say whether it is sound; changes nothing."""
    from runyard.errors import DatabaseCorrupt
    from runyard.store import maintenance

    report = maintenance.check()
    if output:
        out.print_json(report._asdict())
    else:
        out.facts(
            [
                ("Database", report.where),
                ("Schema", f"{report.schema} of {report.newest_schema}"),
                ("Size", f"{report.size_bytes / 1e6:.1f} MB"),
                ("Flow runs", report.flow_runs),
            ]
        )
    if report.problems:
        raise DatabaseCorrupt(
            f"{report.where} is damaged ({report.problems[0]}); restore a backup, or move it away"
        )
    if not output:
        out.done("The database is sound.")


@database.command("backup", example="runyard database backup ~/runyard-backup.db")
@click.argument("target", type=click.Path(dir_okay=False))
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
def backup(target: str, overwrite: bool) -> None:
    """Copy the database to the file TARGET while it is in use."""
    from runyard.store import maintenance

    size = maintenance.backup(target, overwrite)
    out.done(f"Wrote {target} ({size / 1e6:.1f} MB).")


@database.command("upgrade", example="runyard database upgrade")
def upgrade() -> None:
    """Bring the database to this Runyard's schema; every command does so by itself."""
    from runyard.store import maintenance

    before, after = maintenance.upgrade()
    if before == after:
        out.say(f"The database is at schema {after} already.")
    else:
        out.done(f"Upgraded the database from schema {before} to {after}.")


@database.command("vacuum", example="runyard database vacuum")
def vacuum() -> None:
    """Give the space of deleted rows back to the disk."""
    from runyard.store import maintenance

    before, after = maintenance.vacuum()
    out.done(f"The database takes {after / 1e6:.1f} MB; before, {before / 1e6:.1f} MB.")
