"""The token of a home: who can read it may call the API that its owner serves on this machine.

It is what tells the owner's own programs from those of other users where the system does not say whose
a connection is.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from runyard import settings
from runyard.base import private_files

TOKEN_FILE = "api.token"  # noqa: S105  # the name of the file


def token_path() -> str:
    """Where the token is."""
    return os.path.join(settings.home(), TOKEN_FILE)


def read_token() -> str:
    """The token; empty where there is none that this process can read."""
    try:
        with open(token_path(), encoding="ascii") as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def make_token() -> str:
    """The token, which is made if it is missing; empty where it can be neither read nor made."""
    found = read_token()
    if found:
        return found
    try:
        private_files.write_once(token_path(), os.urandom(32).hex() + "\n")
    except OSError:
        return ""
    return read_token()


def token_headers(url: str) -> dict[str, str]:
    """What shows the API at `url` that its own user calls; no other machine is told the token."""
    if urlsplit(url).hostname not in ("localhost", "127.0.0.1", "::1"):
        return {}
    token = read_token()
    return {"Authorization": f"Bearer {token}"} if token else {}
