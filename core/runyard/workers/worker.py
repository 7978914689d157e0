"""Starts a worker: checks its options, forks its launcher, then serves the pool."""

from __future__ import annotations

import os
import socket
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from runyard.base import descriptors, ids
from runyard.base.errors import InvalidInput
from runyard.operations.lease_clock import patience_seconds
from runyard.workers import types
from runyard.workers.process import child, launcher
from runyard.workers.process.run_place import anchor_paths
from runyard.workers.terminal import flush, show

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from runyard.workers.jobs.job_worker import OpenRunApi
    from runyard.workers.worker_options import WorkerOptions

# The longest part of the host's name in a worker's generated name.
_HOST_CHARACTERS = 20


def start_worker(
    options: WorkerOptions,
    open_run_api: OpenRunApi,
    beside: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> int:
    """Serve a work pool until a signal arrives.

    Args:
        options: the options of `worker start`.
        open_run_api: serves the API to runs in containers, if no server is configured.
        beside: entered while the worker serves, and after its launcher is forked: it may start threads.

    Returns:
        The exit code of the command: 0.

    Raises:
        RunyardError: an invalid option, an unknown pool or type, a database that cannot be used.
    """
    _check(options)
    options = replace(options, name=options.name or _own_name())
    descriptors.open_standard()
    anchor_paths()
    # All modules of runs are imported and no file is open: runs are forked from here and share this memory.
    child.preload()
    channel, beats, pid = launcher.fork(patience_seconds())
    # Imported after the fork: each run would carry it, which cost 1.6 MB and 4 % of the runs a second.
    from runyard.workers.pool_service import serve_pool

    try:
        with beside():
            serve_pool(options, channel, beats, pid, open_run_api)
    finally:
        flush()
    show(f"Worker {options.name!r} stopped!")
    flush()
    return 0


def _own_name() -> str:
    """A name for this worker that tells where it is: its host, its process, and a random end."""
    host = "".join(c for c in socket.gethostname().partition(".")[0] if c.isalnum() or c in "-_")
    return f"{host[:_HOST_CHARACTERS] or 'worker'}-{os.getpid()}-{ids.new_id()[-4:]}"


def _check(options: WorkerOptions) -> None:
    if options.name is not None:
        from runyard.operations.work_pools.workers import check_worker_name  # not in runs, as above

        check_worker_name(options.name)
    if options.limit is not None and options.limit < 1:
        raise InvalidInput(f"--limit is at least 1, not {options.limit}")
    if options.type is not None:
        types.check(options.type)
