"""The names of `prefect.client.orchestration`, `.utilities`, `.base` and `.constants` that scripts use."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from runyard import settings
from runyard.client.user_client import RunyardClient, SyncRunyardClient, get_client
from runyard.prefect_names.utilities.collections import AutoEnum

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "SERVER_API_VERSION",
    "PrefectClient",
    "ServerType",
    "SyncPrefectClient",
    "client_injector",
    "determine_server_type",
    "get_client",
    "get_or_create_client",
    "inject_client",
]

PrefectClient = RunyardClient
SyncPrefectClient = SyncRunyardClient
# The version of the API whose routes and shapes Runyard offers.
SERVER_API_VERSION = "0.8.4"


class ServerType(AutoEnum):
    """The kinds of servers."""

    EPHEMERAL = AutoEnum.auto()
    SERVER = AutoEnum.auto()
    CLOUD = AutoEnum.auto()
    UNCONFIGURED = AutoEnum.auto()


def determine_server_type() -> ServerType:
    """The kind according to the settings: a server by its URL, or this machine's database."""
    return ServerType.SERVER if settings.get("api_url") else ServerType.EPHEMERAL


def get_or_create_client(client: RunyardClient | None = None) -> tuple[RunyardClient, bool]:
    """The client, or a new one; and whether it existed before."""
    return (client, True) if client is not None else (get_client(), False)


def inject_client(fn: Callable[..., Any]) -> Callable[..., Any]:
    """An async function whose parameter `client` defaults to a client."""

    @wraps(fn)
    async def with_client(*args: Any, **kwargs: Any) -> Any:
        client, _ = get_or_create_client(kwargs.pop("client", None))
        return await fn(*args, client=client, **kwargs)

    return with_client


def client_injector(func: Callable[..., Any]) -> Callable[..., Any]:
    """An async function whose first parameter, a client, is filled in."""

    @wraps(func)
    async def with_client(*args: Any, **kwargs: Any) -> Any:
        return await func(get_client(), *args, **kwargs)

    return with_client
