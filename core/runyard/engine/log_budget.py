"""The size limit of a run's logs: everything is stored up to the limit, after that only the last part."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from runyard import settings

# The approximate size of a record in the database, without its text.
RECORD_BYTES = 300
_END_BYTES = 256 << 10

Item = TypeVar("Item")


class Budget(Generic[Item]):
    """The remaining log budget of one run.

    Args:
        megabytes: the limit; the default is the setting, where 0 means no limit.
    """

    def __init__(self, megabytes: float | None = None) -> None:
        limit = settings.get("logging_max_megabytes_per_run") if megabytes is None else megabytes
        self.spent = 0
        self.over = False
        self._limit = limit * 1e6 or float("inf")
        self._end: deque[tuple[Item, int]] = deque()
        self._end_bytes = 0

    def admits(self, item: Item, size: int) -> bool:
        """Whether to store a record now.

        Args:
            item: the record; if it is over the limit, it is held back as a part of the end.
            size: the size of its text.
        """
        size += RECORD_BYTES
        if not self.over and self.spent + size <= self._limit:
            self.spent += size
            return True
        self.over = True
        self._end.append((item, size))
        self._end_bytes += size
        while self._end_bytes > _END_BYTES and len(self._end) > 1:
            self._end_bytes -= self._end.popleft()[1]
        return False

    def notice(self) -> str:
        """The log line that reports the reached limit."""
        return (
            f"This run has written more than {self._limit / 1e6:g} MB of logs: no more is kept, but for the "
            "end of it. RUNYARD_LOGGING_MAX_MEGABYTES_PER_RUN sets the limit."
        )

    def take_end(self) -> list[Item]:
        """Remove and return the last records over the limit."""
        end, self._end, self._end_bytes = self._end, deque(), 0
        return [item for item, _ in end]
