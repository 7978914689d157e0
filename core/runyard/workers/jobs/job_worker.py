"""The additional parts of a worker of jobs: their infrastructure, the API for them, and adoption."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from runyard import settings
from runyard.client import LocalClient
from runyard.operations.work_pools.work_pools import read_work_pool
from runyard.workers import loop, terminal, types
from runyard.workers.infrastructure.base import API_PORT_LABEL
from runyard.workers.job_configuration import defaults_of
from runyard.workers.jobs.adopting import Adopting
from runyard.workers.jobs.job_supervisor import JobSupervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runyard.client import Client
    from runyard.operations.flow_runs.claim_flow_runs import ClaimedRun
    from runyard.store.database import Database

    OpenRunApi = Callable[[Database, str | None], "RunApi"]

_PREFIXES = ("RUNYARD_", "PREFECT_")
# Prefixes of settings that apply only to this machine or this worker, not to runs elsewhere.
_OF_HERE = ("HOME", "PROFILE", "DATABASE", "API", "SERVER", "WORKER", "ENCRYPTION", "_")


class RunApi(Protocol):
    """The API that a worker serves to the runs of its own jobs; implemented in `server.run_api`."""

    port: int
    problem: str | None

    def url(self) -> str:
        """Its URL, for runs that share this machine's network."""
        ...

    def token(self, flow_run_id: str, attempt: int) -> str:
        """The API token of an attempt at a run."""
        ...

    def serve_also(self, port: int) -> None:
        """Also listen at the port of a worker that has gone, whose runs continue."""
        ...

    def close(self) -> None:
        """Stop serving."""
        ...


@contextmanager
def serving_jobs(
    client: Client, kind: str, pool: str, name: str, open_run_api: OpenRunApi
) -> Iterator[JobSupervisor]:
    """Context manager: a supervisor that starts the runs of a pool as jobs.

    Args:
        client: the API or database of the runs.
        kind: the pool's type.
        pool: the pool's name.
        name: the worker's name.
        open_run_api: serves the API to these runs, if no server is configured.

    Raises:
        RunyardError: the engine or the cluster does not respond, or a package is missing.
    """
    infrastructure = types.infrastructure_of(kind)()
    configure = getattr(infrastructure, "configure", None)
    if configure is not None:
        configure(pool, defaults_of(client.call(read_work_pool, pool).base_job_template))
    api = None
    try:
        if isinstance(client, LocalClient):
            api = open_run_api(client.database, getattr(infrastructure, "host_address", None))
            if api.problem and sys.platform == "linux":
                only = "Only runs with network_mode host" if kind == "docker" else "Only runs on this machine"
                terminal.say_to_terminal(
                    "WARNING",
                    f"{only} can report to this worker ({api.problem}); for others "
                    "start a server and set api_url",
                )
            url = api.url()

        def environment(claimed: ClaimedRun) -> dict[str, str]:
            if api is None:
                address, auth = settings.get("api_url"), settings.get("api_auth_string")
            else:
                address, auth = url, api.token(claimed.flow_run_id, claimed.attempt)
            return {**_settings(), **_api(address, auth), **_told(name)}

        labels = {} if api is None else {API_PORT_LABEL: str(api.port)}
        supervisor = JobSupervisor(
            infrastructure,
            pool,
            environment,
            lambda bodies: loop.write_logs(client, bodies),
            labels,
            settings.get("worker_lease_seconds"),
        )
        try:
            Adopting(client, infrastructure, supervisor, pool, name, api.serve_also if api else None)
            yield supervisor
        finally:
            supervisor.close()
    finally:
        if api is not None:
            api.close()


def _settings() -> dict[str, str]:
    """The settings in this worker's environment that also apply to its runs."""
    found = {}
    for variable, value in os.environ.items():
        for prefix in _PREFIXES:
            if variable.startswith(prefix) and not variable.removeprefix(prefix).startswith(_OF_HERE):
                found[variable] = value
    return found


def _api(url: str, auth: str) -> dict[str, str]:
    found = {"RUNYARD_API_URL": url, "PREFECT_API_URL": url}
    if auth:
        found |= {"RUNYARD_API_AUTH_STRING": auth, "PREFECT_API_AUTH_STRING": auth}
    return found


def _told(name: str) -> dict[str, str]:
    return {"RUNYARD__WORKER_NAME": name, "PREFECT__WORKER_NAME": name}
