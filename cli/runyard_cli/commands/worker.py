"""`runyard worker`: start one, see all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from runyard.base.quoting import command_of

from runyard_cli.commands.worker_install import worker_install
from runyard_cli.shared import output as out
from runyard_cli.shared import times
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.cells import ALL, aligned, moment, of_limit, some
from runyard_cli.shared.client import connect, listed
from runyard_cli.shared.details import Section, show_details
from runyard_cli.shared.lists import Column, Listing, Page, View, cut, show_list
from runyard_cli.shared.options import (
    Columns,
    Limit,
    ListOutput,
    Output,
    Sort,
    Watch,
    argument,
    many,
    option,
    seconds,
    whole,
)

if TYPE_CHECKING:
    from runyard.client import Client
    from runyard.server.worker_api import RunApi
    from runyard.store.database import Database

_WATCHING, _MISSING = "Output and monitoring", "A pool that does not exist yet"
worker = App("worker", "Start workers and see them.", "runyard worker start --pool default-agent-pool")


@worker.command(
    "start",
    example="""runyard worker start --pool default-agent-pool --limit 8
        runyard worker start --pool default-agent-pool --task tasks.py:send_mail""",
)
def start(
    context: typer.Context,
    *,
    pool: Annotated[str | None, option("-p", "--pool", help="The work pool whose runs it starts.")] = None,
    name: Annotated[
        str | None,
        option(
            "-n", "--name", help="The worker's name, unique in its pool; by default of the host and process."
        ),
    ] = None,
    limit: Annotated[int | None, whole("-l", "--limit", help="How many runs at once.", least=1)] = None,
    work_queue: Annotated[list[str], many("-q", "--work-queue", help="Only runs of this queue.")],
    tasks: Annotated[
        list[str], many("--task", help="Also run what this task's delay() submits.", metavar="FILE.py[:TASK]")
    ],
    run_once: Annotated[bool, option("--run-once", help="Run what is due now, then exit.")] = False,
    prefetch_seconds: Annotated[
        float | None,
        seconds("--prefetch-seconds", help="With --run-once: also run what is due within so many seconds."),
    ] = None,
    plain: Annotated[
        bool,
        option("--plain", help="Print lines only: no live view on a terminal.", rich_help_panel=_WATCHING),
    ] = False,
    with_healthcheck: Annotated[
        bool,
        option(
            "--with-healthcheck",
            help="Answer GET /health and GET /metrics over HTTP.",
            rich_help_panel=_WATCHING,
        ),
    ] = False,
    kind: Annotated[
        str | None,
        option(
            "-t",
            "--type",
            help="The pool's type; a missing pool is created with it.",
            rich_help_panel=_MISSING,
        ),
    ] = None,
    no_create_pool: Annotated[
        bool,
        option(
            "--no-create-pool-if-not-found",
            help="Do not create it: end with an error.",
            rich_help_panel=_MISSING,
        ),
    ] = False,
    create_pool: Annotated[
        bool, option("--create-pool-if-not-found", help="Accepted; this is the default.", hidden=True)
    ] = False,
    base_job_template: Annotated[
        typer.FileText | None,
        option(
            "--base-job-template",
            metavar="FILE",
            help="A JSON file: the template of a pool that it creates.",
            rich_help_panel=_MISSING,
        ),
    ] = None,
    install_policy: Annotated[
        str | None, option("--install-policy", help="Accepted; workers install nothing.", hidden=True)
    ] = None,
) -> None:
    """Start runs of a pool as they become due, until stopped.

    On a terminal, a live view below the output shows slots, what runs, what is due next and the last results.

    Ctrl-C or SIGTERM stops it: its runs may finish for RUNYARD_WORKER_SHUTDOWN_GRACE_SECONDS, then
    they are cancelled. A second signal cancels them at once.
    """
    from runyard import settings
    from runyard.workers.worker import start_worker
    from runyard.workers.worker_options import WorkerOptions

    from runyard_cli.shared.job_templates import template

    chosen = pool or settings.get("default_work_pool_name")
    if not chosen:
        raise WrongUsage("Missing option '-p' / '--pool'; see: runyard work-pool ls")
    if create_pool and no_create_pool:
        raise WrongUsage("--create-pool-if-not-found and --no-create-pool-if-not-found exclude each other.")
    if run_once and tasks:
        raise WrongUsage("--task is for a worker that goes on; leave out --run-once.")
    options = WorkerOptions(
        pool=chosen,
        name=name,
        work_queues=list(work_queue),
        type=kind,
        limit=limit,
        run_once=run_once,
        prefetch_seconds=prefetch_seconds,
        with_healthcheck=with_healthcheck,
        create_pool_if_not_found=not no_create_pool,
        base_job_template=template(base_job_template) if base_job_template is not None else None,
        tasks=list(tasks),
        plain=plain,
    )
    context.exit(start_worker(options, _open_run_api) or 0)


WORKERS = Listing(
    "Workers",
    (
        Column("Name", lambda row: row["name"], "name"),
        Column("Pool", lambda row: row["pool"], "name"),
        Column("Status", lambda row: row["status"], "state"),
        Column(
            "Runs",
            lambda row: of_limit(row["active_slots"], row["concurrency_limit"]),
            order=lambda row: row["active_slots"],
        ),
        Column("Last heartbeat", lambda row: moment(row["last_heartbeat"]), "time"),
        Column("Queues", lambda row: ", ".join(row["work_queue_names"]) or "all", wide=True),
        Column("Since", lambda row: moment(row["created"]), "time", wide=True),
        Column("ID", lambda row: row["id"], "id", wide=True),
    ),
    "No workers; start one with: runyard worker start --pool NAME",
)


@worker.command("ls", example="runyard worker ls --pool default-agent-pool")
def ls(
    pool: Annotated[str | None, option("-p", "--pool", help="Only this pool's.")] = None,
    limit: Limit = 0,
    sort: Sort = None,
    columns: Columns = None,
    watch: Watch = False,
    output: ListOutput = None,
) -> None:
    """List workers, the online ones first."""
    client = connect()

    def read() -> Page:
        from runyard.operations.work_pools.list_workers import list_workers

        rows: list[Any] = client.call(list_workers, pool=pool, limit=ALL)
        page = cut(rows, limit)
        if output in ("json", "yaml"):
            from runyard.operations.work_pools import workers

            pools = sorted({row["pool"] for row in rows})
            by_id = {each.id: each for name in pools for each in listed(client, workers.filter_workers, name)}
            return page._replace(document=lambda row: by_id.get(row["id"], row))
        return page

    show_list(WORKERS, read, View(output, columns, sort, watch), client)


@worker.command("inspect", example="runyard worker inspect night-1 --pool default-agent-pool")
def inspect(
    name: Annotated[str, argument("NAME")],
    pool: Annotated[
        str | None,
        option("-p", "--pool", help="Its pool; needed when workers of several pools have this name."),
    ] = None,
    output: Output = None,
) -> None:
    """Show one worker and the runs that it executes."""
    from runyard.operations.work_pools import workers

    client = connect()
    shown = client.call(workers.read_worker, pool or _pool_of(client, name), name)
    if output:
        out.print_data(shown, output)
        return
    facts = [
        ("Pool", shown.work_pool_name),
        ("Queues", ", ".join(shown.work_queue_names) or "all"),
        ("Slots", f"{of_limit(len(shown.runs), shown.concurrency_limit)} in use"),
        ("Last heartbeat", shown.last_heartbeat_time),
        ("Since", shown.created),
        ("ID", shown.id),
    ]
    runs = aligned(
        [
            run.name,
            out.state_sign(run.state_name or "")[0],
            f"attempt {run.attempt}",
            times.relative(run.since),
            run.flow_run_id,
        ]
        for run in shown.runs
    )
    show_details(
        f"Worker {shown.name}", [Section("Worker", facts), Section("Runs", lines=runs)], shown.status
    )
    if shown.status == "OFFLINE":
        out.hint(f"Start it with: {command_of('runyard worker start --pool', shown.work_pool_name)}")


def _pool_of(client: Client, name: str) -> str:
    """The pool of a worker by the worker's name.

    Raises:
        NotFound: there is no such worker.
        InvalidInput: workers of several pools have this name.
    """
    from runyard.base.errors import InvalidInput, NotFound
    from runyard.base.suggestions import did_you_mean
    from runyard.operations.work_pools.list_workers import list_workers

    known = client.call(list_workers, limit=ALL)
    found = [each["pool"] for each in known if each["name"] == name]
    if not found:
        names = [each["name"] for each in known]
        raise NotFound(f"worker {name!r} not found{did_you_mean(name, names, 'see: runyard worker ls')}")
    if len(found) > 1:
        raise InvalidInput(f"workers of the pools {some(found)} are named {name!r}; choose with --pool")
    return str(found[0])


def _open_run_api(database: Database, also_at: str | None) -> RunApi:
    from runyard.server.worker_api import RunApi

    return RunApi(database, also_at)


worker.add_typer(worker_install)
