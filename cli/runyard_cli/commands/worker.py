"""`runyard worker`: start one, see all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.client import connect, listed
from runyard_cli.shared.options import Output, argument, many, option, seconds, whole

if TYPE_CHECKING:
    from runyard.server.worker_api import RunApi
    from runyard.store.database import Database

worker = App("worker", "Start workers and see them.", "runyard worker start --pool default-agent-pool")


@worker.command(
    "start",
    example="""runyard worker start --pool default-agent-pool --limit 8
        runyard worker start --pool default-agent-pool --task tasks.py:send_mail""",
)
def start(
    context: typer.Context,
    work_queue: Annotated[list[str], many("-q", "--work-queue", help="Only runs of this queue.")],
    tasks: Annotated[
        list[str], many("--task", help="Also run what this task's delay() submits.", metavar="FILE.py[:TASK]")
    ],
    pool: Annotated[str | None, option("-p", "--pool", help="The work pool whose runs it starts.")] = None,
    name: Annotated[
        str | None,
        option("-n", "--name", help="The worker's name, unique in its pool; by default it is generated."),
    ] = None,
    kind: Annotated[
        str | None, option("-t", "--type", help="The pool's type; a missing pool is created with it.")
    ] = None,
    limit: Annotated[int | None, whole("-l", "--limit", help="How many runs at once.", least=1)] = None,
    run_once: Annotated[bool, option("--run-once", help="Run what is due now, then exit.")] = False,
    prefetch_seconds: Annotated[
        float | None,
        seconds("--prefetch-seconds", help="With --run-once: also run what is due within so many seconds."),
    ] = None,
    with_healthcheck: Annotated[
        bool, option("--with-healthcheck", help="Answer GET /health and GET /metrics over HTTP.")
    ] = False,
    create_pool_if_not_found: Annotated[
        bool,
        option(
            "--create-pool-if-not-found/--no-create-pool-if-not-found",
            help="Create the pool if it is missing.",
        ),
    ] = True,
    base_job_template: Annotated[
        typer.FileText | None,
        option("--base-job-template", help="A JSON file: the template of a pool that it creates."),
    ] = None,
    install_policy: Annotated[
        str | None, option("--install-policy", help="Accepted; workers install nothing.", hidden=True)
    ] = None,
    plain: Annotated[bool, option("--plain", help="Print lines only: no live view on a terminal.")] = False,
) -> None:
    """Start runs of a pool as they become due, until stopped.

    On a terminal, a live view below the output shows slots, what runs, what is due next and the last results.

    Ctrl-C or SIGTERM stops it: its runs may finish for RUNYARD_WORKER_SHUTDOWN_GRACE_SECONDS, then
    they are cancelled. A second signal cancels them at once.
    """
    from runyard import settings
    from runyard.workers.worker import start_worker
    from runyard.workers.worker_options import WorkerOptions

    from runyard_cli.commands.work_pool import template

    chosen = pool or settings.get("default_work_pool_name")
    if not chosen:
        raise WrongUsage("Missing option '-p' / '--pool'.")
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
        create_pool_if_not_found=create_pool_if_not_found,
        base_job_template=template(base_job_template) if base_job_template is not None else None,
        tasks=list(tasks),
        plain=plain,
    )
    context.exit(start_worker(options, _open_run_api) or 0)


@worker.command("ls", example="runyard worker ls --pool default-agent-pool")
def ls(
    pool: Annotated[str | None, option("-p", "--pool", help="Only this pool's.")] = None,
    output: Output = None,
) -> None:
    """List workers."""
    from runyard.operations.work_pools import work_pools, workers

    client = connect()
    pools = [pool] if pool else [each.name for each in listed(client, work_pools.filter_work_pools)]
    found: list[tuple[str, Any]] = [
        (name, each) for name in pools for each in listed(client, workers.filter_workers, name)
    ]
    if output:
        out.print_data([each for _, each in found], output)
        return
    rows = [[each.name, name, each.status, out.ago(each.last_heartbeat_time)] for name, each in found]
    columns = ["Name", "Pool", "Status", "Last seen"]
    out.table("Workers", columns, rows, "No workers; start one with: runyard worker start --pool NAME")


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
    from runyard.base.errors import InvalidInput, NotFound
    from runyard.operations.work_pools import work_pools, workers

    client = connect()
    if pool is None:
        found = [
            each.name
            for each in listed(client, work_pools.filter_work_pools)
            if name in {one.name for one in listed(client, workers.filter_workers, each.name)}
        ]
        if not found:
            raise NotFound(f"worker {name!r} not found; see: runyard worker ls")
        if len(found) > 1:
            raise InvalidInput(
                f"workers of the pools {', '.join(map(repr, found))} have this name; give --pool NAME"
            )
        (pool,) = found
    shown = client.call(workers.read_worker, pool, name)
    if output:
        out.print_data(shown, output)
        return
    limit = "unlimited" if shown.concurrency_limit is None else shown.concurrency_limit
    out.facts(
        [
            ("Name", shown.name),
            ("Pool", shown.work_pool_name),
            ("Queues", ", ".join(shown.work_queue_names) or "all"),
            ("Status", shown.status),
            ("Last seen", out.ago(shown.last_heartbeat_time)),
            ("Since", out.local(shown.created)[:19]),
            ("Runs", f"{len(shown.runs)} of {limit}"),
        ]
    )
    rows = [
        [run.name, run.state_name, run.attempt, out.ago(run.since), run.flow_run_id] for run in shown.runs
    ]
    if rows:
        out.table("Runs", ["Name", "State", "Attempt", "Since", "ID"], rows, "")


@worker.command(
    "install", example="runyard worker install --systemd --pool default-agent-pool > runyard-worker.service"
)
def install(
    work_queue: Annotated[list[str], many("-q", "--work-queue", help="Only runs of this queue.")],
    systemd: Annotated[bool, option("--systemd", help="Print a systemd unit.")] = False,
    pool: Annotated[str | None, option("-p", "--pool", help="The work pool whose runs it starts.")] = None,
    name: Annotated[str | None, option("-n", "--name", help="The worker's name.")] = None,
    limit: Annotated[int | None, whole("-l", "--limit", help="How many runs at once.", least=1)] = None,
    with_healthcheck: Annotated[
        bool, option("--with-healthcheck", help="Answer GET /health and GET /metrics over HTTP.")
    ] = False,
    of_user: Annotated[bool, option("--user", help="A unit for `systemctl --user`.")] = False,
) -> None:
    """Print a unit that starts a worker with the machine; nothing is changed.

    The unit has this installation, this user and home and, where one is set, this API address.
    """
    import os
    import sys

    from runyard import settings
    from runyard.base.errors import InvalidInput
    from runyard.base.url_passwords import hidden
    from runyard.operations.work_pools.workers import check_worker_name
    from runyard.workers.systemd import unit

    chosen = pool or settings.get("default_work_pool_name")
    if not chosen:
        raise WrongUsage("Missing option '-p' / '--pool'.")
    if name is not None:
        check_worker_name(name)
    command = [os.path.abspath(sys.executable), "-m", "runyard_cli.main", "worker", "start", "--pool", chosen]
    for flag, value in (("--name", name), ("--limit", limit)):
        if value is not None:
            command += [flag, str(value)]
    for queue in work_queue:
        command += ["--work-queue", queue]
    if with_healthcheck:
        command.append("--with-healthcheck")
    environment = {"RUNYARD_HOME": settings.home()}
    for key in ("api_url", "database_url"):
        value = settings.get(key)
        if value and settings.given(key) is not None:
            if hidden(value) != value:
                out.progress(f"RUNYARD_{key.upper()} holds a password: set it in the unit's EnvironmentFile")
            else:
                environment[f"RUNYARD_{key.upper()}"] = value
    seconds = settings.get("worker_shutdown_grace_seconds") + settings.get("worker_kill_grace_seconds")
    try:
        text = unit(command, f"Runyard worker of pool {chosen}", environment, seconds, of_user, _own_name())
    except ValueError as error:
        raise InvalidInput(f"invalid value for a systemd unit: {error}") from None
    typer.echo(text, nl=False)
    place = "~/.config/systemd/user" if of_user else "/etc/systemd/system"
    systemctl = "systemctl --user" if of_user else "systemctl"
    out.progress(f"Save it as {place}/runyard-worker.service, then: {systemctl} enable --now runyard-worker")


def _open_run_api(database: Database, also_at: str | None) -> RunApi:
    from runyard.server.worker_api import RunApi

    return RunApi(database, also_at)


def _own_name() -> str:
    """The user of this process as a unit says it: by name, or by number where it has none."""
    import os
    import pwd

    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
    return name if name.replace("-", "").replace("_", "").isalnum() else str(os.geteuid())
