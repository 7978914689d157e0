"""The waiting runs of a pool or a queue, and the runs that hold its slots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.base.quoting import command_of

from runyard_cli.shared import output as out
from runyard_cli.shared.client import listed
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
    runs = _runs(client, pool, queue, _COMING, limit, "NEXT_SCHEDULED_START_TIME_ASC", more)
    if jobs:
        _show_jobs(client, pool, runs, output)
        return
    if output:
        out.print_json(runs)
        return
    rows = [
        [
            out.local(run.next_scheduled_start_time)[:19],
            out.ago(run.next_scheduled_start_time),
            run.state_name,
            run.name,
            run.work_queue_name,
            run.id,
        ]
        for run in runs
    ]
    columns = ["Due", "When", "State", "Name", "Queue", "ID"]
    out.table("Next runs", columns, rows, f"No run is waiting in '{queue or pool}'.")


def _show_jobs(client: Client, pool: str, runs: list[Any], output: str | None) -> None:
    """Show runs with their jobs; where none can be made, the reason, which would end the run."""
    import json

    import yaml
    from runyard.base import redaction
    from runyard.base.errors import RunyardError
    from runyard.operations.deployments.deployments import filter_deployments
    from runyard.operations.work_pools.work_pools import read_work_pool
    from runyard.workers.job_configuration import resolved

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
        out.print_json(found)
        return
    for run, shown in zip(runs, found, strict=True):
        out.say(f"{run.name} ({run.id}), due {out.local(run.next_scheduled_start_time)[:19]}")
        text = f"cannot start: {shown['job_problem']}"
        if shown["job"] is not None:
            text = yaml.safe_dump(shown["job"], sort_keys=False, allow_unicode=True).strip()
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
        out.print_json({"active": len(runs), "limit": limit, "flow_runs": runs})
        return
    out.say(f"Slots in use: {len(runs)} of {'unlimited' if limit is None else limit}.")
    flows = flow_names(client, {run.flow_id for run in runs})
    rows = [
        [run.work_queue_name, flows.get(run.flow_id), run.name, run.state_name, _since(run)] for run in runs
    ]
    if rows:
        out.table("Slots", ["Queue", "Flow", "Name", "State", "Since"], rows, "")


def _since(run: Any) -> str:
    return out.ago(run.start_time or (run.state.timestamp if run.state else None))


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
