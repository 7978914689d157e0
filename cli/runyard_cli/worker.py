"""`runyard worker`: start one, see all."""

from __future__ import annotations

from typing import Any

import click

from runyard_cli import output as out
from runyard_cli.api import connect, listed
from runyard_cli.command import Count, Number, group, output_option

worker = group("worker", "Start workers and see them.", "runyard worker start --pool default-agent-pool")


@worker.command(
    "start",
    example="""runyard worker start --pool default-agent-pool --limit 8
        runyard worker start --pool default-agent-pool --task tasks.py:send_mail""",
)
@click.option("-p", "--pool", help="The work pool whose runs it starts.")
@click.option("-n", "--name", help="The worker's name; by default of this machine and process.")
@click.option("-q", "--work-queue", multiple=True, help="Only runs of this queue.")
@click.option("-t", "--type", "kind", help="The pool's type, where the pool has yet to be made.")
@click.option("-l", "--limit", type=Count(1), help="How many runs at once.")
@click.option("--run-once", is_flag=True, help="Run what is due now, then end.")
@click.option("--prefetch-seconds", type=Number(), help="With --run-once: what is due so soon counts as due.")
@click.option("--with-healthcheck", is_flag=True, help="Answer GET /health over HTTP.")
@click.option(
    "--create-pool-if-not-found/--no-create-pool-if-not-found", default=True, help="Make a missing pool."
)
@click.option("--base-job-template", type=click.File(), help="A JSON file: the template of a pool it makes.")
@click.option(
    "--task",
    "tasks",
    multiple=True,
    metavar="FILE.py[:TASK]",
    help="Also run what this task's delay() submits.",
)
@click.option("--install-policy", hidden=True, help="Accepted; workers install nothing.")
@click.pass_context
def start(
    context: click.Context,
    pool: str | None,
    name: str | None,
    work_queue: tuple[str, ...],
    kind: str | None,
    limit: int | None,
    run_once: bool,
    prefetch_seconds: float | None,
    with_healthcheck: bool,
    create_pool_if_not_found: bool,
    base_job_template: Any,
    tasks: tuple[str, ...],
    install_policy: str | None,
) -> None:
    """Start runs of a pool as they become due, until stopped.

    Ctrl-C or SIGTERM stops it once its runs are over, a second one cancels them.
    """
    from runyard import settings
    from runyard.workers.worker import WorkerOptions, start_worker

    from runyard_cli.work_pool import template

    chosen = pool or settings.get("default_work_pool_name")
    if not chosen:
        raise click.UsageError("Missing option '-p' / '--pool'.")
    if run_once and tasks:
        raise click.UsageError("--task is for a worker that goes on; leave out --run-once.")
    options = WorkerOptions(
        pool=chosen,
        name=name,
        work_queues=list(work_queue),
        type=kind,
        limit=limit,
        run_once=run_once,
        prefetch_seconds=prefetch_seconds,
        with_healthcheck=with_healthcheck,
        create_pool_if_not_found=create_pool_if_not_found,
        base_job_template=template(base_job_template) if base_job_template is not None else None,
        tasks=list(tasks),
    )
    context.exit(start_worker(options) or 0)


@worker.command("ls", example="runyard worker ls --pool default-agent-pool")
@click.option("-p", "--pool", help="Only this pool's.")
@output_option
def ls(pool: str | None, output: str | None) -> None:
    """List workers."""
    from runyard.operations import work_pools, workers

    client = connect()
    pools = [pool] if pool else [each.name for each in listed(client, work_pools.filter_work_pools)]
    found: list[tuple[str, Any]] = [
        (name, each) for name in pools for each in listed(client, workers.filter_workers, name)
    ]
    if output:
        out.print_json([each for _, each in found])
        return
    rows = [[each.name, name, each.status, out.ago(each.last_heartbeat_time)] for name, each in found]
    columns = ["Name", "Pool", "Status", "Last seen"]
    out.table("Workers", columns, rows, "No workers; start one with: runyard worker start --pool NAME")
