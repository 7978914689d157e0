"""In every Python of a soak's workers: the wall clock is off by as many seconds as a file says.

libfaketime would do so for any program, but lets threads that wait spin: that takes more than the runs.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

from runyard.base import clock

_FILE = os.environ["SOAK_CLOCK"]
_LOOK_SECONDS = 0.2
_time_ns = time.time_ns
_looked_at = 0.0
_offset = 0


def _now_ns() -> int:
    global _looked_at, _offset
    if time.monotonic() >= _looked_at + _LOOK_SECONDS:
        _looked_at = time.monotonic()
        with open(_FILE, encoding="ascii") as file:
            _offset = int(file.read()) * 1_000_000_000
    return _time_ns() + _offset


time.time_ns = _now_ns
time.time = lambda: _now_ns() / 1e9
clock.now = lambda: datetime.fromtimestamp(_now_ns() / 1e9, UTC)
