"""A server in the background: started, asked, restarted and stopped by commands; killed ones do not count."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys

import pytest
from runyard.base import machine
from runyard.client import HttpClient
from runyard.operations.work_pools import work_pools


@pytest.fixture
def runyard(home):
    def type_(*arguments, code=0, **environment):
        done = subprocess.run(
            [sys.executable, "-m", "runyard_cli.main", *map(str, arguments)],
            capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **environment},
        )  # fmt: skip
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    yield type_
    type_("server", "stop")


@pytest.fixture
def port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_a_server_is_started_asked_restarted_and_stopped(runyard, port, home):
    assert "No server runs." in runyard("server", "status", code=1).stdout
    begun = json.loads(runyard("server", "start", "--background", "--port", port, "-o", "json").stdout)
    assert begun["url"] == f"http://127.0.0.1:{port}/api"
    (asked,) = json.loads(runyard("server", "status", "-o", "json").stdout)
    assert (asked["status"], asked["pid"], asked["background"]) == ("available", begun["pid"], True)
    assert (home / f"server-{port}.log").stat().st_mode & 0o077 == 0

    client = HttpClient(begun["url"])
    client.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name="kept"))
    client.close()
    refused = runyard("server", "start", "--background", "--port", port, code=1).stderr
    assert f"a server runs at {begun['url']} already" in refused

    (again,) = json.loads(runyard("server", "restart", "-o", "json").stdout)
    assert again["url"] == begun["url"]
    assert again["pid"] != begun["pid"]
    assert runyard("work-pool", "ls", "-o", "name", RUNYARD_API_URL=again["url"]).stdout == "kept\n"

    assert "Stopped the server" in runyard("server", "stop").stdout
    assert "No server runs." in runyard("server", "stop").stdout
    assert machine.started(again["pid"]) is None


def test_a_killed_server_does_not_count(runyard, port):
    begun = json.loads(runyard("server", "start", "-b", "--port", port, "-o", "json").stdout)
    os.kill(begun["pid"], signal.SIGKILL)
    assert "No server runs." in runyard("server", "status", code=1).stdout
    begun = json.loads(runyard("server", "start", "-b", "--port", port, "-o", "json").stdout)
    assert f"{begun['url']} is available" in runyard("server", "status").stdout


def test_a_port_that_is_in_use_is_told_and_nothing_is_left(runyard):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        error = runyard("server", "start", "-b", "--port", port, code=1).stderr
    assert error == f"Error: port {port} of 127.0.0.1 is in use; choose another with --port\n"
    assert "No server runs." in runyard("server", "status", code=1).stdout


def test_the_api_of_the_setting_is_asked(runyard):
    answer = runyard("server", "status", "-o", "json", code=1, RUNYARD_API_URL="http://127.0.0.1:9/api")
    (asked,) = json.loads(answer.stdout)
    assert (asked["status"], asked["api_url"]) == ("unavailable", "http://127.0.0.1:9/api")
    waited = runyard(
        "server", "status", "--wait", "-t", 0.3, code=1, RUNYARD_API_URL="http://127.0.0.1:9/api"
    )
    assert "unavailable" in waited.stdout


def test_a_server_without_services_says_so(runyard, port):
    record = json.loads(
        runyard("server", "start", "-b", "--port", port, "--no-services", "-o", "json").stdout
    )
    assert record["services"] is False
    assert "without services" in runyard("server", "status").stdout
