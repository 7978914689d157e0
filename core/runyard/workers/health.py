"""The health check of a worker: `GET /health` says whether its loop lives and reaches the database."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from runyard.errors import RunyardError

if TYPE_CHECKING:
    from collections.abc import Callable

    from runyard.workers.loop import Worker

# A call to a hanging database or API returns within this; longer, and the loop itself is stuck.
_STILL_SECONDS = 90.0


def start_health_server(host: str, port: int, problem: Callable[[], str | None]) -> ThreadingHTTPServer:
    """Serve `/health` from a thread: 200, or 503 with what is wrong.

    Args:
        host: the address to listen on.
        port: its port; 0 for any.
        problem: says what is wrong, or None.

    Returns:
        The server; `shutdown()` ends it.

    Raises:
        RunyardError: the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.partition("?")[0].rstrip("/") != "/health":
                self._answer(404, "not found")
                return
            wrong = problem()
            self._answer(503 if wrong else 200, wrong or "OK")

        def _answer(self, status: int, message: str) -> None:
            body = json.dumps({"message": message}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except OSError as error:
        raise RunyardError(
            f"cannot serve the health check on {host}:{port}: {error.strerror}; "
            "set RUNYARD_WORKER_WEBSERVER_PORT to a free one"
        ) from error
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="runyard-health", daemon=True).start()
    return server


def problem_of(worker: Worker) -> str | None:
    """What is wrong with a worker, or None: its loop stands still, or the database is away."""
    silent = time.monotonic() - worker.last_turn
    if silent > _STILL_SECONDS:
        return f"the worker's loop has stood still for {silent:.0f} s"
    return worker.outage
