"""The options of `worker start`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class WorkerOptions:
    """The options of `worker start`.

    Args:
        pool: the work pool to serve.
        name: the worker's name, unique in the pool; None: generated.
        work_queues: only these queues of the pool; empty: all.
        type: the worker type; default: the pool's.
        limit: the maximum number of concurrent runs; None: no limit.
        run_once: run everything that is due, within `limit`, and exit.
        prefetch_seconds: with `run_once`, runs due within this time count as due.
        with_healthcheck: serve `/health` and `/metrics`.
        create_pool_if_not_found: create a missing pool.
        base_job_template: the template of a created pool.
        tasks: entrypoints of background tasks to run as well.
        schedules: create the runs of due schedules, of all pools.
        shutdown_grace_seconds: how long runs may go on after a signal; None: as the setting says.
        plain: print lines only, also on a terminal, where a live view is shown by default.
    """

    pool: str
    name: str | None = None
    work_queues: list[str] = field(default_factory=list)
    type: str | None = None
    limit: int | None = None
    run_once: bool = False
    prefetch_seconds: float | None = None
    with_healthcheck: bool = False
    create_pool_if_not_found: bool = True
    base_job_template: dict[str, Any] | None = None
    tasks: list[str] = field(default_factory=list)
    schedules: bool = True
    shutdown_grace_seconds: float | None = None
    plain: bool = False
