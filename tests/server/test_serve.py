"""Where the server listens, and when it refuses to."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import httpx
import pytest
from runyard.base.errors import Conflict, DatabaseReadOnly, InvalidInput, SettingError
from runyard.server.serve import is_loopback, listen, serve


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org"])
def test_beyond_loopback_it_asks_for_a_password(home, host):
    with pytest.raises(SettingError, match="RUNYARD_API_AUTH_STRING"):
        serve(host, 0)
    assert not home.exists()


def test_loopback_has_several_names():
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.8.9.1", "::1", "localhost"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "10.0.0.1", "localhost.example.org"))


def test_a_port_in_use_is_said_in_one_line(home):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Conflict, match="in use; choose another") as error:
            serve("127.0.0.1", taken.getsockname()[1])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("host", "port"), [("192.0.2.7", 0), ("127.0.0.1", 99999), ("no.invalid", 1)])
def test_an_address_that_cannot_be_had(host, port):
    with pytest.raises(InvalidInput):
        listen(host, port)


def test_a_database_that_cannot_be_used_is_said_before_listening(tmp_path, home, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RUNYARD_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(DatabaseReadOnly):
        serve("127.0.0.1", 0)


SERVE = """
from runyard.server.serve import serve
serve("127.0.0.1", 0, on_listening=lambda url: print(url, flush=True))
"""


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop(home, stop):
    with subprocess.Popen(
        [sys.executable, "-c", SERVE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            url = server.stdout.readline().strip()
            assert urlsplit(url).hostname == "127.0.0.1"
            assert httpx.get(f"{url}/health", timeout=60).json() is True
            token = httpx.get(f"{url}/runyard/changes", timeout=60).json()
            assert httpx.get(f"{url}/runyard/changes", params={"since": token}, timeout=60).status_code == 200
            os.kill(server.pid, stop)
            _, errors = server.communicate(timeout=60)
            assert errors == ""
            assert server.returncode == 0
        finally:
            server.kill()


def test_a_long_poll_does_not_hold_up_the_stop(home):
    with subprocess.Popen(
        [sys.executable, "-c", SERVE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            url = urlsplit(server.stdout.readline().strip())
            # While this transaction is open, nothing else ends a poll: no other can commit.
            with (
                closing(sqlite3.connect(home / "runyard.db")) as writer,
                closing(HTTPConnection(url.hostname, url.port, timeout=60)) as poll,
            ):
                writer.execute("BEGIN IMMEDIATE")
                poll.request("GET", "/api/runyard/changes")
                token = json.loads(poll.getresponse().read())
                poll.request("GET", f"/api/runyard/changes?since={token}&timeout_seconds=30")
                # Answered after the server has read the request above.
                assert httpx.get(f"{url.geturl()}/health", timeout=60).json() is True
                server.terminate()
                # Another token: the poll was ended. After its 30 s it would have answered the same.
                assert json.loads(poll.getresponse().read()) != token
            assert server.wait(60) == 0
        finally:
            server.kill()


def test_a_server_at_every_address_names_one_that_others_can_use(home):
    command = [
        sys.executable,
        "-m",
        "runyard_cli.main",
        "server",
        "start",
        "--host",
        "0.0.0.0",
        "--port",
        "0",
    ]
    server = subprocess.Popen(
        command,
        env={**os.environ, "RUNYARD_API_AUTH_STRING": "user:password"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said = [server.stdout.readline() for _ in range(2)]
        port = said[0].partition("0.0.0.0:")[2].partition("/")[0]
        assert said[1].endswith(f"RUNYARD_API_URL=http://{socket.gethostname()}:{port}/api\n"), said
        # One that comes so soon is not lost.
        server.terminate()
        server.wait(60)
    finally:
        server.kill()
        server.communicate()
