"""`runyard server`: the API for others."""

from __future__ import annotations

import os
import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from runyard_cli.shared import output as out
from runyard_cli.shared import times
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.coercion import whole_number
from runyard_cli.shared.options import Output, option, seconds

if TYPE_CHECKING:
    from runyard.client.server_records import ServerRecord

_WAIT_SECONDS = 0.2

server = App(
    "server",
    "Serve the API to other machines; see, stop and restart the servers of this machine.",
    """runyard server start --background
        runyard server status""",
)

Host = Annotated[str, option("--host", help="The address to listen on.", show_default=True)]
Port = Annotated[
    int,
    option(
        "--port",
        metavar="PORT",
        parser=whole_number(0, 65_535),
        help="The port; 0 is any free one.",
        show_default=True,
    ),
]
Which = Annotated[
    int | None,
    option("--port", metavar="PORT", parser=whole_number(1, 65_535), help="Only the server of this port."),
]
Services = Annotated[
    bool,
    option(
        "--services/--no-services",
        help="Schedule runs, recover lost ones and delete old ones; another server or worker may do it.",
    ),
]


@server.command(
    "start",
    example="""runyard server start --port 4200
        runyard server start --background
        RUNYARD_API_AUTH_STRING=team:secret runyard server start --host 0.0.0.0""",
)
def start(
    host: Host = "127.0.0.1",
    port: Port = 4200,
    background: Annotated[
        bool,
        option("-b", "--background", help="Start a process of its own; return when it serves."),
    ] = False,
    services: Services = True,
    output: Output = None,
) -> None:
    """Serve the API until stopped.

    It listens on this machine only. To let other machines in, set RUNYARD_API_AUTH_STRING to USER:PASSWORD
    and name an address with --host; 0.0.0.0 is all addresses.
    """
    from runyard.server.serve import serve

    if output and not background:
        raise WrongUsage("-o goes together with --background: else the server prints until it is stopped.")
    if not background:
        serve(
            host,
            port,
            on_listening=_announce,
            services=services,
            background="RUNYARD__SERVER_IN_BACKGROUND" in os.environ,
        )
        return
    from runyard.client import server_records

    from runyard_cli.shared import server_process

    _refuse_twice(port)
    record = server_process.start(host, port, services)
    if output:
        out.print_data(record._asdict(), output)
        return
    out.done(f"Serving the API at {record.url} in the background (process {record.pid}).")
    _tell_how_to_use(record.url)
    out.hint(f"It prints to {server_records.log_path(port)}; stop it with: runyard server stop")


@server.command(
    "status",
    example="""runyard server status
        runyard server status --wait --timeout 30""",
)
def status(
    wait: Annotated[bool, option("--wait", help="Wait until it answers.")] = False,
    timeout: Annotated[
        float, seconds("-t", "--timeout", help="With --wait, for how long; 0 is for ever.")
    ] = 0,
    output: Output = None,
) -> None:
    """Ask whether the API answers: that of RUNYARD_API_URL, else the servers of this machine.

    The exit code is 1 if one does not answer, or if there is none.
    """
    from runyard import settings
    from runyard.client import server_records

    from runyard_cli.shared import server_process

    url = settings.get("api_url")
    end = time.monotonic() + timeout if timeout else None
    while True:
        records = [] if url else server_records.running()
        answers = [server_process.ask(each) for each in ([url] if url else [one.url for one in records])]
        well = bool(answers) and all(each["status"] == "available" for each in answers)
        if well or not wait or (end is not None and time.monotonic() >= end):
            break
        time.sleep(_WAIT_SECONDS)
    if output:
        facts = [{**answer, **record._asdict()} for answer, record in zip(answers, records, strict=False)]
        out.print_data(facts or answers, output)
    else:
        _show(answers, records)
    if not well:
        raise typer.Exit(1)


@server.command("restart", example="runyard server restart")
def restart(port: Which = None, output: Output = None) -> None:
    """Stop the servers of this machine that use this home, and start them again in the background."""
    from runyard.base.errors import NotFound

    from runyard_cli.shared import server_process

    records = _chosen(port)
    if not records:
        raise NotFound("no server runs; start one: runyard server start --background")
    started = []
    for record in records:
        if _stop(record, quiet=True):
            started.append(server_process.start(record.host, record.port, record.services))
            if not output:
                out.done(f"Restarted the server at {record.url} (process {started[-1].pid}).")
    if output:
        out.print_data([record._asdict() for record in started], output)


@server.command("stop", example="runyard server stop")
def stop(port: Which = None, output: Output = None) -> None:
    """Stop the servers of this machine that use this home; requests that they answer are finished first."""
    stopped = [record for record in _chosen(port) if _stop(record, quiet=bool(output))]
    if output:
        out.print_data([record._asdict() for record in stopped], output)
    elif not stopped:
        out.say("No server runs.")


def _chosen(port: int | None) -> list[ServerRecord]:
    from runyard.client import server_records

    return [record for record in server_records.running() if port in (None, record.port)]


def _refuse_twice(port: int) -> None:
    from runyard.base.errors import Conflict

    for record in _chosen(port):
        raise Conflict(
            f"a server runs at {record.url} already (process {record.pid}); see: runyard server status"
        )


def _stop(record: ServerRecord, quiet: bool = False) -> bool:
    from runyard.base.errors import Conflict

    from runyard_cli.shared import server_process

    if not server_process.stop(record):
        raise Conflict(f"the server at {record.url} does not stop; kill process {record.pid}")
    if not quiet:
        out.done(f"Stopped the server at {record.url}.")
    return True


def _show(answers: list[dict[str, Any]], records: list[ServerRecord]) -> None:
    if not answers:
        out.say("No server runs.")
        out.hint("Start one: runyard server start --background")
    for at, answer in enumerate(answers):
        text = f"{answer['api_url']} is {answer['status']}"
        if answer["server_version"]:
            text += f", version {answer['server_version']}"
        if answer["error"]:
            text += f": {answer['error']}"
        out.say(text, "green" if answer["status"] == "available" else "red")
        if at < len(records):
            record = records[at]
            since = times.relative(datetime.fromisoformat(record.began))
            how = "in the background" if record.background else "in the foreground"
            duties = "" if record.services else ", without services"
            out.say(f"  process {record.pid}, started {since} {how}{duties}")


def _announce(url: str) -> None:
    """Say where the API is."""
    out.done(f"Serving the API at {url}; Ctrl-C stops it.")
    _tell_how_to_use(url)


def _tell_how_to_use(url: str) -> None:
    """Say what to set to use an API: its URL, and the password if it needs one."""
    from runyard import settings
    from runyard.server.guard import is_loopback

    host = urlsplit(url).hostname or ""
    where = "on this machine" if is_loopback(host) else "from elsewhere"
    out.hint(f"Use it {where} with: export RUNYARD_API_URL={_reachable(url)}")
    if settings.get("api_auth_string"):
        out.hint("and its user and password: export RUNYARD_API_AUTH_STRING=USER:PASSWORD")


def _reachable(url: str) -> str:
    """The URL as other machines write it: 0.0.0.0 and :: are no address for them, the host's name is."""
    import socket

    parts = urlsplit(url)
    if parts.hostname not in ("0.0.0.0", "::"):  # noqa: S104 - nothing listens here
        return url
    return parts._replace(netloc=f"{socket.gethostname()}:{parts.port}").geturl()
