"""The servers of this home that run on this machine: one file each, which the server writes itself."""

from __future__ import annotations

import contextlib
import json
import os
from typing import NamedTuple

from runyard import settings
from runyard.base import machine, private_files

_PREFIX, _SUFFIX = "server-", ".json"


class ServerRecord(NamedTuple):
    """A server that runs.

    Args:
        pid: its process.
        start: when the process began, in ticks since the boot.
        url: of its API.
        host: the address it listens on.
        port: the port it listens on.
        services: whether it schedules and recovers runs too.
        began: when it began to serve, as ISO 8601.
        background: whether it was started in the background.
    """

    pid: int
    start: int
    url: str
    host: str
    port: int
    services: bool
    began: str
    background: bool


def log_path(port: int) -> str:
    """Where a server in the background writes what it prints."""
    return os.path.join(settings.home(), f"server-{port}.log")


def running() -> list[ServerRecord]:
    """The servers that run, by port. The record of a server that was killed stays, and does not count."""
    found = []
    try:
        names = os.listdir(settings.home())
    except OSError:
        return []
    for name in names:
        if not (name.startswith(_PREFIX) and name.endswith(_SUFFIX)):
            continue
        path = os.path.join(settings.home(), name)
        try:
            with open(path, encoding="utf-8") as file:
                record = ServerRecord(**json.load(file))
            alive = machine.is_alive(record.pid, record.start)
        except (OSError, ValueError, TypeError):
            continue
        if alive:
            found.append(record)
    return sorted(found, key=lambda record: record.port)


def write(record: ServerRecord) -> None:
    """Keep the record of this process.

    Raises:
        OSError: the home cannot be written.
    """
    path = _path(record.port)
    os.replace(private_files.write_beside(path, json.dumps(record._asdict())), path)


def remove(record: ServerRecord) -> None:
    """Remove the record of this process, which stops serving."""
    with contextlib.suppress(OSError):
        os.unlink(_path(record.port))


def _path(port: int) -> str:
    return os.path.join(settings.home(), f"{_PREFIX}{port}{_SUFFIX}")
