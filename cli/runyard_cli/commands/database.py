"""`runyard database`: look after the database itself."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from runyard_cli.commands.database_prune import prune
from runyard_cli.commands.database_stats import stats
from runyard_cli.shared import database_files
from runyard_cli.shared import output as out
from runyard_cli.shared.app import App
from runyard_cli.shared.options import DryRun, Output, Yes, argument, option

database = App(
    "database",
    "Check, back up, restore, upgrade and empty the database.",
    "runyard database backup ~/runyard-backup.db",
)
database.add_typer(prune)
database.add_typer(stats)


@database.command("path", example="runyard database path")
def path() -> None:
    """Print where the database is.

    With an API, it is the database of this machine, which commands do not use.
    """
    from runyard import settings
    from runyard.base.url_passwords import hidden
    from runyard.store import database_maintenance

    typer.echo(database_maintenance.where())
    if settings.get("api_url"):
        out.progress(f"Commands do not use it: they use the API at {hidden(settings.get('api_url'))}")


@database.command("check", example="runyard database check")
def check(output: Output = None) -> None:
    """Check whether the database is damaged.

    Reads the whole database, and changes nothing.
    """
    from runyard.base.errors import DatabaseCorrupt
    from runyard.store import database_maintenance

    report = database_maintenance.check()
    if output:
        out.print_data(report._asdict(), output)
    else:
        out.facts(
            [
                ("Database", report.where),
                ("Schema", f"{report.schema} of {report.newest_schema}"),
                ("Steps to do", report.steps_to_do),
                ("Size", f"{report.size_bytes / 1e6:.1f} MB"),
                ("Flow runs", report.flow_runs),
            ]
        )
    if report.problems:
        raise DatabaseCorrupt(
            f"{report.where} is damaged ({report.problems[0]}); restore a backup, or move it away"
        )
    if not output:
        out.done("The database is not damaged.")


@database.command(
    "backup",
    example="""runyard database backup ~/runyard-backup.db
        runyard database backup ~/runyard-backup.db --results --overwrite""",
)
def backup(
    target: Annotated[str, argument("TARGET")],
    overwrite: Annotated[bool, option("--overwrite", help="Replace the files if they exist.")] = False,
    with_key: Annotated[
        bool, option("--key/--no-key", help="Copy the key of the secrets to TARGET.key, or do not.")
    ] = True,
    with_results: Annotated[
        bool, option("--results", help="Copy large results to TARGET.results.tar.")
    ] = False,
    output: Output = None,
) -> None:
    """Copy the database to the file TARGET while it is in use.

    The key of its secrets is copied to TARGET.key. Without it they cannot be read; with both files, anyone
    can read them.
    """
    from runyard.store import database_backups

    made = database_backups.backup(target, overwrite, with_key, with_results)
    if output:
        out.print_data(made._asdict(), output)
    else:
        database_files.tell_of_backup(made)


@database.command(
    "restore",
    example="""runyard database restore ~/runyard-backup.db
        runyard database restore ~/runyard-backup.db --key ~/keys/runyard.key --yes""",
)
def restore(
    source: Annotated[str, argument("SOURCE")],
    key: Annotated[
        str | None,
        option(
            "--key", metavar="FILE", help="The key of its secrets; by default SOURCE.key, or the present key."
        ),
    ] = None,
    without_key: Annotated[
        bool, option("--without-key", help="Restore it although its secrets cannot be decrypted.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    output: Output = None,
) -> None:
    """Replace the database by the backup SOURCE, with the key of its secrets.

    A backup whose key is missing is refused. Large results are restored from SOURCE.results.tar, if it
    exists. No process may use the database meanwhile. The present database and its key are kept beside it.
    """
    from runyard.store import database_restores

    plan = database_restores.plan_restore(source, key, without_key)
    if not output:
        database_files.show_plan(plan)
    if not dry_run:
        if plan.replaced:
            out.confirm(f"Replace {plan.target}?", yes, "Nothing was restored.")
        database_restores.restore(plan)
    if output:
        out.print_data({**plan._asdict(), "dry_run": dry_run}, output)
    else:
        database_files.tell_of_restore(plan, dry_run)


@database.command("upgrade", example="runyard database upgrade")
def upgrade(output: Output = None) -> None:
    """Upgrade the database to the schema of this Runyard, while it is in use.

    Creates all indexes too. Every command upgrades the schema by itself; workers and servers create the
    indexes in the background.
    """
    from runyard.client import LocalClient
    from runyard.store import database_maintenance
    from runyard.workers.online_upgrade import count_hours

    steps = []

    def say(step: Any, left: int) -> None:
        steps.append(step)
        if not output:
            out.say(f"Creating {step.name} ({left} left) ...")

    before, after = database_maintenance.upgrade(say)
    client = LocalClient()
    counted = count_hours(client)
    client.close()
    if output:
        done = {"before": before, "after": after, "steps": [step.name for step in steps], "hours": counted}
        out.print_data(done, output)
        return
    if counted:
        out.say(f"Counted the runs of {counted} hours.")
    if before != after:
        out.done(f"Upgraded the database from schema {before} to {after}.")
    elif steps:
        out.done(f"The database is at schema {after}, with all its indexes.")
    else:
        out.say(f"The database is already at schema {after}.")


@database.command("vacuum", example="runyard database vacuum")
def vacuum(output: Output = None) -> None:
    """Return the space of deleted rows to the disk."""
    from runyard.store import database_maintenance

    before, after = database_maintenance.vacuum()
    if output:
        out.print_data({"before_bytes": before, "after_bytes": after}, output)
        return
    out.done(f"Reduced the database from {before / 1e6:.1f} MB to {after / 1e6:.1f} MB.")
