"""The journal of tasks that run outside of any flow."""

from __future__ import annotations

import atexit
import threading

from runyard.client.engine_client import shared_client
from runyard.engine import child_processes
from runyard.engine.journal import Journal

_journal: Journal | None = None
_lock = threading.Lock()


def journal_without_flow() -> Journal:
    """The journal of tasks that run outside of any flow; closed when the interpreter ends.

    Raises:
        StoreError, ApiUnavailable: the store cannot be reached for the first record of this process. The
            task does not start, as a flow would not.
    """
    global _journal
    client = shared_client()
    with _lock:
        if _journal is None or _journal._client is not client:
            client.changes()
            if _journal is not None:
                _journal.close()
            _journal = Journal(client)
            if child_processes.is_child():
                # Such a process may end without calling its `atexit` functions.
                _journal.write_through()
            atexit.register(_journal.close)
        return _journal


def close_journal_without_flow() -> None:
    """Write the records of tasks outside of any flow, and close the journal."""
    global _journal
    with _lock:
        closed, _journal = _journal, None
    if closed is not None:
        closed.close()
