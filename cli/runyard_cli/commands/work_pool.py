"""`runyard work-pool`: where runs start, and how many at once."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from runyard.base.quoting import command_of, quoted

from runyard_cli.commands.work_pool_change import work_pool_change
from runyard_cli.commands.work_pool_show import work_pool_show
from runyard_cli.shared import output as out
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.client import body, connect
from runyard_cli.shared.coercion import one_of
from runyard_cli.shared.job_templates import template, warn_of_places
from runyard_cli.shared.options import Output, argument, option, whole

work_pool = App(
    "work-pool",
    "Create and manage work pools: where runs start, and how many at once.",
    "runyard work-pool create default-agent-pool --type process",
)


@work_pool.command("create", example="runyard work-pool create my-pool --type process --concurrency-limit 4")
def create(
    name: Annotated[str, argument("NAME")],
    kind: Annotated[
        str | None, option("-t", "--type", help="process, docker or kubernetes; or ecs, cloud-run...")
    ] = None,
    base_job_template: Annotated[
        typer.FileText | None,
        option("--base-job-template", help="A JSON file instead of the type's own template."),
    ] = None,
    description: Annotated[str | None, option("--description", help="What the pool is for.")] = None,
    concurrency_limit: Annotated[
        int | None, whole("--concurrency-limit", help="How many runs at once.")
    ] = None,
    paused: Annotated[
        bool, option("--paused", help="Create it paused: no run starts until it is resumed.")
    ] = False,
    overwrite: Annotated[bool, option("--overwrite", help="Update the pool if it exists.")] = False,
    set_as_default: Annotated[
        bool, option("--set-as-default", help="Use it when a command names no pool.")
    ] = False,
    output: Output = None,
) -> None:
    """Create a work pool."""
    from runyard import settings
    from runyard.base.errors import Conflict
    from runyard.domain.job_templates import FOREIGN_TYPES, TYPES, worker_command
    from runyard.operations.work_pools import work_pools
    from runyard.workers.types import served

    fields: dict[str, Any] = {"type": kind or _ask_type()}
    if base_job_template is not None:
        fields["base_job_template"] = template(base_job_template)
    if description is not None:
        fields["description"] = description
    if concurrency_limit is not None:
        fields["concurrency_limit"] = concurrency_limit
    if paused:
        fields["is_paused"] = True
    client = connect()
    verb = "Created"
    try:
        client.call(work_pools.create_work_pool, body=body(work_pools.create_work_pool, name=name, **fields))
    except Conflict:
        if not overwrite:
            see = command_of("runyard work-pool inspect", name)
            raise Conflict(
                f"a work pool {name!r} exists already; use --overwrite to update it, or see: {see}"
            ) from None
        fields.pop("type")
        client.call(work_pools.update_work_pool, name, body=body(work_pools.update_work_pool, **fields))
        verb = "Updated"
    pool = client.call(work_pools.read_work_pool, name)
    if base_job_template is not None:
        warn_of_places(name, pool.base_job_template)
    if set_as_default:
        _set_as_default(name)
    if output:
        out.print_data(pool, output)
        return
    out.done(f"{verb} work pool '{name}' of type {pool.type}.")
    if set_as_default:
        out.done(f"It is the default pool of profile '{settings.profile()}'.")
    if pool.is_paused:
        out.hint(f"It is paused; start it with: {command_of('runyard work-pool resume', name)}")
    if pool.type == "kubernetes" and pool.type in served():
        out.hint(
            "Deploy to it with an image that has Runyard: runyard deploy FILE:FLOW --name NAME "
            f"--pool {quoted(name)} --job-variable image=IMAGE"
        )
    if pool.type in served():
        out.hint(f"Start a worker for it: {worker_command(name, pool.type)}")
    elif pool.type in (*TYPES, *FOREIGN_TYPES):
        out.hint(f"A worker of Prefect for {pool.type} takes its runs: {worker_command(name, pool.type)}")
    else:
        out.hint(f"Its runs wait for a worker of type {pool.type!r}, which Runyard does not have.")


def _set_as_default(name: str) -> None:
    from runyard import settings
    from runyard.settings import profiles

    profiles.set_values(settings.profile(), {"default_work_pool_name": name})


def _ask_type() -> str:
    from runyard.domain.job_templates import known_types

    types = list(known_types())
    if out.at_keyboard():
        answer: str = typer.prompt(f"Type ({', '.join(types)})", default="process", value_proc=one_of(types))
        return answer
    raise WrongUsage(f"Missing option '-t' / '--type': one of {', '.join(types)}.")


work_pool.add_typer(work_pool_show)
work_pool.add_typer(work_pool_change)
