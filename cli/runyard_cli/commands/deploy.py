"""`runyard deploy`: a project's file, or one flow with flags, becomes deployments."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from runyard_cli.commands.deploy_flags import overrides_of
from runyard_cli.shared import output as out
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.client import connect
from runyard_cli.shared.coercion import one_of
from runyard_cli.shared.options import Output, Yes, argument, many, option, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runyard.client import Client


VERSION_TYPES = (
    "prefect:simple", "vcs:git", "vcs:github", "vcs:gitlab", "vcs:bitbucket", "vcs:azuredevops",
)  # fmt: skip


deploy = App()


@deploy.command(
    "deploy",
    example="""runyard deploy --all
        runyard deploy --name daily-etl
        runyard deploy --all --prune --plan
        runyard deploy flows/etl.py:my_etl_flow -n daily-etl -p my-pool --cron '0 6 * * *'""",
)
def _deploy(
    context: typer.Context,
    names: Annotated[
        list[str], many("-n", "--name", help="Which of the file's deployments, or the new one's name.")
    ],
    tag: Annotated[list[str], many("-t", "--tag", help="A tag; those given replace the file's.")],
    job_variable: Annotated[
        list[str],
        many("-jv", "--job-variable", help="A job variable, or a JSON object of them.", metavar="KEY=VALUE"),
    ],
    cron: Annotated[list[str], many("--cron", help="Add a schedule, such as '0 6 * * *'.")],
    interval: Annotated[list[str], many("--interval", help="Add a schedule: every so many seconds, or 10m.")],
    rrule: Annotated[list[str], many("--rrule", help="Add a schedule by a recurrence rule.")],
    param: Annotated[
        list[str], many("--param", help="A parameter; the value is JSON or text.", metavar="KEY=VALUE")
    ],
    trigger: Annotated[
        list[str],
        many(
            "--trigger",
            help="A trigger, or a .yaml or .json file with `triggers`; instead of the file's.",
            metavar="JSON|FILE",
        ),
    ],
    sla: Annotated[list[str], many("--sla", help="Refused: a feature of Prefect Cloud.", hidden=True)],
    entrypoint: Annotated[str | None, argument("ENTRYPOINT")] = None,
    everything: Annotated[bool, option("--all", help="Every deployment of the file.")] = False,
    pool: Annotated[str | None, option("-p", "--pool", help="The work pool.")] = None,
    work_queue: Annotated[str | None, option("-q", "--work-queue", help="The pool's queue.")] = None,
    description: Annotated[str | None, option("-d", "--description", help="Its description.")] = None,
    version: Annotated[str | None, option("--version", help="Its version.")] = None,
    version_type: Annotated[
        str | None,
        option(
            "--version-type",
            metavar="TYPE",
            parser=one_of(VERSION_TYPES),
            help="Where its version comes from.",
        ),
    ] = None,
    concurrency_limit: Annotated[
        int | None, whole("-cl", "--concurrency-limit", help="How many of its runs at once.")
    ] = None,
    collision_strategy: Annotated[
        Literal["ENQUEUE", "CANCEL_NEW"] | None,
        option("--collision-strategy", help="What happens to a run beyond the limit."),
    ] = None,
    anchor_date: Annotated[
        str | None, option("--anchor-date", help="The time from which intervals are counted.")
    ] = None,
    timezone: Annotated[
        str | None, option("--timezone", help="Time zone of the schedules, such as Europe/Berlin.")
    ] = None,
    params: Annotated[
        str | None,
        option("--params", help="Parameters as a JSON object; - reads standard input.", metavar="JSON"),
    ] = None,
    enforce_parameter_schema: Annotated[
        bool | None,
        option(
            "--enforce-parameter-schema/--no-enforce-parameter-schema",
            help="Refuse runs with other parameters.",
        ),
    ] = None,
    prefect_file: Annotated[
        str, option("--prefect-file", help="The project's file.", show_default=True)
    ] = "prefect.yaml",
    upload: Annotated[
        bool,
        option("--upload/--no-upload", help="Run the push steps, after those of build.", show_default=True),
    ] = True,
    only_plan: Annotated[
        bool, option("--plan", help="Only show what would change; exit code 2 if anything would.")
    ] = False,
    prune: Annotated[
        bool, option("--prune", help="Delete deployments that this file declared and no longer has.")
    ] = False,
    watching: Annotated[
        bool, option("--watch", help="Deploy again whenever a file of the project is saved.")
    ] = False,
    schema: Annotated[
        bool, option("--schema", help="Print the JSON schema of prefect.yaml, for editors.")
    ] = False,
    yes: Yes = False,
    output: Output = None,
) -> None:
    """Create or update deployments: those of the project's file, or one of ENTRYPOINT.

    What the file does not set keeps its value. A schedule that is already there keeps its pause.
    """
    options: dict[str, Any] = {
        "pool": pool,
        "work_queue": work_queue,
        "description": description,
        "version": version,
        "version_type": version_type,
        "tag": tag,
        "concurrency_limit": concurrency_limit,
        "collision_strategy": collision_strategy,
        "job_variable": job_variable,
        "cron": cron,
        "interval": interval,
        "rrule": rrule,
        "anchor_date": anchor_date,
        "timezone": timezone,
        "param": param,
        "params": params,
        "trigger": trigger,
        "sla": sla,
        "enforce_parameter_schema": enforce_parameter_schema,
    }
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
        entrypoint, names, everything = answers.entrypoint, list(answers.names), answers.everything
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
            out.print_data(show.plan_json(applied, wanted.unknown), output)
        else:
            show.show_plan(applied, wanted.unknown)
        context.exit(2 if any(each.action not in ("unchanged", "left") for each in applied) else 0)
    if prune:
        _confirm_deletions(_apply(client, wanted.body, dry_run=True), yes)
    applied = _apply(client, wanted.body)
    if output:
        out.print_data(applied, output)
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
    names: list[str],
    everything: bool,
    prune: bool,
    only_plan: bool,
    watching: bool,
    options: dict[str, Any],
) -> None:
    if everything and names:
        raise WrongUsage("--all and --name exclude each other.")
    if prune and names:
        raise WrongUsage("--prune looks at the whole file; leave out --name.")
    if watching and only_plan:
        raise WrongUsage("--watch and --plan exclude each other.")
    if options.pop("sla"):
        raise WrongUsage("--sla is a feature of Prefect Cloud.")
