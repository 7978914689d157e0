"""The database or API of a process: its description, and absolute paths for child processes."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from runyard import settings
from runyard.store.sqlite import path_of


def place() -> str:
    """Describe the database or API that this process uses."""
    url = settings.get("api_url")
    if url:
        return f"the API {url}"
    parts = urlsplit(settings.database_url())
    host = (parts.hostname or "") + (f":{parts.port}" if parts.port else "")
    return f"the database {parts.scheme}://{host}{parts.path}"


def anchor_paths() -> None:
    """Make relative paths in this process's environment absolute, as runs start in other folders."""
    os.environ["RUNYARD_HOME"] = settings.home()
    url = settings.get("database_url")
    if url.startswith("sqlite"):
        os.environ["RUNYARD_DATABASE_URL"] = settings.sqlite_url(path_of(url))
