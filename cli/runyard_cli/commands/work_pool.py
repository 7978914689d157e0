"""`runyard work-pool`: where runs start, and how many at once."""

from __future__ import annotations

import json
from typing import Any

import click
from runyard.base.quoting import command_of, quoted

from runyard_cli.shared import output as out
from runyard_cli.shared.click_classes import Count, group, limit_option, output_option, yes_option
from runyard_cli.shared.client import body, connect, listed

work_pool = group(
    "work-pool",
    "Create and manage work pools: where runs start, and how many at once.",
    "runyard work-pool create default-agent-pool --type process",
)


@work_pool.command("create", example="runyard work-pool create my-pool --type process --concurrency-limit 4")
@click.argument("name")
@click.option("-t", "--type", "kind", help="process, docker or kubernetes; or ecs, cloud-run...")
@click.option(
    "--base-job-template", type=click.File(), help="A JSON file instead of the type's own template."
)
@click.option("--description", help="What the pool is for.")
@click.option("--concurrency-limit", type=Count(0), help="How many runs at once.")
@click.option("--paused", is_flag=True, help="Create it paused: no run starts until it is resumed.")
@click.option("--overwrite", is_flag=True, help="Update the pool if it exists.")
@click.option("--set-as-default", is_flag=True, help="Use it when a command names no pool.")
@output_option
def create(
    name: str,
    kind: str | None,
    base_job_template: Any,
    description: str | None,
    concurrency_limit: int | None,
    paused: bool,
    overwrite: bool,
    set_as_default: bool,
    output: str | None,
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
            raise
        fields.pop("type")
        client.call(work_pools.update_work_pool, name, body=body(work_pools.update_work_pool, **fields))
        verb = "Updated"
    pool = client.call(work_pools.read_work_pool, name)
    if base_job_template is not None:
        _warn_of_places(name, pool.base_job_template)
    if set_as_default:
        _set_as_default(name)
    if output:
        out.print_json(pool)
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


def _warn_of_places(name: str, template: dict[str, Any]) -> None:
    """Say which variables of a template lead runs away from the database in which they are recorded."""
    from runyard.deployments.project import job_variable_warnings

    for warning in job_variable_warnings.template_warnings(name, template):
        out.progress(warning)


def _set_as_default(name: str) -> None:
    from runyard import settings
    from runyard.settings import profiles

    profiles.set_values(settings.profile(), {"default_work_pool_name": name})


def _ask_type() -> str:
    from runyard.domain.job_templates import known_types

    types = list(known_types())
    if out.at_keyboard():
        answer: str = click.prompt("Type", type=click.Choice(types), default="process")
        return answer
    raise click.UsageError(f"Missing option '-t' / '--type': one of {', '.join(types)}.")


def template(file: Any) -> dict[str, Any]:
    """The base job template in an open file.

    Raises:
        InvalidInput: it is not a JSON object.
    """
    from runyard.base.errors import InvalidInput

    try:
        found = json.load(file)
    except ValueError as error:
        raise InvalidInput(f"{file.name}: not valid JSON: {error}") from None
    if not isinstance(found, dict):
        raise InvalidInput(f"{file.name}: a base job template must be a JSON object")
    return found


@work_pool.command("ls", example="runyard work-pool ls -o json")
@click.option("-v", "--verbose", is_flag=True, help="Show descriptions and slots in use.")
@output_option
def ls(verbose: bool, output: str | None) -> None:
    """List the work pools."""
    client = connect()
    if output:
        from runyard.operations.work_pools import work_pools

        out.print_json(list(listed(client, work_pools.filter_work_pools)))
        return
    from runyard.operations.work_pools.list_work_pools import list_work_pools

    names = ["name", "type", "status", "id", "concurrency_limit"]
    if verbose:
        names += ["active_slots", "description"]
    rows = [[pool[name] for name in names] for pool in client.call(list_work_pools)]
    columns = [out.heading(name) for name in names]
    out.table("Work pools", columns, rows, "No work pools; create one with: runyard work-pool create NAME")


@work_pool.command("inspect", example="runyard work-pool inspect my-pool")
@click.argument("name")
@output_option
def inspect(name: str, output: str | None) -> None:
    """Show one work pool."""
    from runyard.operations.work_pools import work_pools

    out.show(connect().call(work_pools.read_work_pool, name), output)


def _update(name: str, **fields: Any) -> None:
    from runyard.operations.work_pools import work_pools

    connect().call(work_pools.update_work_pool, name, body=body(work_pools.update_work_pool, **fields))


@work_pool.command("pause", example="runyard work-pool pause my-pool")
@click.argument("name")
def pause(name: str) -> None:
    """Start no more runs of a pool; running ones continue."""
    _update(name, is_paused=True)
    out.done(f"Paused work pool '{name}'.")


@work_pool.command("resume", example="runyard work-pool resume my-pool")
@click.argument("name")
def resume(name: str) -> None:
    """Start runs of a paused pool again."""
    _update(name, is_paused=False)
    out.done(f"Resumed work pool '{name}'.")


@work_pool.command("update", example="runyard work-pool update my-pool --description 'nightly jobs'")
@click.argument("name")
@click.option("--base-job-template", type=click.File(), help="A JSON file with the new template.")
@click.option("--concurrency-limit", type=Count(0), help="How many runs at once.")
@click.option("--description", help="What the pool is for.")
def update(name: str, base_job_template: Any, concurrency_limit: int | None, description: str | None) -> None:
    """Update a work pool; what is not given stays."""
    fields: dict[str, Any] = {}
    if base_job_template is not None:
        fields["base_job_template"] = template(base_job_template)
    if concurrency_limit is not None:
        fields["concurrency_limit"] = concurrency_limit
    if description is not None:
        fields["description"] = description
    if not fields:
        raise click.UsageError("Nothing to update; give one of the options.")
    _update(name, **fields)
    if base_job_template is not None:
        _warn_of_places(name, fields["base_job_template"])
    out.done(f"Updated work pool '{name}'.")


@work_pool.command("set-concurrency-limit", example="runyard work-pool set-concurrency-limit my-pool 4")
@click.argument("name")
@click.argument("limit", type=Count(0))
def set_concurrency_limit(name: str, limit: int) -> None:
    """Let a pool run at most LIMIT runs at once."""
    _update(name, concurrency_limit=limit)
    out.done(f"Work pool '{name}' runs at most {limit} at once.")


@work_pool.command("clear-concurrency-limit", example="runyard work-pool clear-concurrency-limit my-pool")
@click.argument("name")
def clear_concurrency_limit(name: str) -> None:
    """Remove a pool's limit."""
    _update(name, concurrency_limit=None)
    out.done(f"Work pool '{name}' has no concurrency limit now.")


@work_pool.command("preview", example="runyard work-pool preview my-pool --jobs")
@click.argument("name")
@limit_option
@click.option("--jobs", is_flag=True, help="Show the job that a worker here would start for each.")
@output_option
def preview(name: str, limit: int, jobs: bool, output: str | None) -> None:
    """Show the waiting runs of a pool, the next first."""
    from runyard.operations.work_pools import work_pools

    from runyard_cli.shared import upcoming

    client = connect()
    pool = client.call(work_pools.read_work_pool, name).name
    upcoming.preview(client, pool, None, limit, output, jobs=jobs)


@work_pool.command("slots", example="runyard work-pool slots my-pool")
@click.argument("name")
@output_option
def slots(name: str, output: str | None) -> None:
    """Show which runs hold a pool's slots."""
    from runyard.operations.work_pools import work_pools

    from runyard_cli.shared import upcoming

    client = connect()
    found = client.call(work_pools.read_work_pool, name)
    upcoming.slots(client, found.name, None, found.concurrency_limit, output)


@work_pool.command("delete", example="runyard work-pool delete my-pool")
@click.argument("name")
@yes_option
def delete(name: str, yes: bool) -> None:
    """Delete a work pool with its queues."""
    from runyard.operations.work_pools import work_pools

    client = connect()
    client.call(work_pools.read_work_pool, name)
    out.confirm(f"Delete work pool '{name}' and its queues?", yes)
    client.call(work_pools.delete_work_pool, name)
    out.done(f"Deleted work pool '{name}'.")


@work_pool.command(
    "get-default-base-job-template",
    example="runyard work-pool get-default-base-job-template --type process -f template.json",
)
@click.option("-t", "--type", "kind", required=True, help="process, docker or kubernetes.")
@click.option("-f", "--file", type=click.File("w", lazy=True), help="Write it to a file.")
def get_default_base_job_template(kind: str, file: Any) -> None:
    """Print the base job template that pools of a type start with."""
    from runyard.domain import job_templates

    job_templates.check_spelling(kind)
    text = json.dumps(job_templates.default(kind), indent=2)
    if file is None:
        click.echo(text)
        return
    file.write(text + "\n")
    out.done(f"Wrote {file.name}.")
