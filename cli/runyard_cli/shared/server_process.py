"""A server in the background: started as a process of its own, asked whether it answers, and stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runyard.client.server_records import ServerRecord

_START_SECONDS = 30.0
_STOP_SECONDS = 40.0
_LOOK_SECONDS = 0.02
_ANSWER_SECONDS = 2.0


def start(host: str, port: int, services: bool) -> ServerRecord:
    """Start a server in the background, and return when it accepts connections.

    Args:
        host, port: where it listens; port 0 is any free one.
        services: whether it schedules and recovers runs too.

    Returns:
        Its record.

    Raises:
        Conflict: it ended before it served, or does not serve after 30 s; the text says why.
    """
    from runyard import settings
    from runyard.base import private_files
    from runyard.base.errors import Conflict
    from runyard.client import server_records

    private_files.make_folder(settings.home())
    path = server_records.log_path(port)
    command = [
        sys.executable,
        "-m",
        "runyard_cli.main",
        "server",
        "start",
        "--host",
        host,
        "--port",
        str(port),
    ]
    if not services:
        command.append("--no-services")
    if os.path.islink(path):
        os.unlink(path)  # the log must not overwrite what a link names
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    handle = os.open(path, flags, private_files.FILE_MODE)
    with os.fdopen(handle, "wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "RUNYARD__SERVER_IN_BACKGROUND": "1"},
        )
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        found = next((each for each in server_records.running() if each.pid == process.pid), None)
        if found is not None:
            return found
        if process.poll() is not None:
            break
        time.sleep(_LOOK_SECONDS)
    else:
        process.kill()
        raise Conflict(f"the server does not serve after {_START_SECONDS:.0f} s; see {path}")
    with open(path, encoding="utf-8", errors="replace") as log_text:
        lines = [line.removeprefix("Error: ").strip() for line in log_text if line.strip()]
    raise Conflict(lines[-1] if lines else f"the server ended with exit code {process.returncode}")


def stop(record: ServerRecord) -> bool:
    """Ask a server to stop, and wait until it has; what it does at the moment is finished first.

    Returns:
        False if it still runs after 40 s.

    Raises:
        Conflict: this user may not stop it.
    """
    from runyard.base import machine
    from runyard.base.errors import Conflict

    try:
        os.kill(record.pid, signal.SIGTERM)
    except ProcessLookupError:
        return True
    except PermissionError:
        raise Conflict(f"the server at {record.url} belongs to another user (process {record.pid})") from None
    end = time.monotonic() + _STOP_SECONDS
    while time.monotonic() < end:
        if not machine.is_alive(record.pid, record.start):
            return True
        time.sleep(_LOOK_SECONDS)
    return False


def ask(url: str) -> dict[str, Any]:
    """Ask an API whether it is there.

    Args:
        url: of the API.

    Returns:
        status (`available` or `unavailable`), api_url, server_version and error.
    """
    from runyard.client import import_httpx

    httpx = import_httpx()
    answer: dict[str, Any] = {"status": "unavailable", "api_url": url, "server_version": None, "error": None}
    try:
        reply = httpx.get(f"{url.rstrip('/')}/health", timeout=_ANSWER_SECONDS)
        if reply.status_code != 200:
            answer["error"] = f"GET /health answers {reply.status_code}"
            return answer
        if reply.json() is not True:
            answer["error"] = "what answers GET /health is not Runyard's API"
            return answer
        answer["status"] = "available"
        version = httpx.get(
            f"{url.rstrip('/')}/admin/version", timeout=_ANSWER_SECONDS, headers=_headers(url)
        )
        if version.status_code == 200:
            told = version.json()
            answer["server_version"] = told if isinstance(told, str) else None
    except (ValueError, RecursionError):
        answer["error"] = "its answer is not the JSON of Runyard's API"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        answer["error"] = str(error) or type(error).__name__
    return answer


def _headers(url: str) -> dict[str, str]:
    from base64 import b64encode

    from runyard import settings
    from runyard.settings.api_token import token_headers

    auth = settings.get("api_auth_string")
    return {"Authorization": f"Basic {b64encode(auth.encode()).decode()}"} if auth else token_headers(url)
