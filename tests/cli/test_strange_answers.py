"""RUNYARD_API_URL names something else, such as a proxy's page: one line tells it."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

PAGE = b"<html>\x1b[2J[red]Sign in[/]</html>"
ANSWERS = {
    "page": (200, PAGE, {"Content-Type": "text/html"}),
    "nothing": (200, b"", {}),
    "null": (200, b"null", {}),
    "another shape": (200, b'[1, null, {"id": {}}]', {}),
    "too deep": (200, b"[" * 100_000 + b"]" * 100_000, {}),
    "huge number": (200, b"[" + b"9" * 5000 + b"]", {}),
    "not UTF-8": (200, b'"\xff\xfe"', {}),
    "redirect": (307, b"", {"Location": "/login"}),
    "not compressed": (200, b"[]", {"Content-Encoding": "gzip"}),
    "list as error": (422, b'["no"]', {}),
    "time of retry": (429, b'{"error": "LimitFull", "detail": "full"}', {"Retry-After": "tomorrow"}),
}


@pytest.fixture
def answers(monkeypatch):
    """Lets a server give one answer to all requests, and points RUNYARD_API_URL at it."""
    given = {}

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            code, body, headers = given["answer"]
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815 - names of http.server

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("RUNYARD_API_URL", f"http://127.0.0.1:{server.server_port}/api")
    yield lambda answer: given.update(answer=answer)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("command", ["flow-run ls", "work-pool inspect a", "status"])
def test_a_strange_answer_is_told_in_one_line(runyard, answers, answer, command):
    answers(ANSWERS[answer])
    printed = runyard(*command.split(), code=1)
    (line,) = printed.err.splitlines()
    assert line.startswith("Error: ")
    assert "bug in Runyard" not in line
    assert printed.out == ""


def test_it_names_the_address_and_the_request(runyard, answers):
    answers(ANSWERS["page"])
    error = runyard("flow-run", "ls", code=1).err
    assert "(RUNYARD_API_URL) does not answer as this version of Runyard: POST /api/flow_runs/filter" in error
    assert f"gave 200, {len(PAGE)} bytes of text/html" in error


@pytest.mark.parametrize("answer", ["page", "null", "too deep", "another shape", "redirect"])
def test_a_server_that_is_no_api_is_not_available(runyard, answers, answer):
    answers(ANSWERS[answer])
    printed = runyard("server", "status", "-o", "json", code=1).json
    assert [each["status"] for each in printed] == ["unavailable"]


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http://[::1/api",
        "http://h:port/api",
        "http://h:99999/api",
        "http://h:0/api",
        "http://h\x1b[2J",
    ],
)
def test_an_address_that_is_none_is_refused(runyard, monkeypatch, url):
    monkeypatch.setenv("RUNYARD_API_URL", url)
    error = runyard("flow-run", "ls", code=1).err
    assert error.startswith("Error: RUNYARD_API_URL='http://")
    assert error.endswith(" is not a URL, such as http://127.0.0.1:4200/api\n")
    assert "\x1b" not in error


@pytest.mark.parametrize(
    "url", ["http://[::1]:9/api", "HTTP://127.0.0.1:9/api", "http://u:p@localhost:9/api/"]
)
def test_an_address_of_nothing_says_that_nothing_answers(runyard, monkeypatch, url):
    monkeypatch.setenv("RUNYARD_API_URL", url)
    assert "Error: no API answers at " in runyard("flow-run", "ls", code=1).err
