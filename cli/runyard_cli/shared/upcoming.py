"""The waiting runs of a pool or a queue, and the runs that hold its slots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.base.quoting import command_of

from runyard_cli.shared import output as out
from runyard_cli.shared import times
from runyard_cli.shared.client import listed
from runyard_cli.shared.lists import Column, Listing, Page, View, show_list
from runyard_cli.shared.lookup import flow_names

if TYPE_CHECKING:
    from datetime import datetime

    from runyard.client import Client

_COMING = ("SCHEDULED",)
_ACTIVE = ("PENDING", "RUNNING", "CANCELLING")


def preview(
    client: Client,
    pool: str,
    queue: str | None,
    limit: int | None,
    output: str | None,
    before: datetime | None = None,
    jobs: bool = False,
) -> None:
    """Show the runs that wait, in the order in which they are due; nothing is marked as polled.

    Args:
        limit: how many at most; None for all.
        before: only what is due by then.
        jobs: also the job that a worker would start for each.
    """
    more = {"next_scheduled_start_time": {"before_": before.isoformat()}} if before else {}
    order = "NEXT_SCHEDULED_START_TIME_ASC"
    if jobs:
        _show_jobs(client, pool, _runs(client, pool, queue, _COMING, limit, order, more), output)
        return
    # One more, to know whether there are more.
    runs = _runs(client, pool, queue, _COMING, None if limit is None else limit + 1, order, more)
    page = Page(runs, len(runs))
    if limit is not None and len(runs) > limit:
        page = Page(runs[:limit], None)
    listing = Listing("Next runs", _WAITING, f"No run is waiting in '{queue or pool}'.")
    show_list(listing, lambda: page, View(output))


def _show_jobs(client: Client, pool: str, runs: list[Any], output: str | None) -> None:
    """Show runs with their jobs; where none can be made, the reason, which would end the run."""
    import json

    from runyard.base import redaction
    from runyard.base.errors import RunyardError
    from runyard.operations.deployments.deployments import filter_deployments
    from runyard.operations.work_pools.work_pools import read_work_pool
    from runyard.workers.job_configuration import resolved

    from runyard_cli.shared.yaml_text import yaml_text

    served_by = client.call(read_work_pool, pool)
    template = served_by.base_job_template
    wanted = {"id": {"any_": sorted({run.deployment_id for run in runs if run.deployment_id})}}
    deployments = {each.id: each for each in listed(client, filter_deployments, deployments=wanted)}
    flows = flow_names(client, {run.flow_id for run in runs})
    found = []
    for run in runs:
        job, problem = None, None
        try:
            job = resolved(template, deployments.get(run.deployment_id), run, flows.get(run.flow_id) or "")
        except RunyardError as error:
            problem = str(error)
        found.append({**out.to_json(run), "job": job, "job_problem": problem})
    # Blocks told their secrets as they were read.
    found = json.loads(redaction.redact_json(json.dumps(found, default=str)))
    if found and not template.get("job_configuration"):
        out.progress(
            f"Work pool '{pool}' has no base job template yet: what its jobs are, workers of type "
            f"'{served_by.type}' say. To give it one: "
            + command_of("runyard work-pool update", pool, options="--base-job-template FILE")
        )
    if output:
        out.print_data(found, output)
        return
    for run, shown in zip(runs, found, strict=True):
        out.say(f"{run.name} ({run.id}), due {times.both(run.next_scheduled_start_time)}")
        text = f"cannot start: {shown['job_problem']}"
        if shown["job"] is not None:
            text = yaml_text(shown["job"]).strip()
        out.say("".join(f"  {line}\n" for line in text.splitlines()))
    if not found:
        out.progress(f"No run is waiting in '{pool}'.")


def slots(client: Client, pool: str, queue: str | None, limit: int | None, output: str | None) -> None:
    """Show the runs that take slots, and how many there may be.

    Args:
        limit: of the pool or the queue; None for any number.
    """
    runs = _runs(client, pool, queue, _ACTIVE, None, "EXPECTED_START_TIME_DESC")
    if output:
        out.print_data({"active": len(runs), "limit": limit, "flow_runs": runs}, output)
        return
    out.say(f"Slots in use: {len(runs)} of {'unlimited' if limit is None else limit}.")
    flows = flow_names(client, {run.flow_id for run in runs})
    columns = [
        Column("Name", lambda run: run.name, "name"),
        Column("Flow", lambda run: flows.get(run.flow_id)),
        Column("State", lambda run: run.state_name, "state"),
        Column("Since", _since, "time"),
        Column("Queue", lambda run: run.work_queue_name),
        Column("ID", lambda run: run.id, "id"),
    ]
    if runs:
        show_list(Listing("Slots", columns, ""), lambda: Page(runs, len(runs)), View())


def _since(run: Any) -> datetime | None:
    found: datetime | None = run.start_time or (run.state.timestamp if run.state else None)
    return found


_WAITING = (
    Column("Name", lambda run: run.name, "name"),
    Column("State", lambda run: run.state_name, "state"),
    Column("Due", lambda run: run.next_scheduled_start_time, "time"),
    Column("Queue", lambda run: run.work_queue_name),
    Column("ID", lambda run: run.id, "id"),
)


def _runs(
    client: Client,
    pool: str,
    queue: str | None,
    types: tuple[str, ...],
    limit: int | None,
    sort: str,
    more: dict[str, Any] | None = None,
) -> list[Any]:
    from runyard.operations.flow_runs import flow_runs

    fields: dict[str, Any] = {
        "flow_runs": {"state": {"type": {"any_": list(types)}}, **(more or {})},
        "work_pools": {"name": {"any_": [pool]}},
    }
    if queue is not None:
        fields["work_queues"] = {"name": {"any_": [queue]}}
    return list(listed(client, flow_runs.filter_flow_runs, limit=limit, sort=sort, **fields))
