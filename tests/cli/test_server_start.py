"""`runyard server start` says where the API is, and what users set to reach it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest
from _ports import free_port


def first_lines(count, *arguments, **environment):
    """The first lines that the server prints; it is stopped then."""
    server = subprocess.Popen(
        [sys.executable, "-m", "runyard_cli.main", "server", "start", "--port", "0", *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        return [server.stdout.readline().rstrip() for _ in range(count)]
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)


def test_on_this_machine_the_url_is_enough(home):
    serving, use = first_lines(2)
    url = serving.removeprefix("Serving the API at ").removesuffix("; Ctrl-C stops it.")
    assert url.startswith("http://127.0.0.1:")
    assert use == f"Use it on this machine with: export RUNYARD_API_URL={url}"


def test_others_get_the_name_of_the_machine_and_the_password_to_set(home):
    serving, use, password = first_lines(3, "--host", "0.0.0.0", RUNYARD_API_AUTH_STRING="team:secret")
    port = serving.rpartition(":")[2].partition("/")[0]
    url = f"http://{socket.gethostname()}:{port}/api"
    assert use == f"Use it from elsewhere with: export RUNYARD_API_URL={url}"
    assert password == "and its user and password: export RUNYARD_API_AUTH_STRING=USER:PASSWORD"
    assert "secret" not in serving + use + password


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_without_a_password_others_are_not_let_in(runyard, host):
    error = runyard("server", "start", "--host", host, code=1).err
    assert error.startswith(
        f"Error: other machines can reach {host}; set RUNYARD_API_AUTH_STRING=user:password"
    )


def test_the_log_of_the_background_does_not_follow_a_link(home, program, tmp_path):
    port = free_port()
    theirs = tmp_path / "theirs"
    theirs.write_text("kept")
    home.mkdir(exist_ok=True)
    (home / f"server-{port}.log").symlink_to(theirs)
    try:
        program("server", "start", "--background", "--port", port)
        assert theirs.read_text() == "kept"
        assert "Serving the API" in (home / f"server-{port}.log").read_text()
    finally:
        program("server", "stop")
