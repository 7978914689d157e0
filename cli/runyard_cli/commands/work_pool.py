"""`runyard work-pool`: where runs start, and how many at once."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from runyard.base.quoting import command_of, quoted

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.client import body, connect, listed
from runyard_cli.shared.coercion import count, one_of
from runyard_cli.shared.lists import Column, Listing, Page, View, cut, show_list
from runyard_cli.shared.options import (
    Columns,
    Limit,
    ListOutput,
    Output,
    Sort,
    Watch,
    Yes,
    argument,
    option,
    whole,
)

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
        answer: str = typer.prompt(f"Type ({', '.join(types)})", default="process", value_proc=one_of(types))
        return answer
    raise WrongUsage(f"Missing option '-t' / '--type': one of {', '.join(types)}.")


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


POOLS = Listing(
    "Work pools",
    (
        Column("Name", lambda pool: pool["name"], "name"),
        Column("Type", lambda pool: pool["type"]),
        Column("Status", lambda pool: pool["status"], "state"),
        Column("Limit", lambda pool: pool["concurrency_limit"]),
        Column("Active slots", lambda pool: pool["active_slots"], wide=True),
        Column("Description", lambda pool: pool["description"], wide=True),
        Column("ID", lambda pool: pool["id"], "id"),
    ),
    "No work pools; create one with: runyard work-pool create NAME",
)


@work_pool.command("ls", example="runyard work-pool ls -o json")
def ls(
    verbose: Annotated[bool, option("-v", "--verbose", help="The same as -o wide.")] = False,
    limit: Limit = 0,
    sort: Sort = None,
    columns: Columns = None,
    watch: Watch = False,
    output: ListOutput = None,
) -> None:
    """List the work pools."""
    client = connect()

    def read() -> Page:
        if output in ("json", "yaml"):
            from runyard.operations.work_pools import work_pools

            return cut(list(listed(client, work_pools.filter_work_pools)), limit)
        from runyard.operations.work_pools.list_work_pools import list_work_pools

        pools: list[Any] = client.call(list_work_pools)
        return cut(pools, limit)

    view = View(output or ("wide" if verbose else None), columns, sort, watch)
    show_list(POOLS, read, view, client)


@work_pool.command("inspect", example="runyard work-pool inspect my-pool")
def inspect(name: Annotated[str, argument("NAME")], output: Output = None) -> None:
    """Show one work pool."""
    from runyard.operations.work_pools import work_pools

    out.show(connect().call(work_pools.read_work_pool, name), output)


def _update(name: str, **fields: Any) -> None:
    from runyard.operations.work_pools import work_pools

    connect().call(work_pools.update_work_pool, name, body=body(work_pools.update_work_pool, **fields))


@work_pool.command("pause", example="runyard work-pool pause my-pool")
def pause(name: Annotated[str, argument("NAME")]) -> None:
    """Start no more runs of a pool; running ones continue."""
    _update(name, is_paused=True)
    out.done(f"Paused work pool '{name}'.")


@work_pool.command("resume", example="runyard work-pool resume my-pool")
def resume(name: Annotated[str, argument("NAME")]) -> None:
    """Start runs of a paused pool again."""
    _update(name, is_paused=False)
    out.done(f"Resumed work pool '{name}'.")


@work_pool.command("update", example="runyard work-pool update my-pool --description 'nightly jobs'")
def update(
    name: Annotated[str, argument("NAME")],
    base_job_template: Annotated[
        typer.FileText | None, option("--base-job-template", help="A JSON file with the new template.")
    ] = None,
    concurrency_limit: Annotated[
        int | None, whole("--concurrency-limit", help="How many runs at once.")
    ] = None,
    description: Annotated[str | None, option("--description", help="What the pool is for.")] = None,
) -> None:
    """Update a work pool; what is not given stays."""
    fields: dict[str, Any] = {}
    if base_job_template is not None:
        fields["base_job_template"] = template(base_job_template)
    if concurrency_limit is not None:
        fields["concurrency_limit"] = concurrency_limit
    if description is not None:
        fields["description"] = description
    if not fields:
        raise WrongUsage("Nothing to update; give one of the options.")
    _update(name, **fields)
    if base_job_template is not None:
        _warn_of_places(name, fields["base_job_template"])
    out.done(f"Updated work pool '{name}'.")


@work_pool.command("set-concurrency-limit", example="runyard work-pool set-concurrency-limit my-pool 4")
def set_concurrency_limit(
    name: Annotated[str, argument("NAME")], limit: Annotated[int, argument("LIMIT", parser=count(0))]
) -> None:
    """Let a pool run at most LIMIT runs at once."""
    _update(name, concurrency_limit=limit)
    out.done(f"Work pool '{name}' runs at most {limit} at once.")


@work_pool.command("clear-concurrency-limit", example="runyard work-pool clear-concurrency-limit my-pool")
def clear_concurrency_limit(name: Annotated[str, argument("NAME")]) -> None:
    """Remove a pool's limit."""
    _update(name, concurrency_limit=None)
    out.done(f"Work pool '{name}' has no concurrency limit now.")


@work_pool.command("preview", example="runyard work-pool preview my-pool --jobs")
def preview(
    name: Annotated[str, argument("NAME")],
    limit: Limit = 15,
    jobs: Annotated[
        bool, option("--jobs", help="Show the job that a worker here would start for each.")
    ] = False,
    output: Output = None,
) -> None:
    """Show the waiting runs of a pool, the next first."""
    from runyard.operations.work_pools import work_pools

    from runyard_cli.shared import upcoming

    client = connect()
    pool = client.call(work_pools.read_work_pool, name).name
    upcoming.preview(client, pool, None, limit, output, jobs=jobs)


@work_pool.command("slots", example="runyard work-pool slots my-pool")
def slots(name: Annotated[str, argument("NAME")], output: Output = None) -> None:
    """Show which runs hold a pool's slots."""
    from runyard.operations.work_pools import work_pools

    from runyard_cli.shared import upcoming

    client = connect()
    found = client.call(work_pools.read_work_pool, name)
    upcoming.slots(client, found.name, None, found.concurrency_limit, output)


@work_pool.command("delete", example="runyard work-pool delete my-pool")
def delete(name: Annotated[str, argument("NAME")], yes: Yes = False) -> None:
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
def get_default_base_job_template(
    kind: Annotated[str, option("-t", "--type", help="process, docker or kubernetes.")],
    file: Annotated[
        typer.FileTextWrite | None, option("-f", "--file", help="Write it to a file.", lazy=True)
    ] = None,
) -> None:
    """Print the base job template that pools of a type start with."""
    from runyard.domain import job_templates

    job_templates.check_spelling(kind)
    text = json.dumps(job_templates.default(kind), indent=2)
    if file is None:
        typer.echo(text)
        return
    file.write(text + "\n")
    out.done(f"Wrote {file.name}.")
