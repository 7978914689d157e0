"""`runyard dev`: a worker, and the project deployed on each save, in one process that leaves nothing behind.

The worker runs in the main thread, the deploying in another one; both end with Ctrl-C.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Annotated

import typer

from runyard_cli.shared import output as out
from runyard_cli.shared import values
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.options import argument, many, option, whole

if TYPE_CHECKING:
    from runyard.deployments.dev.copies import Wanted
    from runyard.server.worker_api import RunApi
    from runyard.store.database import Database

dev = App()


@dev.command(
    "dev",
    example="""runyard dev
        runyard dev flows/etl.py --run my-etl-flow --param date=2026-11-22""",
)
def _dev(
    context: typer.Context,
    names: Annotated[list[str], many("-n", "--name", help="Only this deployment of the file, or this flow.")],
    param: Annotated[
        list[str], many("--param", help="A parameter of the runs of --run.", metavar="KEY=VALUE")
    ],
    entrypoint: Annotated[
        str | None, argument("FILE.py[:FLOW]", help="By default what prefect.yaml has, or every flow here.")
    ] = None,
    run: Annotated[
        str | None, option("-r", "--run", metavar="NAME", help="Run this deployment after each save.")
    ] = None,
    schedules: Annotated[
        bool, option("--schedules", help="Let the schedules of the file start runs.")
    ] = False,
    limit: Annotated[int | None, whole("-l", "--limit", least=1, help="How many runs at once.")] = None,
    prefect_file: Annotated[
        str, option("--prefect-file", help="The project's file.", show_default=True)
    ] = "prefect.yaml",
) -> None:
    """Work on flows: deploy them on each save, run them, and see their logs.

    It starts a worker with a pool of its own, and deploys copies of the project's deployments there, named
    like daily-etl-dev. The deployments themselves, their schedules and their runs stay as they are. Ctrl-C
    stops the runs and deletes the pool, the copies and all their runs.
    """
    if param and run is None:
        raise WrongUsage("--param is for the runs of --run; add --run NAME.")
    if entrypoint is not None and names:
        raise WrongUsage("Give FILE.py or --name, not both.")
    texts = values.typed(tuple(param))
    folder, file = os.path.split(prefect_file)
    if folder:
        os.chdir(folder)

    from runyard.client import connect
    from runyard.deployments.dev import dev_pool
    from runyard.deployments.dev.copies import Wanted

    client = connect()
    try:
        dev_pool.discard_left(client, out.progress)
        pool = dev_pool.open_pool(client)
    finally:
        client.close()
    wanted = Wanted(pool, file, entrypoint, names, schedules)
    try:
        code = _serve(wanted, run, texts, limit)
    finally:
        client = connect()
        try:
            dev_pool.discard_pool(client, pool)
        finally:
            client.close()
    out.say(f"Deleted the pool '{pool}', its deployments and their runs.")
    context.exit(code)


def _serve(wanted: Wanted, run: str | None, parameters: dict[str, str], limit: int | None) -> int:
    """Serve the pool until a signal arrives; the exit code."""
    from runyard.workers.worker import start_worker
    from runyard.workers.worker_options import WorkerOptions

    from runyard_cli.shared.dev_session import DevSession

    options = WorkerOptions(
        pool=wanted.pool,
        name=f"dev {os.getpid()} on {socket.gethostname()}",
        type="process",
        limit=limit,
        create_pool_if_not_found=False,
        schedules=wanted.schedules,
        shutdown_grace_seconds=0.0,
        plain=True,
    )
    return start_worker(options, _no_api, lambda: DevSession(wanted, run, parameters))


def _no_api(database: Database, also_at: str | None) -> RunApi:
    raise AssertionError("runs that are processes need no API")
