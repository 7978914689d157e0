"""Serves a work pool: finds or creates the pool, then runs the main loop; the launcher is forked before."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from runyard import settings
from runyard.base.errors import InvalidInput, NotFound
from runyard.base.quoting import command_of
from runyard.base.suggestions import closest, did_you_mean
from runyard.client import LocalClient, connect
from runyard.operations.installation.completion_names import list_names
from runyard.operations.work_pools.list_work_pools import list_work_pools
from runyard.operations.work_pools.missing_pool import missing_pool
from runyard.operations.work_pools.work_pools import WorkPoolCreate, create_work_pool, read_work_pool
from runyard.operations.work_pools.workers import WorkerListing, filter_workers
from runyard.workers import change_watch, health, loop, types
from runyard.workers.jobs.job_worker import serving_jobs
from runyard.workers.process.reporting import Reports
from runyard.workers.process.supervisor import Supervisor
from runyard.workers.task_server_process import TaskServer
from runyard.workers.terminal import is_screen, say_to_terminal, show, write

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from runyard.client import Client
    from runyard.operations.work_pools.work_pools import WorkPool
    from runyard.workers.jobs.job_worker import OpenRunApi
    from runyard.workers.process.launcher_channel import Channel
    from runyard.workers.worker_options import WorkerOptions


def serve_pool(
    options: WorkerOptions, channel: Channel, beats: int, pid: int, open_run_api: OpenRunApi
) -> None:
    """Serve a work pool until a signal arrives.

    Args:
        options: the options of `worker start`, with a name.
        channel, beats, pid: the launcher, as `launcher.fork` returns it.
        open_run_api: serves the API to runs in containers, if no server is configured.

    Raises:
        RunyardError: an unknown pool or type, a database that cannot be used.
    """
    client = connect()
    if isinstance(client, LocalClient):
        # Fail now and not in every turn: a worker with read-only access cannot work.
        client.database.check_writable()
    supervisor = Supervisor(
        channel,
        beats,
        pid,
        settings.get("worker_lease_seconds"),
        _environment(options),
        lambda bodies: loop.write_logs(client, bodies),
        beating=settings.get("on_partition") == "continue",
        reports=Reports(client) if isinstance(client, LocalClient) else None,
    )
    companion = None
    try:
        if options.tasks:
            # Its output must not disturb the live view.
            echo = partial(write, "stderr") if _shows_view(options) else None
            companion = TaskServer(options.tasks, say_to_terminal, echo)
        pool = _pool(client, options)
        _warn_of_namesake(client, pool, options)
        if pool.type == types.PROCESS:
            _greet(pool, options)
            _work(client, supervisor, options, companion)
        else:
            with serving_jobs(client, pool.type, options.pool, options.name or "", open_run_api) as jobs:
                _greet(pool, options)
                _work(client, jobs, options, companion)
    finally:
        if companion is not None:
            companion.close()
        supervisor.close()
        client.close()


def _work(client: Client, supervisor: Any, options: WorkerOptions, companion: Any) -> None:
    watcher = change_watch.watch(client, settings.get("worker_poll_seconds"))
    worker = loop.Worker(client, supervisor, watcher, options, say_to_terminal, companion)
    try:
        with health.answering(worker, options.with_healthcheck), _view(worker, options):
            worker.run()
    finally:
        watcher.close()


def _shows_view(options: WorkerOptions) -> bool:
    return is_screen() and not options.plain


def _view(worker: loop.Worker, options: WorkerOptions) -> AbstractContextManager[None]:
    if not _shows_view(options):
        return nullcontext()
    # Loaded only on a terminal: services need neither its time nor its memory.
    from runyard.workers.live_view import live_view

    return live_view(worker)


def _environment(options: WorkerOptions) -> dict[str, str | None]:
    name = options.name or ""
    return {
        "RUNYARD__WORKER_NAME": name,
        "PREFECT__WORKER_NAME": name,
    }


def _pool(client: Client, options: WorkerOptions) -> WorkPool:
    try:
        pool = client.call(read_work_pool, options.pool)
    except NotFound as error:
        if not options.create_pool_if_not_found:
            raise missing_pool(options.pool, _pool_names(client)) from error
        _refuse_misspelt(client, options.pool)
        fields: dict[str, Any] = {"name": options.pool, "type": options.type or "process"}
        if options.base_job_template is not None:
            fields["base_job_template"] = options.base_job_template
        pool = client.call(create_work_pool, WorkPoolCreate(**fields))
        show(f"Work pool {pool.name!r} of type {pool.type!r} was created.")
    _warn_of_queues(client, options)
    types.check(pool.type)
    if options.type is not None and options.type != pool.type:
        raise InvalidInput(f"work pool {pool.name!r} is of type {pool.type!r}, not {options.type!r}")
    return pool


def _refuse_misspelt(client: Client, name: str) -> None:
    """Refuse to create a missing pool if an existing pool has nearly the same name."""
    known = _pool_names(client)
    if closest(name, known, cutoff=0.8):
        raise missing_pool(name, known)


def _pool_names(client: Client) -> list[str]:
    return [pool["name"] for pool in client.call(list_work_pools)]


def _warn_of_namesake(client: Client, pool: WorkPool, options: WorkerOptions) -> None:
    """Warn of an online worker with the same name: lists cannot tell the two apart."""
    online = WorkerListing(workers={"status": {"any_": ["ONLINE"]}})
    if any(worker.name == options.name for worker in client.call(filter_workers, pool.name, online)):
        say_to_terminal(
            "WARNING",
            f"A worker {options.name!r} of pool {pool.name!r} was alive a moment ago. If it still is, give "
            "one of them another --name: they share one line in `runyard worker ls`",
        )


def _warn_of_queues(client: Client, options: WorkerOptions) -> None:
    """Warn of requested queues that do not exist: no runs come from them until they are created.

    Raises:
        NotFound: a queue is missing, and the worker runs once.
        ApiUnavailable: the API belongs to another program.
    """
    # Also called without queues: it refuses a server of another program, while the worker would wait for an
    # unavailable one.
    known = client.call(list_names, kind="queues", pool=options.pool)
    for name in options.work_queues:
        if name not in known:
            hint = did_you_mean(name, known, f"it has: {', '.join(known)}")
            if options.run_once:
                raise NotFound(f"work pool {options.pool!r} has no queue {name!r}{hint}")
            show(f"Work pool {options.pool!r} has no queue {name!r} yet{hint}")


def _greet(pool: WorkPool, options: WorkerOptions) -> None:
    if options.type is None:
        show(f"Discovered type {pool.type!r} for work pool {pool.name!r}.")
    if pool.is_paused:
        command = command_of("runyard work-pool resume", pool.name)
        show(f"Work pool {pool.name!r} is paused; nothing starts until: {command}")
    if options.tasks:
        show(f"Background tasks of {', '.join(options.tasks)} run beside it.")
    show(f"Worker {options.name!r} started!")
