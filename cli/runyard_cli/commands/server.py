"""`runyard server`: the API for others."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App
from runyard_cli.shared.coercion import whole_number
from runyard_cli.shared.options import option

server = App("server", "Serve the API to other machines.", "runyard server start")


@server.command(
    "start",
    example="""runyard server start --port 4200
        RUNYARD_API_AUTH_STRING=team:secret runyard server start --host 0.0.0.0""",
)
def start(
    host: Annotated[str, option("--host", help="The address to listen on.", show_default=True)] = "127.0.0.1",
    port: Annotated[
        int,
        option(
            "--port",
            metavar="PORT",
            parser=whole_number(0, 65_535),
            help="The port; 0 is any free one.",
            show_default=True,
        ),
    ] = 4200,
) -> None:
    """Serve the API until stopped.

    It listens on this machine only. To let other machines in, set RUNYARD_API_AUTH_STRING to USER:PASSWORD
    and name an address with --host; 0.0.0.0 is all addresses.
    """
    from runyard.server.serve import serve

    serve(host, port, on_listening=_announce)


def _announce(url: str) -> None:
    """Say where the API is, and what to set to use it: the URL, and the password if it needs one."""
    from runyard import settings
    from runyard.server.guard import is_loopback

    out.done(f"Serving the API at {url}; Ctrl-C stops it.")
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
