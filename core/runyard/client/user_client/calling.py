"""The base class of the client's parts, which calls operations, and helpers for request bodies."""

from __future__ import annotations

from typing import Any

from runyard import settings
from runyard.client.engine_client import shared_client
from runyard.client.schemas.filters import as_body
from runyard.operations.schemas import Listing


class Caller:
    """Calls operations through the shared client of the process."""

    @property
    def api_url(self) -> str:
        """The URL of the API; empty if this process uses the database directly."""
        return str(settings.get("api_url"))

    def _call(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        return shared_client().call(operation, *args, **kwargs)


def listing(limit: int | None = None, offset: int | None = None, sort: Any = None, **filters: Any) -> Listing:
    """The body of a request for a list; the filters by their names in the body."""
    return Listing(
        limit=limit,
        offset=offset or None,
        sort=None if sort is None else str(getattr(sort, "value", sort)),
        **{name: as_body(value) for name, value in filters.items()},
    )


def given(**fields: Any) -> dict[str, Any]:
    """The fields that are not None; ids and similar values as text."""
    return {
        name: str(value) if name.endswith("_id") else value
        for name, value in fields.items()
        if value is not None
    }
