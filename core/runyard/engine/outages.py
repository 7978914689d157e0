"""Outages of the database or the API: a run retries, and reports the outage once."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from runyard.base import write_retries
from runyard.base.current_run import current_flow, current_task
from runyard.base.errors import ApiUnavailable, DatabaseCorrupt, DatabaseLost, DatabaseTooNew, StoreError
from runyard.base.waits import jittered

if TYPE_CHECKING:
    from collections.abc import Callable


def persist(write: Any, what: str, verb: str = "record") -> Any:
    """Call `write`, and retry it until the database or the API is available; returns its result.

    Args:
        write: a function that may raise StoreError or ApiUnavailable.
        what, verb: name the operation in the line on stderr, which is printed once.

    Raises:
        StoreError, ApiUnavailable: the outage continues, and the process was asked to stop.
    """
    delay, told = 0.05, False
    while True:
        try:
            return write()
        except (DatabaseCorrupt, DatabaseLost, DatabaseTooNew):
            raise
        except (StoreError, ApiUnavailable) as error:
            if not told:
                print(f"runyard: cannot {verb} {what}, retrying: {error}", file=sys.stderr)
                told = True
            if not write_retries.wait(jittered(delay, most=1.5)):
                raise
            delay = min(delay * 2, 5.0)


def waited_for(call: Callable[[], Any], what: str, verb: str) -> Any:
    """Call a function and return its result; inside a run it is retried in an outage, see `persist`."""
    if current_flow.get() is None and current_task.get() is None:
        return call()
    return persist(call, what, verb)
