"""`runyard deploy`: a project's file, or one flow with flags, becomes deployments."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from runyard_cli.commands import deploy_project as steps
from runyard_cli.commands import deploy_show as show
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

# The titles of the help, each with its options.
_PLACE, _SCHEDULES, _PARAMETERS, _WORDS = (
    "Where its runs start", "Schedules and triggers", "Parameters", "Description",
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
    tag: Annotated[
        list[str], many("-t", "--tag", help="A tag; those given replace the file's.", rich_help_panel=_WORDS)
    ],
    job_variable: Annotated[
        list[str],
        many(
            "-jv",
            "--job-variable",
            help="A job variable, or a JSON object of them.",
            metavar="KEY=VALUE",
            rich_help_panel=_PLACE,
        ),
    ],
    cron: Annotated[
        list[str], many("--cron", help="Add a schedule, such as '0 6 * * *'.", rich_help_panel=_SCHEDULES)
    ],
    interval: Annotated[
        list[str],
        many("--interval", help="Add a schedule: every so many seconds, or 10m.", rich_help_panel=_SCHEDULES),
    ],
    rrule: Annotated[
        list[str], many("--rrule", help="Add a schedule by a recurrence rule.", rich_help_panel=_SCHEDULES)
    ],
    param: Annotated[
        list[str],
        many(
            "--param",
            help="A parameter; the value is JSON or text.",
            metavar="KEY=VALUE",
            rich_help_panel=_PARAMETERS,
        ),
    ],
    trigger: Annotated[
        list[str],
        many(
            "--trigger",
            help="A trigger, or a .yaml or .json file with `triggers`; instead of the file's.",
            metavar="JSON|FILE",
            rich_help_panel=_SCHEDULES,
        ),
    ],
    sla: Annotated[list[str], many("--sla", help="Refused: a feature of Prefect Cloud.", hidden=True)],
    entrypoint: Annotated[
        str | None,
        argument("ENTRYPOINT", help="A flow, as path/file.py:function; with flags instead of a file."),
    ] = None,
    everything: Annotated[bool, option("-a", "--all", help="Every deployment of the file.")] = False,
    pool: Annotated[str | None, option("-p", "--pool", help="The work pool.", rich_help_panel=_PLACE)] = None,
    work_queue: Annotated[
        str | None, option("-q", "--work-queue", help="The pool's queue.", rich_help_panel=_PLACE)
    ] = None,
    description: Annotated[
        str | None, option("-d", "--description", help="Its description.", rich_help_panel=_WORDS)
    ] = None,
    version: Annotated[str | None, option("--version", help="Its version.", rich_help_panel=_WORDS)] = None,
    version_type: Annotated[
        str | None,
        option(
            "--version-type",
            metavar="TYPE",
            parser=one_of(VERSION_TYPES),
            help="Where its version comes from.",
            rich_help_panel=_WORDS,
        ),
    ] = None,
    concurrency_limit: Annotated[
        int | None,
        whole("-cl", "--concurrency-limit", help="How many of its runs at once.", rich_help_panel=_PLACE),
    ] = None,
    collision_strategy: Annotated[
        Literal["ENQUEUE", "CANCEL_NEW"] | None,
        option(
            "--collision-strategy", help="What happens to a run beyond the limit.", rich_help_panel=_PLACE
        ),
    ] = None,
    anchor_date: Annotated[
        str | None,
        option(
            "--anchor-date", help="The time from which intervals are counted.", rich_help_panel=_SCHEDULES
        ),
    ] = None,
    timezone: Annotated[
        str | None,
        option(
            "--timezone",
            help="Time zone of the schedules, such as Europe/Berlin.",
            rich_help_panel=_SCHEDULES,
        ),
    ] = None,
    params: Annotated[
        str | None,
        option(
            "--params",
            help="Parameters as a JSON object; - reads standard input.",
            metavar="JSON",
            rich_help_panel=_PARAMETERS,
        ),
    ] = None,
    enforce_parameter_schema: Annotated[
        bool | None,
        option(
            "--enforce-parameter-schema/--no-enforce-parameter-schema",
            help="Refuse runs with other parameters.",
            rich_help_panel=_PARAMETERS,
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
        bool,
        option(
            "--plan",
            "--dry-run",
            help="Only show what would change, by default of all; exit code 2 if anything would.",
        ),
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
        "enforce_parameter_schema": enforce_parameter_schema,
    }
    if schema:
        from runyard.deployments.project.project_schema import json_schema

        out.print_data(json_schema(), output or "json")
        return
    _refuse_contradictions(names, everything, prune, only_plan, watching, sla)
    if watching:
        from runyard_cli.commands.deploy_watch import watch

        watch(prefect_file, [word for word in sys.argv[1:] if word != "--watch"])

    asks = out.at_keyboard() and not (only_plan or prune or output)
    project = steps.read(entrypoint, prefect_file, names, refuse=asks)
    client = connect()
    answers = before = None
    if asks:
        from runyard_cli.commands.deploy_ask import Answers, offer_pools

        before = partial(offer_pools, client)
        answers = Answers(project, entrypoint, names, everything, options)
        answers.ask()
        entrypoint, names, everything = answers.entrypoint, list(answers.names), answers.everything
    looks_at_all = only_plan and not names and entrypoint is None and _has_named(project)
    with out.prints_aside(bool(output)):
        wanted = steps.plan(
            client,
            project,
            names,
            overrides_of(entrypoint, options),
            before,
            everything=everything or prune or looks_at_all,
            steps=not only_plan,
            push=upload,
            may_be_none=prune,
        )
    wanted.body.prune = prune
    if only_plan:
        context.exit(_show_plan(client, project, wanted, output, whole_command=not (everything or prune)))
    if prune:
        _confirm_deletions(steps.apply(client, wanted.body, True, project), yes)
    applied = steps.apply(client, wanted.body, project=project)
    if output:
        out.print_data(applied, output)
        return
    show.announce(applied)
    show.next_step(client, applied)
    if answers is not None:
        answers.offer_to_save(prefect_file)


def _has_named(project: Any) -> bool:
    return any(entry.spec.name for entry in project.entries)


def _show_plan(client: Client, project: Any, wanted: Any, output: str | None, whole_command: bool) -> int:
    """Show what a deploy would change; the exit code.

    Args:
        whole_command: it planned all deployments of the file without being told so.
    """
    applied = steps.apply(client, wanted.body, True, project)
    changes = any(each.action not in ("unchanged", "left") for each in applied)
    if output:
        out.print_data(show.plan_json(applied, wanted.unknown), output)
        return 2 if changes else 0
    show.show_plan(applied, wanted.unknown)
    steps.warn_of_places(client, applied, steps.pools_by_name(client, applied))
    if changes:
        several = sum(each.action != "left" for each in applied) > 1
        more = ", with --all instead of it" if whole_command and several and wanted.body.whole else ""
        out.hint(f"Apply it: the same command without --plan{more}.")
    return 2 if changes else 0


def _confirm_deletions(applied: Sequence[Any], yes: bool) -> None:
    """Show what --prune deletes before it does."""
    gone = [show.name_of(each) for each in applied if each.action == "deleted"]
    for name in gone:
        out.progress(
            f"'{name}' is no longer in the file; its schedules and waiting runs are deleted with it."
        )
    if gone:
        out.confirm(f"Delete {len(gone)} deployment{'s' if len(gone) > 1 else ''}?", yes)


def _refuse_contradictions(
    names: list[str], everything: bool, prune: bool, only_plan: bool, watching: bool, sla: list[str]
) -> None:
    if everything and names:
        raise WrongUsage("--all and --name exclude each other.")
    if prune and names:
        raise WrongUsage("--prune looks at the whole file; leave out --name.")
    if watching and only_plan:
        raise WrongUsage("--watch and --plan exclude each other.")
    if sla:
        raise WrongUsage("--sla is a feature of Prefect Cloud.")
