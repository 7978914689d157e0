"""The API that a worker serves to the runs of its own containers, where no server is set."""

from __future__ import annotations

import secrets
import threading
import time
from typing import TYPE_CHECKING

from runyard.errors import RunyardError, extra_missing

if TYPE_CHECKING:
    import socket

    from runyard.store.database import Database

try:
    import uvicorn
except ImportError as error:
    raise extra_missing("uvicorn", "server") from error

_START_SECONDS = 10.0
_STOP_SECONDS = 5.0


class RunApi:
    """Serves the API on this machine's loopback address, in threads, to who has the token of a run.

    Args:
        database: where everything is.
    """

    def __init__(self, database: Database) -> None:
        from runyard.server.app import create_app
        from runyard.server.run_tokens import RunTokens

        auth = f"worker:{secrets.token_hex(32)}"
        # Containers with a network of their own call this machine by the name that the worker gives to it.
        app = create_app(database, auth, maintenance=False, hosts=["host.docker.internal"])
        self._app = RunTokens(app, database, auth)
        self._lifespan = app
        self._servers: dict[int, tuple[uvicorn.Server, threading.Thread]] = {}
        self.port = self._serve(0)

    def url(self) -> str:
        """Its address, for runs that share this machine's network."""
        return f"http://127.0.0.1:{self.port}/api"

    def serve_also(self, port: int) -> None:
        """Answer at the port of a worker that is gone, whose runs go on.

        Raises:
            RunyardError: another program has the port.
        """
        if port not in self._servers:
            self._serve(port)

    def _serve(self, port: int) -> int:
        from runyard.server.serve import listen

        listener: socket.socket = listen("127.0.0.1", port)
        number: int = listener.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(self._app, log_level="warning", lifespan="off"))
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listener]}, name="runyard-run-api", daemon=True
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
