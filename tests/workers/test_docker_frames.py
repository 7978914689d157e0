"""What a docker worker makes of an engine's log, where the engine itself has something to say in it."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("docker")

from runyard.workers.infrastructure.docker_jobs import DockerInfrastructure

AT = b"2026-01-02T03:04:05.000000006Z"


def frame(stream, data):
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


ANSWERS = {
    "/info": b'{"ID": "x"}',
    "/version": b'{"ApiVersion": "1.41"}',
    "/networks/bridge": b'{"IPAM": {"Config": [{"Gateway": "127.0.0.1"}]}}',
}


class Engine(BaseHTTPRequestHandler):
    """As far as a worker asks it."""

    log = (
        frame(1, AT + b" out\n"),
        frame(2, AT + b" err\n"),
        frame(3, b"Error grabbing logs: unexpected EOF\n\n"),
    )

    def do_GET(self):
        path = self.path.partition("?")[0].removeprefix("/v1.41")
        body = b"".join(self.log) if path.endswith("/logs") else ANSWERS.get(path, b"{}")
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def test_words_of_the_engine_itself_are_no_output(monkeypatch):
    with ThreadingHTTPServer(("127.0.0.1", 0), Engine) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_port}")
        infrastructure = DockerInfrastructure()
        told = [each[:2] for each in infrastructure.follow("job", None)]
        infrastructure.close()
        server.shutdown()
    assert told == [
        ("stdout", b"out\n"),
        ("stderr", b"err\n"),
        ("warning", b"The engine cannot read what the container prints: Error grabbing logs: unexpected EOF"),
    ]
