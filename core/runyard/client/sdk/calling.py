"""What the parts of the client share: how they call operations, and filters as the API takes them."""

from __future__ import annotations

from typing import Any

from runyard import settings
from runyard.client.schemas.filters import as_body
from runyard.client.shared_client import shared_client
from runyard.operations.schemas import Listing


class Caller:
    """Calls operations through the client that the process shares."""

    @property
    def api_url(self) -> str:
        """The API that answers; empty where this process works on the database itself."""
        return str(settings.get("api_url"))

    def _call(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        return shared_client().call(operation, *args, **kwargs)


def listing(limit: int | None = None, offset: int | None = None, sort: Any = None, **filters: Any) -> Listing:
    """The body of a listing; the filters by the names that the body has for them."""
    return Listing(
        limit=limit,
        offset=offset or None,
        sort=None if sort is None else str(getattr(sort, "value", sort)),
        **{name: as_body(value) for name, value in filters.items()},
    )


def given(**fields: Any) -> dict[str, Any]:
    """The fields that are not None; ids and the like as text."""
    return {
        name: str(value) if name.endswith("_id") else value
        for name, value in fields.items()
        if value is not None
    }
