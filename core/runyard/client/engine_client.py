"""The shared client of a process: one per setting, used by all threads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from runyard import settings
from runyard.client import connect, short_errors

if TYPE_CHECKING:
    from runyard.client import Client

_clients: dict[tuple[int, str, str], Client] = {}


def shared_client() -> Client:
    """The client of the settings; a forked child gets its own."""
    short_errors.install()
    url = settings.get("api_url")
    key = (os.getpid(), url, "" if url else settings.database_url())
    client = _clients.get(key)
    if client is None:
        # If several threads create a client at the same time, all use the first one.
        client = _clients.setdefault(key, connect())
    return client


def forget_clients(part: str) -> None:
    """Drop the clients of databases whose URL contains this text."""
    for key in [key for key in _clients if part in key[2]]:
        del _clients[key]
