"""The API token of a home: a program that can read it may call the API that the owner serves on this machine.

If the system does not tell which user owns a connection, the token distinguishes the owner's programs from
those of other users.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from runyard import settings
from runyard.base import private_files

TOKEN_FILE = "api.token"  # noqa: S105  # the name of the file


def token_path() -> str:
    """The path of the token."""
    return os.path.join(settings.home(), TOKEN_FILE)


def read_token() -> str:
    """The token; empty if this process cannot read one."""
    try:
        with open(token_path(), encoding="ascii") as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def make_token() -> str:
    """Read the token, or create it; empty if neither is possible."""
    found = read_token()
    if found:
        return found
    try:
        private_files.write_once(token_path(), os.urandom(32).hex() + "\n")
    except OSError:
        return ""
    return read_token()


def token_headers(url: str) -> dict[str, str]:
    """The header that proves to the API at `url` that its own user calls; never for other machines."""
    if urlsplit(url).hostname not in ("localhost", "127.0.0.1", "::1"):
        return {}
    token = read_token()
    return {"Authorization": f"Bearer {token}"} if token else {}
