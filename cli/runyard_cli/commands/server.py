"""`runyard server`: the API for others."""

from __future__ import annotations

from typing import Annotated

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App
from runyard_cli.shared.coercion import whole_number
from runyard_cli.shared.options import option

server = App("server", "Serve the API to other machines.", "runyard server start")


@server.command("start", example="runyard server start --port 4200")
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
    """Serve the API until stopped."""
    from runyard.server.serve import serve

    def announce(url: str) -> None:
        out.done(f"Serving the API at {url}")
        out.hint(f"Use it from elsewhere with: export RUNYARD_API_URL={_from_elsewhere(url)}")

    serve(host, port, on_listening=announce)


def _from_elsewhere(url: str) -> str:
    """The URL for other machines: 0.0.0.0 is no address for them."""
    import socket
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    if parts.hostname not in ("0.0.0.0", "::"):  # noqa: S104 - nothing listens here
        return url
    return parts._replace(netloc=f"{socket.gethostname()}:{parts.port}").geturl()
