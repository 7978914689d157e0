"""The two products under measurement: how each is called, and the throw-away folder it works in."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class Product:
    """A product in a folder of its own.

    Args:
        name: `runyard` or `prefect`, which is also its module and its command.
        python: the interpreter that has it.
    """

    name: str
    python: str
    folder: str = field(default_factory=lambda: tempfile.mkdtemp(prefix="benchmark-"))
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Modules are compiled once, as for users: without that each command would compile all it imports.
        others = ("RUNYARD_", "PREFECT_", "PYTHONDONTWRITEBYTECODE")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(others)}
        self.environment = {**kept, "RUNYARD_HOME": self.folder}

    @property
    def command(self) -> str:
        """The path of its command."""
        return os.path.join(os.path.dirname(self.python), self.name)

    def start(self) -> None:
        """Make it ready."""
        os.environ["RUNYARD_HOME"] = self.folder

    def stop(self) -> None:
        """End what was started and remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def fresh(self) -> None:
        """Begin with an empty database."""
        from runyard.store import database

        for opened in database._databases.values():
            opened.close()
        database._databases.clear()
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)

    def call(self, method: str, path: str, body: Any = None, **placeholders: str) -> Any:
        """One REST call, by the template of its path; Runyard's runs in this process."""
        from runyard.client import LocalClient
        from runyard.operations import all_operations
        from runyard.operations.wire import hints
        from runyard.store.database import get_database

        for operation in all_operations():
            if (operation.method, operation.path) == (method, path):
                break
        else:
            raise LookupError(f"{method} {path}")
        given: dict[str, Any] = dict(placeholders)
        if body is not None:
            kind = hints(operation)["body"]
            given["body"] = kind(**body) if isinstance(kind, type) else body
        result = LocalClient(get_database()).call(operation, **given)
        return result.model_dump(mode="json") if hasattr(result, "model_dump") else result

    def script(self, name: str, text: str) -> str:
        """Write a script; PRODUCT in it becomes the product's module."""
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace("PRODUCT", self.name))
        return path

    def run(self, *arguments: str) -> str:
        """Run a command to its end; what it wrote to stdout."""
        done = subprocess.run(
            arguments, env=self.environment, cwd=self.folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            said = done.stderr.strip() or done.stdout.strip()
            raise RuntimeError(f"{' '.join(arguments)} failed:\n{said[-2000:]}")
        return done.stdout

    def spawn(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command that stays; its output goes to a file in the folder."""
        with open(os.path.join(self.folder, "output"), "ab") as output:
            return subprocess.Popen(
                arguments, env=self.environment, cwd=self.folder, stdout=output, stderr=output
            )


class Prefect(Product):
    """Prefect with a server of its own, which favours it: without one, each script starts one."""

    _server: subprocess.Popen[bytes] | None = None
    _url = ""

    def start(self) -> None:
        """Start the server and wait until it answers."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self._url = f"http://127.0.0.1:{port}/api"
        self.environment |= {
            "PREFECT_HOME": self.folder,
            "PREFECT_API_URL": self._url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
        }
        self._server = self.spawn(self.command, "server", "start", "--host", "127.0.0.1", "--port", str(port))
        for _ in range(600):
            try:
                self.call("GET", "/health")
                return
            except OSError:
                time.sleep(0.2)
        raise RuntimeError("Prefect's server does not answer")

    def stop(self) -> None:
        """End the server."""
        if self._server:
            self._server.terminate()
            self._server.wait()
        super().stop()

    def fresh(self) -> None:
        """Its history is short enough to be left."""

    def call(self, method: str, path: str, body: Any = None, **placeholders: str) -> Any:
        """One REST call over HTTP."""
        request = urllib.request.Request(
            self._url + path.format_map(placeholders),
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Content-Type": "application/json"},
        )
        for turn in range(20):
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return json.loads(answer.read() or b"null")
            except (urllib.error.HTTPError, TimeoutError) as error:
                # Its server answers so, or not at all, while its database is locked.
                locked = not isinstance(error, urllib.error.HTTPError) or error.code == 503
                if not locked or turn == 19:
                    raise
                time.sleep(0.5)
        raise AssertionError("unreachable")


def runyard() -> Product:
    """The product of this interpreter."""
    return Product("runyard", sys.executable)
