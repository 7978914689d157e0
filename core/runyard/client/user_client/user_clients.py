"""The clients behind `get_client()`, sync and async: every method of Prefect's client, over operations."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from runyard.base.thread_calls import in_thread
from runyard.client.user_client.block_calls import Blocks
from runyard.client.user_client.limit_calls import Limits
from runyard.client.user_client.record_calls import Records
from runyard.client.user_client.run_calls import Runs
from runyard.client.user_client.work_calls import Work

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PrefectClient", "RunyardClient", "SyncPrefectClient", "SyncRunyardClient", "get_client"]


class SyncRunyardClient(Runs, Work, Records, Limits, Blocks):
    """The client of sync code; also a context manager."""

    def __enter__(self) -> SyncRunyardClient:
        return self

    def __exit__(self, *_error: object) -> None:
        """Do nothing: the process shares the connections."""


class RunyardClient:
    """The client of async code: the methods of SyncRunyardClient as async methods."""

    def __init__(self) -> None:
        self._sync = SyncRunyardClient()

    @property
    def api_url(self) -> str:
        """The URL of the API; empty if this process uses the database directly."""
        return self._sync.api_url

    async def __aenter__(self) -> RunyardClient:
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Do nothing: the process shares the connections."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


def _awaited(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    async def twin(self: RunyardClient, *args: Any, **kwargs: Any) -> Any:
        return await in_thread(lambda: method(self._sync, *args, **kwargs))

    return twin


# Each method of the sync client as an async method. Type checkers see `__getattr__` above.
for _kind in SyncRunyardClient.__bases__:
    for _name, _method in vars(_kind).items():
        if callable(_method) and not _name.startswith("_"):
            setattr(RunyardClient, _name, _awaited(_method))


# Prefect's names of these classes.
PrefectClient = RunyardClient
SyncPrefectClient = SyncRunyardClient


def get_client(httpx_settings: dict[str, Any] | None = None, sync_client: bool = False) -> Any:
    """A client of the API, or of the database if no API URL is set.

    Args:
        httpx_settings: ignored; the process shares its connections.
        sync_client: True for a sync client; the default is an async client.
    """
    return SyncRunyardClient() if sync_client else RunyardClient()
