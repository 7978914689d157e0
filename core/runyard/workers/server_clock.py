"""The clock by which runs are due: the database's server's or the API's machine's, not the worker's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runyard.base import clock

if TYPE_CHECKING:
    from datetime import datetime

# How long what was told of that clock is relied on: it may be set.
_LONGEST_TRUST_SECONDS = 10.0


class ClockThere:
    """That clock, as it was told last; until then as this machine's."""

    def __init__(self) -> None:
        self._told_us, self._told_at = clock.now_us(), clock.boot_seconds()

    def told(self, now: datetime) -> None:
        """It is that late there."""
        self._told_us, self._told_at = clock.to_us(now), clock.boot_seconds()

    def now_us(self) -> int:
        """The present there, in microseconds since 1970."""
        return self._told_us + int((clock.boot_seconds() - self._told_at) * 1e6)

    def seconds_until(self, moment_us: int) -> float:
        """How long to wait for a moment there, or until it has to be asked again."""
        again = self._told_at + _LONGEST_TRUST_SECONDS - clock.boot_seconds()
        return min((moment_us - self.now_us()) / 1e6, again)
