"""The installation of golden files and recordings: made with fixed ids, and a clock that stands still."""

from __future__ import annotations

import itertools
import json

NOW = "2026-11-29 12:00:00"
ZONE = "Europe/Berlin"
_HOUR = 1 / 24


def fix_ids():
    """Ids and names by counters: each id is 90 seconds older than the next, so that its beginning differs."""
    from runyard.base import ids

    moments = itertools.count(1_795_000_000_000, 90_000)
    numbers = itertools.count(1)
    names = itertools.count(1)

    def new_id():
        text = f"{next(moments):012x}"
        return f"{text[:8]}-{text[8:]}-7000-8000-{next(numbers):012x}"

    ids.new_id = new_id
    ids.new_name = lambda: f"new-run-{next(names)}"


def make_world():
    """The installation that the commands show."""
    from _history import History
    from runyard.client import LocalClient
    from runyard.operations.deployments import deployments
    from runyard.operations.limits import concurrency_limits, tag_limits
    from runyard.operations.records import stored_variables
    from runyard.operations.schedules import schedules
    from runyard.operations.work_pools import work_pools, work_queues, workers
    from runyard.store.database import get_database

    client = LocalClient()
    call = client.call
    for name, kind, limit in (
        ("default-agent-pool", "process", 4),
        ("boxes", "docker", None),
        ("old", "process", None),
    ):
        call(
            work_pools.create_work_pool,
            work_pools.WorkPoolCreate(name=name, type=kind, concurrency_limit=limit),
        )
    call(work_pools.update_work_pool, "old", work_pools.WorkPoolUpdate(is_paused=True))
    queue = work_queues.WorkQueueCreate(name="urgent", priority=1, concurrency_limit=2)
    call(work_queues.create_work_queue, "default-agent-pool", queue)
    call(
        workers.heartbeat_worker,
        "default-agent-pool",
        workers.WorkerHeartbeat(name="crane", concurrency_limit=8),
    )
    schema = {
        "type": "object",
        "properties": {"date": {"type": "string"}, "size": {"type": "integer", "default": 3}},
    }
    made = {}
    for flow, name, pool, more in (
        ("my-etl-flow", "daily-etl", "default-agent-pool", {"version": "1", "tags": ["etl"]}),
        ("my-etl-flow", "daily-etl", "default-agent-pool", {"version": "2", "tags": ["etl", "nightly"]}),
        ("report", "weekly", "boxes", {"description": "The report of the week."}),
        ("report", "monthly", "boxes", {}),
        ("[red]markup[/red]", "naïve 🦊", "boxes", {}),
    ):
        item = {
            "flow_name": flow, "name": name, "work_pool_name": pool, "entrypoint": f"flows/{flow}.py:flow",
            "parameter_openapi_schema": schema, "parameters": {"size": 5}, **more,
        }  # fmt: skip
        body = deployments.DeploymentsApply.model_validate({"owner": name, "deployments": [item]})
        made[name] = call(deployments.apply_deployments, body)[0].deployment
    for name, fields in (
        ("daily-etl", {"schedule": {"cron": "0 6 * * *", "timezone": "Asia/Tokyo"}, "slug": "early"}),
        ("weekly", {"schedule": {"cron": "30 7 * * 1", "timezone": ZONE}, "slug": "monday"}),
        ("monthly", {"schedule": {"interval": 86400}, "slug": "first", "active": False}),
    ):
        body = [schedules.DeploymentScheduleCreate.model_validate(fields)]
        call(schedules.create_deployment_schedules, made[name].id, body)
    call(deployments.pause_deployment, made["weekly"].id)
    for name, value in (("region", "eu-central-1"), ("thresholds", {"low": 1, "high": [2, 3]})):
        call(
            stored_variables.create_variable,
            stored_variables.VariableCreate(name=name, value=value, tags=["ops"]),
        )
    call(
        concurrency_limits.create_concurrency_limit,
        concurrency_limits.ConcurrencyLimitCreate(name="warehouse", limit=1),
    )
    call(tag_limits.create_tag_limit, tag_limits.TagLimitCreate(tag="db", concurrency_limit=2))
    with History(get_database()) as history:
        _fill(history, made)


def _fill(history, made):
    from _history import DAY
    from runyard.base import ids

    daily, weekly = made["daily-etl"], made["weekly"]
    of_daily = {
        "flow_id": daily.flow_id, "deployment_id": daily.id, "work_queue_id": daily.work_queue_id,
        "parameters": json.dumps({"date": "2026-11-28", "size": 5}), "tags": json.dumps(["etl"]),
    }  # fmt: skip
    of_weekly = {"flow_id": weekly.flow_id, "deployment_id": weekly.id, "work_queue_id": weekly.work_queue_id}

    def timed(days, seconds):
        start = history.now - int(days * 86_400e6)
        return {
            "start_time": start,
            "end_time": start + int(seconds * 1e6),
            "total_run_time": int(seconds * 1e6),
            "run_count": 1,
        }

    well = history.flow_run(2 * _HOUR, name="rapid-hare", **of_daily, **timed(2 * _HOUR, 95))
    for number in range(3):
        history.task_run(well, 2 * _HOUR, name=f"extract-{number}", **timed(2 * _HOUR, 12.5 * (number + 1)))
    failed = history.flow_run(5 * _HOUR, "FAILED", name="sad-fox", **of_daily, **timed(5 * _HOUR, 61))
    history.task_run(failed, 5 * _HOUR, name="extract-0", **timed(5 * _HOUR, 30))
    broken = history.task_run(failed, 5 * _HOUR, "FAILED", name="load-0", **timed(5 * _HOUR, 2))
    for table, run in (("flow_runs", failed), ("task_runs", broken)):
        kind = "Flow" if table == "flow_runs" else "Task"
        state = {
            "id": "0" * 8 + "-0000-7000-8000-" + "0" * 12, "type": "FAILED", "name": "Failed",
            "timestamp": "2026-11-29T06:01:00Z",
            "message": f"{kind} run encountered an exception: ValueError: no such table: orders",
        }  # fmt: skip
        history.tx.execute(
            f"UPDATE {table} SET state = :state WHERE id = :id", {"state": json.dumps(state), "id": run}
        )
    for run, level, text in (
        (well, 20, "Beginning flow run 'rapid-hare' for flow 'my-etl-flow'"),
        (well, 30, "2 rows without a price [bold]left out[/bold]"),
        (failed, 40, "ValueError: no such table: orders"),
    ):
        moment = history.now - int(2 * _HOUR * DAY)
        history.put(
            "logs", id=ids.new_id(), name="runyard.flow_runs", level=level, message=text, timestamp=moment,
            flow_run_id=run,
        )  # fmt: skip
    running = history.flow_run(
        0.5 * _HOUR,
        "RUNNING",
        name="calm-otter",
        **of_daily,
        start_time=history.now - 1_800_000_000,
        attempt=1,
    )
    queue = daily.work_queue_id
    history.put(
        "leases", flow_run_id=running, attempt=1, owner="crane", work_queue_id=queue, deployment_id=daily.id,
        work_pool_id=history.tx.value("SELECT work_pool_id FROM work_queues WHERE id = :id", {"id": queue}),
        worker_id=history.tx.value("SELECT id FROM workers"), acquired=history.now - 1_800_000_000,
    )  # fmt: skip
    history.flow_run(
        1 * _HOUR,
        "SCHEDULED",
        name="late-lark",
        **of_weekly,
        next_scheduled_start_time=history.now - 3_600_000_000,
    )
    history.tx.execute("UPDATE flow_runs SET state_name = 'Late' WHERE name = 'late-lark'")
    history.flow_run(
        -3 * _HOUR,
        "SCHEDULED",
        name="early-bird",
        **of_daily,
        next_scheduled_start_time=history.now + 10_800_000_000,
    )
    history.flow_run(
        4 * _HOUR, "PAUSED", name="wise-hen", **of_daily, start_time=history.now - 14_400_000_000
    )
    for days, kind in ((3, "CRASHED"), (2.5, "CANCELLED")):
        history.flow_run(days, kind, name="twin", **of_weekly, **timed(days, 3))
    history.flow_run(9, name="glad-gnu", **of_weekly, **timed(9, 3600))
    text = json.dumps("# Report\n\nAll [bold]well[/bold].")
    at = history.now - 3_600_000_000
    for key, kind, data in (
        ("report", "markdown", text),
        ("rows", "table", json.dumps('[{"a": 1, "b": 2}]')),
    ):
        history.put(
            "artifacts",
            id=ids.new_id(),
            created=at,
            updated=at,
            key=key,
            type=kind,
            data=data,
            flow_run_id=well,
        )
    history.tx.execute("DELETE FROM artifacts WHERE key IS NULL")
