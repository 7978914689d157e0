"""An API on a free port of this machine, for tests: a real server, on a thread."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn
from runyard.server.app import Service
from runyard.server.serve import listen
from runyard.store.database import Database

if TYPE_CHECKING:
    from fastapi import FastAPI


def no_database() -> Database:
    """What is served between tests: a database that cannot be opened."""
    return Database("sqlite:////dev/null/none/runyard.db")


class ApiServer:
    """Serves an application until it is stopped.

    Args:
        app: made by `create_app`.
    """

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self._listener = listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/api"
        config = uvicorn.Config(app, log_level="critical", lifespan="off", timeout_keep_alive=60)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, daemon=True
        )
        self._thread.start()

    def use(self, database: Database) -> None:
        """Serve this database from now on; long polls on the former one end."""
        self.app.state.service.close()
        self.app.state.service = Service(database)

    def stop(self) -> None:
        """Stop listening."""
        self.app.state.service.close()
        self._server.should_exit = True
        self._thread.join(timeout=10)
        self._listener.close()


@contextmanager
def serving(server, database):
    """Let the API serve `database` for the block."""
    server.use(database)
    try:
        yield server
    finally:
        server.use(no_database())
