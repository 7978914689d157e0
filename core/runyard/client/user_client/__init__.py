"""The client for users' code: `async with get_client() as client: await client.read_flow_runs()`."""

from runyard.client.user_client.user_clients import (
    PrefectClient,
    RunyardClient,
    SyncPrefectClient,
    SyncRunyardClient,
    get_client,
)

__all__ = ["PrefectClient", "RunyardClient", "SyncPrefectClient", "SyncRunyardClient", "get_client"]
