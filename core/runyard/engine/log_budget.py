"""How much of what a run says is kept: all of it up to a limit, and then the end of it."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from runyard import settings

# What a record takes in the database besides its text, about.
RECORD_BYTES = 300
_END_BYTES = 256 << 10

Item = TypeVar("Item")


class Budget(Generic[Item]):
    """What is left of the limit of one run.

    Args:
        megabytes: the limit; by default the setting, and none where that is 0.
    """

    def __init__(self, megabytes: float | None = None) -> None:
        limit = settings.get("logging_max_megabytes_per_run") if megabytes is None else megabytes
        self.spent = 0
        self.over = False
        self._limit = limit * 1e6 or float("inf")
        self._end: deque[tuple[Item, int]] = deque()
        self._end_bytes = 0

    def admits(self, item: Item, size: int) -> bool:
        """Whether a record is to be kept now.

        Args:
            item: what may be needed later, as a part of the end.
            size: of its text.
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
        """The line that says so."""
        return (
            f"This run has written more than {self._limit / 1e6:g} MB of logs: no more is kept, but for the "
            "end of it. RUNYARD_LOGGING_MAX_MEGABYTES_PER_RUN sets the limit."
        )

    def take_end(self) -> list[Item]:
        """The last of what was not kept, once."""
        end, self._end, self._end_bytes = self._end, deque(), 0
        return [item for item, _ in end]
