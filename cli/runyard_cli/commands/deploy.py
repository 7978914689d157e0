"""`runyard deploy`: a project's file, or one flow with flags, becomes deployments."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from runyard_cli.commands.deploy_flags import overrides_of
from runyard_cli.shared import output as out
from runyard_cli.shared.click_classes import Command, Count, output_option, yes_option
from runyard_cli.shared.client import connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runyard.client import Client


VERSION_TYPES = (
    "prefect:simple", "vcs:git", "vcs:github", "vcs:gitlab", "vcs:bitbucket", "vcs:azuredevops",
)  # fmt: skip


@click.command(
    "deploy",
    cls=Command,
    example="""runyard deploy --all
        runyard deploy --name daily-etl
        runyard deploy --all --prune --plan
        runyard deploy flows/etl.py:my_etl_flow -n daily-etl -p my-pool --cron '0 6 * * *'""",
)
@click.argument("entrypoint", required=False)
@click.option(
    "-n", "--name", "names", multiple=True, help="Which of the file's deployments, or the new one's name."
)
@click.option("--all", "everything", is_flag=True, help="Every deployment of the file.")
@click.option("-p", "--pool", help="The work pool.")
@click.option("-q", "--work-queue", help="The pool's queue.")
@click.option("-d", "--description", help="Its description.")
@click.option("--version", help="Its version.")
@click.option("--version-type", type=click.Choice(VERSION_TYPES), help="Where its version comes from.")
@click.option("-t", "--tag", multiple=True, help="A tag; those given replace the file's.")
@click.option("-cl", "--concurrency-limit", type=Count(0), help="How many of its runs at once.")
@click.option(
    "--collision-strategy",
    type=click.Choice(["ENQUEUE", "CANCEL_NEW"], case_sensitive=False),
    help="What happens to a run beyond the limit.",
)
@click.option(
    "-jv",
    "--job-variable",
    multiple=True,
    metavar="KEY=VALUE",
    help="A job variable, or a JSON object of them.",
)
@click.option("--cron", multiple=True, help="Add a schedule, such as '0 6 * * *'.")
@click.option("--interval", multiple=True, help="Add a schedule: every so many seconds, or 10m.")
@click.option("--rrule", multiple=True, help="Add a schedule by a recurrence rule.")
@click.option("--anchor-date", help="The time from which intervals are counted.")
@click.option("--timezone", help="Time zone of the schedules, such as Europe/Berlin.")
@click.option("--param", multiple=True, metavar="KEY=VALUE", help="A parameter; the value is JSON or text.")
@click.option("--params", metavar="JSON", help="Parameters as a JSON object; - reads standard input.")
@click.option(
    "--trigger",
    multiple=True,
    metavar="JSON|FILE",
    help="A trigger, or a .yaml or .json file with `triggers`; instead of the file's.",
)
@click.option("--sla", multiple=True, hidden=True, help="Refused: a feature of Prefect Cloud.")
@click.option(
    "--enforce-parameter-schema/--no-enforce-parameter-schema",
    default=None,
    help="Refuse runs with other parameters.",
)
@click.option(
    "--prefect-file",
    type=click.Path(readable=False),
    default="prefect.yaml",
    show_default=True,
    help="The project's file.",
)
@click.option(
    "--upload/--no-upload", default=True, show_default=True, help="Run the push steps, after those of build."
)
@click.option(
    "--plan", "only_plan", is_flag=True, help="Only show what would change; exit code 2 if anything would."
)
@click.option("--prune", is_flag=True, help="Delete deployments that this file declared and no longer has.")
@click.option(
    "--watch", "watching", is_flag=True, help="Deploy again whenever a file of the project is saved."
)
@click.option("--schema", is_flag=True, help="Print the JSON schema of prefect.yaml, for editors.")
@yes_option
@output_option
@click.pass_context
def deploy(
    context: click.Context,
    entrypoint: str | None,
    names: tuple[str, ...],
    everything: bool,
    prefect_file: str,
    upload: bool,
    only_plan: bool,
    prune: bool,
    watching: bool,
    schema: bool,
    yes: bool,
    output: str | None,
    **options: Any,
) -> None:
    """Create or update deployments: those of the project's file, or one of ENTRYPOINT.

    What the file does not set keeps its value. A schedule that is already there keeps its pause.
    """
    if schema:
        from runyard.deployments.project.project_schema import json_schema

        out.print_json(json_schema())
        return
    _refuse_contradictions(names, everything, prune, only_plan, watching, options)
    if watching:
        from runyard_cli.commands.deploy_watch import watch

        watch(prefect_file, [word for word in sys.argv[1:] if word != "--watch"])
    # Imported modules stay: collecting garbage during the import takes an eighth of the whole command.
    gc.disable()
    try:
        from runyard.deployments.project import plan
    finally:
        gc.enable()

    from runyard_cli.commands import deploy_show as show

    asks = out.at_keyboard() and not (only_plan or prune or output)
    project = _project(entrypoint, prefect_file, names, refuse=asks)
    answers = None
    if asks:
        from runyard_cli.commands.deploy_ask import Answers

        answers = Answers(project, entrypoint, names, everything, options)
        answers.ask()
        entrypoint, names, everything = answers.entrypoint, tuple(answers.names), answers.everything
    client = connect()
    with out.prints_aside(bool(output)):
        wanted = plan.build(
            project,
            names,
            overrides_of(entrypoint, options),
            everything=everything or prune,
            steps=not only_plan,
            push=upload,
            may_be_none=prune,
            say=out.progress,
            accepts=lambda body: _apply(client, body, dry_run=True),
        )
    wanted.body.prune = prune
    _warn_of_unread(client, wanted.body.deployments)
    if only_plan:
        applied = _apply(client, wanted.body, dry_run=True)
        if output:
            out.print_json(show.plan_json(applied, wanted.unknown))
        else:
            show.show_plan(applied, wanted.unknown)
        context.exit(2 if any(each.action not in ("unchanged", "left") for each in applied) else 0)
    if prune:
        _confirm_deletions(_apply(client, wanted.body, dry_run=True), yes)
    applied = _apply(client, wanted.body)
    if output:
        out.print_json(applied)
        return
    show.announce(applied)
    show.next_step(client, applied)
    if answers is not None:
        answers.offer_to_save(prefect_file)


def _project(entrypoint: str | None, prefect_file: str, names: Sequence[str], refuse: bool) -> Any:
    from runyard.deployments.project.read_project import Project, read_project

    if not os.path.exists(prefect_file) and (entrypoint or out.at_keyboard()):
        return Project.empty()
    return read_project(prefect_file, names, refuse)


def _apply(client: Client, wanted: Any, dry_run: bool = False) -> Any:
    from runyard.operations.deployments.deployment_apply import apply_deployments

    return client.call(apply_deployments, body=wanted.model_copy(update={"dry_run": dry_run}))


def _warn_of_unread(client: Client, deployments: Sequence[Any]) -> None:
    """Say which job variables nothing reads: they are most often misspelled."""
    from runyard.base.errors import NotFound
    from runyard.deployments.project import job_variable_warnings
    from runyard.operations.work_pools.work_pools import read_work_pool

    pools: dict[str, Any] = {}
    for each in deployments:
        name = each.work_pool_name
        if name and each.job_variables:
            if name not in pools:
                with suppress(NotFound):  # which the deploy says
                    pools[name] = client.call(read_work_pool, name)
            if name in pools:
                for warning in job_variable_warnings.unread(each.name, pools[name], each.job_variables):
                    out.progress(warning)


def _confirm_deletions(applied: Any, yes: bool) -> None:
    """Show what --prune deletes before it does."""
    from runyard_cli.commands.deploy_show import name_of

    gone = [name_of(each) for each in applied if each.action == "deleted"]
    for name in gone:
        out.progress(
            f"'{name}' is no longer in the file; it is deleted, with its schedules and waiting runs."
        )
    if gone:
        out.confirm(f"Delete {len(gone)} deployment{'s' if len(gone) > 1 else ''}?", yes)


def _refuse_contradictions(
    names: tuple[str, ...],
    everything: bool,
    prune: bool,
    only_plan: bool,
    watching: bool,
    options: dict[str, Any],
) -> None:
    if everything and names:
        raise click.UsageError("--all and --name exclude each other.")
    if prune and names:
        raise click.UsageError("--prune looks at the whole file; leave out --name.")
    if watching and only_plan:
        raise click.UsageError("--watch and --plan exclude each other.")
    if options.pop("sla"):
        raise click.UsageError("--sla is a feature of Prefect Cloud.")
