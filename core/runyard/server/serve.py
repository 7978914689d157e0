"""Serves the API: opens its socket, and refuses unsafe addresses."""

from __future__ import annotations

import errno
import os
import signal
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import uvicorn

from runyard import settings
from runyard.base import machine
from runyard.base.errors import Conflict, InvalidInput, SettingError
from runyard.client import server_records
from runyard.server.app import create_app
from runyard.server.guard import is_loopback
from runyard.settings import api_token
from runyard.store.database import get_database

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI


class _Server(uvicorn.Server):
    """Ends the long polls before it waits for requests: each may take 30 s, and every idle worker has one."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop serving; called by uvicorn after a signal."""
        app: FastAPI = self.config.app  # type: ignore[assignment]
        app.state.service.changes.end_waits()
        await super().shutdown(sockets)


def serve(
    host: str = "127.0.0.1",
    port: int = 4200,
    on_listening: Callable[[str], None] | None = None,
    log_level: str = "warning",
    services: bool = True,
    background: bool = False,
) -> None:
    """Serve the API until SIGINT or SIGTERM; call it in the main thread.

    Args:
        host: an address or name of this machine; beyond loopback only with a password.
        port: 0 selects a free one.
        on_listening: called with the API's URL as soon as connections are accepted.
        log_level: uvicorn's.
        services: whether this process also schedules runs, recovers lost ones and deletes old ones.
        background: whether it was started in the background, for its record.

    Raises:
        SettingError: other machines can reach `host` and RUNYARD_API_AUTH_STRING is not set.
        Conflict: the port is in use.
        InvalidInput: this machine does not have the address, or this user may not use it.
        StoreError: the database cannot be used.
    """
    if not settings.get("api_auth_string") and not is_loopback(host):
        raise SettingError(
            f"other machines can reach {host}; set RUNYARD_API_AUTH_STRING=user:password, "
            "or listen on 127.0.0.1"
        )
    database = get_database()
    database.changes()  # report an unusable database now, not to every caller
    api_token.make_token()
    listener = listen(host, port)
    try:
        app = create_app(database, maintenance=services, hosts=[host], any_address=not is_loopback(host))
        # Longer than the 5 s after which most clients drop an idle connection: a request on a connection that
        # the server is closing is lost.
        server = _Server(uvicorn.Config(app, log_level=log_level, timeout_keep_alive=30))
        # A signal that arrives before uvicorn handles signals stops it right after its start. After its
        # shutdown uvicorn raises the signal again; this handler ends the process in order.
        before = signal.signal(signal.SIGTERM, lambda number, frame: setattr(server, "should_exit", True))
        bound = listener.getsockname()[1]
        name = f"[{host}]" if ":" in host else host
        record = server_records.ServerRecord(
            os.getpid(),
            machine.started(os.getpid()) or 0,
            f"http://{name}:{bound}/api",
            host,
            bound,
            services,
            datetime.now(UTC).isoformat(timespec="seconds"),
            background,
        )
        try:
            server_records.write(record)
            if on_listening:
                on_listening(record.url)
            server.run(sockets=[listener])
        except KeyboardInterrupt:
            pass
        finally:
            server_records.remove(record)
            signal.signal(signal.SIGTERM, before)
    finally:
        listener.close()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        Conflict: the port is in use.
        InvalidInput: this machine does not have the address, or this user may not use it.
    """
    if not 0 <= port <= 65535:  # getaddrinfo would take it modulo 65536
        raise InvalidInput(f"invalid port {port}; use 0 to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise InvalidInput(f"invalid address {host}:{port}: {error}") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise Conflict(f"port {port} of {host} is in use; choose another with --port") from error
        raise InvalidInput(f"cannot listen on {host}:{port}: {error}") from error
    return listener
