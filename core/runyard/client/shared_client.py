"""The engine's client: one per process and setting, shared by its threads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from runyard import settings
from runyard.client import connect, uncaught

if TYPE_CHECKING:
    from runyard.client import Client

_clients: dict[tuple[int, str, str], Client] = {}


def shared_client() -> Client:
    """The client that the settings ask for; a forked child gets its own."""
    uncaught.install()
    url = settings.get("api_url")
    key = (os.getpid(), url, "" if url else settings.database_url())
    client = _clients.get(key)
    if client is None:
        # Of several threads that come first at once, all get the same.
        client = _clients.setdefault(key, connect())
    return client


def forget_clients(part: str) -> None:
    """Forget the clients of databases whose URL has this part."""
    for key in [key for key in _clients if part in key[2]]:
        del _clients[key]
