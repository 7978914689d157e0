"""The client's methods for tag limits and global concurrency limits."""

from __future__ import annotations

from typing import Any

from runyard.base.errors import NotFound
from runyard.client.user_client.calling import Caller, given
from runyard.operations.limits import concurrency_limits, tag_limits


class Limits(Caller):
    """Methods for concurrency limits."""

    def create_concurrency_limit(self, tag: str, concurrency_limit: int) -> str:
        """Create a limit of concurrent task runs with a tag; returns its id."""
        body = tag_limits.TagLimitCreate(tag=tag, concurrency_limit=concurrency_limit)
        return str(self._call(tag_limits.create_tag_limit, body).id)

    def read_concurrency_limit_by_tag(self, tag: str) -> tag_limits.TagLimit:
        """The limit of a tag."""
        return self._call(tag_limits.read_limit_of_tag, tag)

    def read_concurrency_limits(self, limit: int | None = None, offset: int | None = None) -> list[Any]:
        """The limits of tags."""
        body = concurrency_limits.LimitListing(**given(limit=limit, offset=offset))
        return self._call(tag_limits.filter_tag_limits, body)

    def delete_concurrency_limit_by_tag(self, tag: str) -> None:
        """Delete the limit of a tag."""
        self._call(tag_limits.delete_limit_of_tag, tag)

    def create_global_concurrency_limit(self, concurrency_limit: Any) -> str:
        """Create a global limit from a GlobalConcurrencyLimitCreate; returns its id."""
        return str(self._call(concurrency_limits.create_concurrency_limit, concurrency_limit).id)

    def read_global_concurrency_limit_by_name(self, name: str) -> concurrency_limits.ConcurrencyLimit:
        """A global limit by its name."""
        return self._call(concurrency_limits.read_concurrency_limit, name)

    def read_global_concurrency_limits(
        self, limit: int | None = None, offset: int | None = None
    ) -> list[Any]:
        """The global limits."""
        body = concurrency_limits.LimitListing(**given(limit=limit, offset=offset))
        return self._call(concurrency_limits.filter_concurrency_limits, body)

    def update_global_concurrency_limit(self, name: str, concurrency_limit: Any) -> None:
        """Update a global limit from a GlobalConcurrencyLimitUpdate."""
        self._call(concurrency_limits.update_concurrency_limit, name, concurrency_limit)

    def delete_global_concurrency_limit_by_name(self, name: str) -> None:
        """Delete a global limit."""
        self._call(concurrency_limits.delete_concurrency_limit, name)

    def reset_concurrency_limit_by_tag(self, tag: str, slot_override: list[Any] | None = None) -> None:
        """Free the slots of a tag, or assign them to the task runs in `slot_override`."""
        holders = None if slot_override is None else [str(each) for each in slot_override]
        self._call(tag_limits.reset_limit_of_tag, tag, tag_limits.SlotsReset(slot_override=holders))

    def upsert_global_concurrency_limit_by_name(
        self, name: str, limit: int, slot_decay_per_second: float | None = None
    ) -> None:
        """Create a global limit, or update the limit with that name."""
        fields = given(limit=limit, slot_decay_per_second=slot_decay_per_second)
        try:
            body = concurrency_limits.ConcurrencyLimitUpdate(**fields)
            self._call(concurrency_limits.update_concurrency_limit, name, body)
        except NotFound:
            new = concurrency_limits.ConcurrencyLimitCreate(name=name, **fields)
            self._call(concurrency_limits.create_concurrency_limit, new)
