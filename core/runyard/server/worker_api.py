"""The API that a worker serves to its own runs if there is no server."""

from __future__ import annotations

import secrets
import threading
import time
from typing import TYPE_CHECKING

import uvicorn

from runyard.base.errors import Conflict, InvalidInput, RunyardError
from runyard.server import run_tokens
from runyard.server.app import create_app
from runyard.server.serve import listen

if TYPE_CHECKING:
    import socket

    from runyard.store.database import Database

_START_SECONDS = 10.0
_STOP_SECONDS = 5.0
_LOOPBACK = "127.0.0.1"
_MOST_PORTS = 100


class RunApi:
    """Serves the API on addresses of this machine, in threads, to callers with the token of a run.

    Args:
        database: the database.
        also_at: an address besides loopback, for jobs with their own network. If this machine does not have
            it, `problem` says why those jobs cannot report.
    """

    def __init__(self, database: Database, also_at: str | None = None) -> None:
        auth = f"worker:{secrets.token_hex(32)}"
        # Containers with their own network call this machine by the name that the worker passes to them.
        also_at = None if also_at == _LOOPBACK else also_at
        hosts = ["host.docker.internal", *([also_at] if also_at else [])]
        app = create_app(database, auth, maintenance=False, hosts=hosts)
        self._app = run_tokens.RunTokens(app, database, auth)
        self._lifespan = app
        self._servers: dict[int, tuple[uvicorn.Server, threading.Thread]] = {}
        self._also_at = also_at
        self.problem: str | None = None
        self.port = self._serve(0)

    def url(self) -> str:
        """The URL for runs that share this machine's network."""
        return f"http://{_LOOPBACK}:{self.port}/api"

    def token(self, flow_run_id: str, attempt: int) -> str:
        """The credentials of an attempt at a run."""
        return run_tokens.make(flow_run_id, attempt)

    def serve_also(self, port: int) -> None:
        """Also listen on the port of a worker that is gone and whose runs continue.

        Raises:
            RunyardError: another program has the port.
        """
        if port not in self._servers:
            self._serve(port)

    def _listen(self, port: int) -> list[socket.socket]:
        """Sockets with one port at each address; 0: a port that is free at all of them."""
        for _ in range(_MOST_PORTS):
            first = listen(_LOOPBACK, port)
            if self._also_at is None:
                return [first]
            try:
                return [first, listen(self._also_at, first.getsockname()[1])]
            except InvalidInput as error:
                self.problem, self._also_at = str(error), None
                return [first]
            except Conflict:
                first.close()
                if port:
                    raise
        raise RunyardError(f"no port is free at both {_LOOPBACK} and {self._also_at}")

    def _serve(self, port: int) -> int:
        listeners = self._listen(port)
        number: int = listeners[0].getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(self._app, log_level="warning", lifespan="off"))
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": listeners}, name="runyard-run-api", daemon=True
        )
        thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not server.started:
            if time.monotonic() > deadline or not thread.is_alive():
                raise RunyardError(f"the API for the runs of this worker did not start on port {number}")
            time.sleep(0.01)
        self._servers[number] = (server, thread)
        return number

    def close(self) -> None:
        """Stop serving."""
        for server, _ in self._servers.values():
            server.should_exit = server.force_exit = True
        for _, thread in self._servers.values():
            thread.join(_STOP_SECONDS)
        self._lifespan.state.service.close()
