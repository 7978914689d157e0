"""The worker's HTTP endpoints: `GET /health` (is it healthy?) and `GET /metrics` (Prometheus metrics)."""

from __future__ import annotations

import errno
import json
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from runyard import settings
from runyard.base.errors import RunyardError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.server import ThreadingHTTPServer

    from runyard.workers.loop import Worker

# A call to a hanging database or API returns within this time; after it, the loop itself hangs.
_STILL_SECONDS = 90.0
# The time limit for a client to send its request.
_REQUEST_SECONDS = 10.0
_NO_METRICS = "the library prometheus-client is missing; install runyard[metrics]"


@contextmanager
def answering(worker: Worker, wanted: bool) -> Iterator[None]:
    """Context manager: while it is open and if `wanted`, serve the endpoints at the configured address.

    Raises:
        RunyardError: the worker cannot listen on the address.
    """
    if not wanted:
        yield
        return
    text = None
    try:
        # The extra `metrics` may be missing.
        from runyard.workers.metrics import Metrics
    except ImportError:
        pass
    else:
        metrics = Metrics(worker)
        worker.observers.append(metrics)
        text = metrics.text
    host, port = settings.get("worker_webserver_host"), settings.get("worker_webserver_port")
    server = start_health_server(host, port, lambda: problem_of(worker), text)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def start_health_server(
    host: str, port: int, problem: Callable[[], str | None], metrics: Callable[[], bytes] | None = None
) -> ThreadingHTTPServer:
    """Serve `/health` (200, or 503 with the problem) and `/metrics` in a thread.

    Args:
        host: the address to listen on.
        port: the port; 0: any free port.
        problem: returns the problem, or None.
        metrics: returns the text of `/metrics`; None: its library is missing.

    Returns:
        The server; `shutdown()` stops it.

    Raises:
        RunyardError: the worker cannot listen on the address.
    """
    # The import takes 1.2 MB, and most workers do not need it.
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        timeout = _REQUEST_SECONDS

        def do_HEAD(self) -> None:  # `wget --spider` and load balancers send HEAD
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.partition("?")[0].rstrip("/")
            if path == "/health":
                wrong = problem()
                self._tell(503 if wrong else 200, wrong or "OK")
            elif path == "/metrics" and metrics is not None:
                self._answer(200, metrics(), "text/plain; version=0.0.4; charset=utf-8")
            elif path == "/metrics":
                self._tell(501, _NO_METRICS)
            else:
                self._tell(404, "not found; use /health or /metrics")

        def _tell(self, status: int, message: str) -> None:
            self._answer(status, json.dumps({"message": message}).encode(), "application/json")

        def _answer(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    try:
        server = Server((host, port), Handler)
    except OSError as error:
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        elsewhere = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
        of_host = isinstance(error, socket.gaierror) or error.errno in elsewhere
        mend = "HOST to an address of this machine" if of_host else "PORT to a free port"
        raise RunyardError(
            f"cannot serve the health check on {where}: {error.strerror}; set RUNYARD_WORKER_WEBSERVER_{mend}"
        ) from error
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="runyard-health", daemon=True).start()
    return server


def problem_of(worker: Worker) -> str | None:
    """The problem of a worker, or None: its loop hangs, or the database does not respond."""
    silent = time.monotonic() - worker.last_turn
    if silent > _STILL_SECONDS:
        return f"the worker's loop has not run for {silent:.0f} s"
    return worker.outage
