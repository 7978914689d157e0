"""What a run does while the database or the API is away: it tries on, and says so once."""

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
    """Call `write` until the database or the API is back; its outcome.

    Args:
        write: a function that may raise StoreError or ApiUnavailable.
        what, verb: for the line on stderr that says, once, what waits.

    Raises:
        StoreError, ApiUnavailable: it stayed away, and the process was asked to stop.
    """
    delay, told = 0.05, False
    while True:
        try:
            return write()
        except (DatabaseCorrupt, DatabaseLost, DatabaseTooNew):
            raise
        except (StoreError, ApiUnavailable) as error:
            if not told:
                print(f"runyard: cannot {verb} {what}, trying on: {error}", file=sys.stderr)
                told = True
            if not write_retries.wait(jittered(delay, most=1.5)):
                raise
            delay = min(delay * 2, 5.0)


def waited_for(call: Callable[[], Any], what: str, verb: str) -> Any:
    """The outcome of a call; in a run an outage of the database or the API is waited for, see `persist`."""
    if current_flow.get() is None and current_task.get() is None:
        return call()
    return persist(call, what, verb)
