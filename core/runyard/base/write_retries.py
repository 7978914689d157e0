"""How long a run tries to record what happened: without end, until its process is asked to stop."""

from __future__ import annotations

import threading
import time

# After that a process that was asked to stop leaves what it could not record to its lease, which
# expires: the run is then taken as crashed.
_LAST_SECONDS = 5.0

_asked = threading.Event()
_deadline = 0.0


def renew() -> None:
    """A run begins: nobody has asked it to stop."""
    _asked.clear()


def hurry() -> None:
    """The process was asked to stop; the first call counts."""
    global _deadline
    if not _asked.is_set():
        _deadline = time.monotonic() + _LAST_SECONDS
        _asked.set()


def asked() -> bool:
    """Whether the process was asked to stop."""
    return _asked.is_set()


def wait(seconds: float) -> bool:
    """Wait before another try, at most `seconds`; False when there is to be no other."""
    if _asked.is_set():
        time.sleep(min(seconds, 0.2))
        return time.monotonic() < _deadline
    _asked.wait(seconds)
    return True
