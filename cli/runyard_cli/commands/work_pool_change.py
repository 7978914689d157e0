"""`runyard work-pool pause`, `resume`, `update`, limits, `delete`, and the default template of a type."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from runyard.base.quoting import command_of
from runyard.base.texts import counted

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.client import body, connect, listed
from runyard_cli.shared.coercion import count
from runyard_cli.shared.job_templates import template, warn_of_places
from runyard_cli.shared.options import Output, Yes, argument, option, whole, words

if TYPE_CHECKING:
    from runyard.client import Client

work_pool_change = App()


def _updated(name: str, output: str | None, **fields: Any) -> Any:
    """Update a pool. Returns it as it is now; None if it was printed as JSON or YAML."""
    from runyard.operations.work_pools import work_pools

    client = connect()
    client.call(work_pools.update_work_pool, name, body=body(work_pools.update_work_pool, **fields))
    return _printed(client.call(work_pools.read_work_pool, name), output)


def _printed(value: Any, output: str | None) -> Any:
    if not output:
        return value
    out.print_data(value, output)
    return None


def _set_paused(names: list[str], every: bool, paused: bool, output: str | None) -> None:
    """Pause or resume pools by name, or all of them, and say what happens now."""
    from runyard.operations.work_pools import work_pools

    if bool(names) == every:
        raise WrongUsage("Name work pools, or give --all.")
    client = connect()
    # All are read before the first one is changed, so that a misspelt name changes nothing.
    known = (
        list(listed(client, work_pools.filter_work_pools))
        if every
        else [client.call(work_pools.read_work_pool, name) for name in dict.fromkeys(names)]
    )
    changed = (
        [pool.name for pool in known if pool.is_paused is not paused] if every else [p.name for p in known]
    )
    for name in changed:
        change = body(work_pools.update_work_pool, is_paused=paused)
        client.call(work_pools.update_work_pool, name, body=change)
    if output:
        now = [client.call(work_pools.read_work_pool, name) for name in changed]
        out.print_data(now if every or len(names) > 1 else now[0], output)
        return
    verb = "Paused" if paused else "Resumed"
    for name in changed:
        out.done(f"{verb} work pool '{name}'.")
    if not changed:
        out.say(f"No work pool is {'running' if paused else 'paused'}; nothing changed.")
    elif paused:
        which = (
            command_of("runyard work-pool resume", *changed)
            if not every
            else "runyard work-pool resume --all"
        )
        out.hint(f"Running runs continue; no other run starts until: {which}")


Every = Annotated[bool, option("-a", "--all", help="All work pools.")]


@work_pool_change.command(
    "pause",
    example="""runyard work-pool pause my-pool
        runyard work-pool pause --all""",
)
def pause(names: Annotated[list[str], words("NAME")], every: Every = False, output: Output = None) -> None:
    """Start no more runs of pools; running ones continue."""
    _set_paused(names, every, True, output)


@work_pool_change.command(
    "resume",
    example="""runyard work-pool resume my-pool
        runyard work-pool resume --all""",
)
def resume(names: Annotated[list[str], words("NAME")], every: Every = False, output: Output = None) -> None:
    """Start runs of paused pools again."""
    _set_paused(names, every, False, output)


@work_pool_change.command("update", example="runyard work-pool update my-pool --description 'nightly jobs'")
def update(
    name: Annotated[str, argument("NAME")],
    base_job_template: Annotated[
        typer.FileText | None, option("--base-job-template", help="A JSON file with the new template.")
    ] = None,
    concurrency_limit: Annotated[
        int | None, whole("--concurrency-limit", help="How many runs at once.")
    ] = None,
    description: Annotated[str | None, option("--description", help="What the pool is for.")] = None,
    output: Output = None,
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
    changed = _updated(name, output, **fields)
    if base_job_template is not None:
        warn_of_places(name, fields["base_job_template"])
    if changed is not None:
        what = ", ".join(key.replace("_", " ") for key in fields)
        out.done(f"Updated work pool '{changed.name}': {what}.")


@work_pool_change.command(
    "set-concurrency-limit", example="runyard work-pool set-concurrency-limit my-pool 4"
)
def set_concurrency_limit(
    name: Annotated[str, argument("NAME")],
    limit: Annotated[int, argument("LIMIT", parser=count(0))],
    output: Output = None,
) -> None:
    """Let a pool run at most LIMIT runs at once."""
    changed = _updated(name, output, concurrency_limit=limit)
    if changed is not None:
        out.done(f"Work pool '{name}' runs at most {limit} at once; running now: {changed.active_slots}.")


@work_pool_change.command(
    "clear-concurrency-limit", example="runyard work-pool clear-concurrency-limit my-pool"
)
def clear_concurrency_limit(name: Annotated[str, argument("NAME")], output: Output = None) -> None:
    """Remove a pool's limit."""
    if _updated(name, output, concurrency_limit=None) is not None:
        out.done(f"Work pool '{name}' has no concurrency limit now.")


@work_pool_change.command("delete", example="runyard work-pool delete my-pool")
def delete(name: Annotated[str, argument("NAME")], yes: Yes = False, output: Output = None) -> None:
    """Delete a work pool with its queues."""
    from runyard.operations.work_pools import work_pools

    client = connect()
    pool = client.call(work_pools.read_work_pool, name)
    if not yes and out.at_keyboard():
        out.confirm(f"Delete work pool '{pool.name}' and its queues?{_affected(client, pool.name)}", yes)
    client.call(work_pools.delete_work_pool, pool.name)
    if _printed(pool, output) is not None:
        out.done(f"Deleted work pool '{pool.name}'.")


def _affected(client: Client, name: str) -> str:
    """What else the deletion of a pool changes, for the question."""
    from runyard.operations.deployments.deployments import count_deployments
    from runyard.operations.flow_runs.flow_runs import count_flow_runs

    which = {"work_pools": {"name": {"any_": [name]}}}
    deployments = client.call(count_deployments, body=body(count_deployments, **which))
    waiting = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
    runs = client.call(count_flow_runs, body=body(count_flow_runs, **which, **waiting))
    text = f" {counted(deployments, 'deployment')} will have no work pool." if deployments else ""
    return f"{text} {counted(runs, 'waiting run')} will not start." if runs else text


@work_pool_change.command(
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
