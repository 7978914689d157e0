"""A temporary home for a test, with its own database, results and keys; deleted at the end."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from runyard.base.errors import SettingError
from runyard.client import engine_client
from runyard.engine import flowless_journal
from runyard.settings import SETTINGS
from runyard.store import database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def harness(**settings: str) -> Iterator[Path]:
    """A block that uses a new, temporary home.

    The block does not use databases, servers or settings of the developer: it ignores the environment
    variables `RUNYARD_...` and `PREFECT_...`, except for `settings`.

    Args:
        settings: settings by name, such as `logging_level="ERROR"`.

    Yields:
        The path of the home.

    Raises:
        SettingError: unknown setting.
    """
    from pathlib import Path

    for name in settings:
        if name not in SETTINGS:
            raise SettingError(f"unknown setting {name!r}; see: runyard config view")
    before = {name: os.environ.pop(name) for name in list(os.environ) if _is_ours(name)}
    folder = tempfile.mkdtemp(prefix="runyard-test-")
    given = {"home": folder, "logging_level": "ERROR", **settings}
    os.environ.update({f"RUNYARD_{name.upper()}": str(value) for name, value in given.items()})
    try:
        yield Path(folder)
    finally:
        try:
            flowless_journal.close_journal_without_flow()
            _close_databases(folder, str(given.get("database_url", "")))
        finally:
            for name in [name for name in os.environ if _is_ours(name)]:
                del os.environ[name]
            os.environ.update(before)
            shutil.rmtree(folder, ignore_errors=True)


def _is_ours(name: str) -> bool:
    return name.startswith(("RUNYARD_", "PREFECT_"))


def _close_databases(folder: str, url: str) -> None:
    """Close the databases in the folder or at the URL, and their clients."""
    used = {folder, url} - {""}
    for each in used:
        database.close_databases(each)
        engine_client.forget_clients(each)


@contextmanager
def prefect_test_harness(server_startup_timeout: float | None = None) -> Iterator[None]:
    """Prefect's name of `harness`; the timeout is ignored, because no server is started."""
    with harness():
        yield
