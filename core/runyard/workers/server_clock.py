"""The clock that due times follow: that of the database server or of the API's machine, not the worker's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runyard.base import clock

if TYPE_CHECKING:
    from datetime import datetime

# How long the last known time is used: the clock may be set.
_LONGEST_TRUST_SECONDS = 10.0


class ServerClock:
    """The server's clock, computed from its last known time; before that, this machine's clock."""

    def __init__(self) -> None:
        self._time_us, self._read_at = clock.now_us(), clock.boot_seconds()

    def set(self, now: datetime) -> None:
        """Set the current time of the server."""
        self._time_us, self._read_at = clock.to_us(now), clock.boot_seconds()

    def now_us(self) -> int:
        """The current time of the server, in microseconds since 1970."""
        return self._time_us + int((clock.boot_seconds() - self._read_at) * 1e6)

    def seconds_until(self, moment_us: int) -> float:
        """How long to wait for a server time, at most until the server's clock must be read again."""
        again = self._read_at + _LONGEST_TRUST_SECONDS - clock.boot_seconds()
        return min((moment_us - self.now_us()) / 1e6, again)
