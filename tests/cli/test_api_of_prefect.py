"""PREFECT_API_URL of a real Prefect server, as those have it who come from there."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

POOL = {
    "id": "838789a9-0231-4c82-a08a-fa76d4fc6adb",
    "created": "2026-11-29T00:00:00Z",
    "updated": "2026-11-29T00:00:00Z",
    "name": "served",
    "type": "process",
    "base_job_template": {},
    "is_paused": False,
    "concurrency_limit": None,
    "status": "NOT_READY",
    "default_queue_id": "a7b7c2d8-8f5a-4bd2-9a6a-0a2f5c1a7d11",
}
REFUSED = {
    "exception_message": "Invalid request received.",
    "exception_detail": [
        {"loc": ["body", "tags"], "msg": "Input should be a valid list", "type": "list_type"}
    ],
}


class _Prefect(BaseHTTPRequestHandler):
    """Knows a few routes of Prefect's, and none of Runyard's own."""

    def _answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        known = {
            "/api/health": b"true",
            "/api/deployments/filter": b"[]",
            "/api/work_pools/served": json.dumps(POOL).encode(),
            "/api/work_pools/served/workers/filter": b"[]",
            "/api/variables/": json.dumps(REFUSED).encode(),
        }
        body = known.get(self.path.partition("?")[0])
        status = 422 if self.path == "/api/variables/" else 200
        self.send_response(404 if body is None else status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"detail":"Not Found"}' if body is None else body)

    do_GET = _answer  # noqa: N815  # the name that http.server calls
    do_POST = _answer  # noqa: N815  # as above

    def log_message(self, format, *args):
        """Say nothing."""


class _Pages(_Prefect):
    """Answers each request with a page that says 404, as a web server does."""

    def _answer(self):
        self.send_response(404)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<html>404</html>")

    do_GET = _answer  # noqa: N815  # as above
    do_POST = _answer  # noqa: N815  # as above


@pytest.fixture
def address(home, monkeypatch):
    """The address of such a server, which is set as the API."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Prefect)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}/api"
    monkeypatch.setenv("PREFECT_API_URL", url)
    yield url
    server.shutdown()
    thread.join()
    server.server_close()


FLOW = "from runyard import flow\n\n@flow\ndef f(): ...\n\nif __name__ == '__main__':\n    f()\n"
PROJECT = "deployments:\n- name: d\n  entrypoint: f.py:f\n  work_pool: {name: p}\n"


@pytest.mark.parametrize(
    "command",
    [
        ["work-pool", "ls"],
        ["deploy", "--all"],
        ["deploy", "--all", "--plan", "-o", "json"],
        ["deployment", "run", "f/d"],
        ["deployment", "backfill", "f/d", "--from", "2026-01-01"],
        ["flow-run", "why", "calm-otter"],
        ["worker", "start", "--pool", "p", "--run-once"],
        ["worker", "start", "--pool", "served", "--run-once"],
        ["worker", "start", "--pool", "served"],
    ],
)
def test_one_line_says_that_it_is_no_runyard_server(program, address, tmp_path, command):
    (tmp_path / "f.py").write_text(FLOW)
    (tmp_path / "prefect.yaml").write_text(PROJECT)
    answer = program(*command, code=1, cwd=tmp_path)
    (line,) = answer.err.splitlines()
    assert line.startswith(f"Error: {address} (PREFECT_API_URL) is not a Runyard server: it has no ")
    assert line.endswith(
        "Unset it to use this machine's database, or give the address of `runyard server start`"
    )
    assert answer.out == ""


@pytest.mark.parametrize("debug", [False, True])
def test_a_script_ends_with_that_line(address, tmp_path, monkeypatch, debug):
    if debug:
        monkeypatch.setenv("RUNYARD_DEBUG", "true")
    (tmp_path / "f.py").write_text(FLOW)
    command = [sys.executable, "-m", "runyard", "f.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert f"{address} (PREFECT_API_URL) is not a Runyard server: it has no " in line
    assert ("Traceback" in done.stderr) == debug
    assert debug or done.stderr == f"{line}\n"


def test_doctor_says_so_too(program, address, tmp_path):
    assert (
        f"{address} (PREFECT_API_URL) is not a Runyard server" in program("doctor", code=1, cwd=tmp_path).out
    )


def test_what_it_refuses_is_named(program, address):
    (line,) = program("variable", "set", "a", "1", code=1).err.splitlines()
    assert line == "Error: the server refuses the request: body.tags: Input should be a valid list"


@pytest.mark.parametrize("end", ["", "/"])
def test_an_address_without_api_is_told_its_end(program, address, monkeypatch, end):
    short = address.removesuffix("/api")
    monkeypatch.setenv("PREFECT_API_URL", short + end)
    (line,) = program("flow-run", "ls", code=1).err.splitlines()
    assert line == (
        f"Error: {short} (PREFECT_API_URL) lacks the end of the address, /api; set it to {short}/api"
    )


@pytest.mark.parametrize("path", ["/", "/elsewhere"])
def test_a_server_of_pages_is_no_runyard_server(program, home, monkeypatch, path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Pages)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("RUNYARD_API_URL", url + path)
    try:
        (line,) = program("work-pool", "ls", code=1).err.splitlines()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    place = (url + path).rstrip("/")
    assert line.startswith(f"Error: {place} (RUNYARD_API_URL) is not a Runyard server: it has no GET ")
