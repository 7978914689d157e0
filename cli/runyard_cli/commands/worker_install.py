"""`runyard worker install`: a systemd unit that starts a worker with the machine."""

from __future__ import annotations

from typing import Annotated

import typer

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.options import many, option, whole

worker_install = App()


@worker_install.command(
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
    if not systemd:
        raise WrongUsage("Name what starts the worker: --systemd.")
    import os
    import sys

    from runyard import settings
    from runyard.base.errors import InvalidInput
    from runyard.base.url_passwords import hidden
    from runyard.operations.work_pools.workers import check_worker_name
    from runyard.workers.systemd import unit

    chosen = pool or settings.get("default_work_pool_name")
    if not chosen:
        raise WrongUsage("Missing option '-p' / '--pool'; see: runyard work-pool ls")
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


def _own_name() -> str:
    """The user of this process as a unit says it: by name, or by number where it has none."""
    import os
    import pwd

    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
    return name if name.replace("-", "").replace("_", "").isalnum() else str(os.geteuid())
