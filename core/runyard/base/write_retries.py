"""How long a run retries to write its records: without limit, until its process is asked to stop."""

from __future__ import annotations

import threading
import time

# After this time, a stopping process gives up unwritten records; its lease expires, and the run counts as
# crashed.
_LAST_SECONDS = 5.0

_stop_event = threading.Event()
_deadline = 0.0


def reset() -> None:
    """Reset at the start of a run: the process was not asked to stop."""
    _stop_event.clear()


def request_stop() -> None:
    """Note that the process was asked to stop; only the first call counts."""
    global _deadline
    if not _stop_event.is_set():
        _deadline = time.monotonic() + _LAST_SECONDS
        _stop_event.set()


def stop_requested() -> bool:
    """Whether the process was asked to stop."""
    return _stop_event.is_set()


def wait(seconds: float) -> bool:
    """Wait at most `seconds` before the next retry; return False if there is to be no retry."""
    if _stop_event.is_set():
        time.sleep(min(seconds, 0.2))
        return time.monotonic() < _deadline
    _stop_event.wait(seconds)
    return True
