"""What `worker start` was told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class WorkerOptions:
    """What `worker start` was told.

    Args:
        pool: the work pool to serve.
        name: unique in the pool; made up when None.
        work_queues: only these queues of the pool; all when empty.
        type: the kind of worker; by default the pool's.
        limit: how many runs at a time; None for any number.
        run_once: run all that is due, however long it takes within `limit`, and end.
        prefetch_seconds: with `run_once`, what will be due within this time counts as due.
        with_healthcheck: serve `/health` and `/metrics`.
        create_pool_if_not_found: make a missing pool.
        base_job_template: of a pool that is made.
        tasks: entrypoints of background tasks to run as well.
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
