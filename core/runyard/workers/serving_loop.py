"""Serving deployments: due runs start as child processes of this process, without a pool or a worker."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from runyard import settings
from runyard.base import descriptors, ids
from runyard.operations.flow_runs.claim_served_flow_runs import (
    ServedClaim,
    ServedDeployments,
    claim_served_flow_runs,
    read_next_served,
)
from runyard.operations.lease_clock import patience_seconds
from runyard.workers import change_watch, health, loop
from runyard.workers.process import launcher
from runyard.workers.process.run_place import anchor_paths
from runyard.workers.process.supervisor import Supervisor
from runyard.workers.terminal import flush, say_to_terminal
from runyard.workers.worker_options import WorkerOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from runyard.client import Client
    from runyard.operations.flow_runs.claim_flow_runs import ClaimedRun, NextDue


class ServingLoop(loop.Worker):
    """A worker's loop that claims the runs of some deployments instead of a pool's."""

    deployment_ids: list[str]

    def _ask_for_runs(self, limit: int) -> list[ClaimedRun]:
        body = ServedClaim(
            deployment_ids=self.deployment_ids,
            worker_name=self.name,
            limit=limit,
            **self.leases.held_by(),
        )
        return self.client.call(claim_served_flow_runs, body)

    def _read_next_due(self) -> NextDue:
        return self.client.call(read_next_served, ServedDeployments(deployment_ids=self.deployment_ids))

    def _heartbeat(self, stopped: bool = False) -> None:
        # No work pool lists this process. It looks for runs now and then, in case a notification was missed.
        self._may_claim = True


def serve_deployments(
    client: Client,
    deployment_ids: list[str],
    limit: int | None,
    webserver: bool = False,
    on_start: Callable[[ServingLoop], None] | None = None,
) -> None:
    """Create and start the due runs of some deployments until a signal arrives.

    Args:
        limit: the maximum number of concurrent runs; None: no limit.
        webserver: serve GET /health and GET /metrics over HTTP.
        on_start: called with the loop before it starts; the loop's `stop` works like a signal.
    """
    descriptors.open_standard()
    anchor_paths()
    lease_seconds: float = settings.get("worker_lease_seconds")
    # A new interpreter: the runs must not inherit modules and threads of the calling script.
    channel, beats, pid = launcher.spawn(patience_seconds())
    name = f"runner-{socket.gethostname()}-{os.getpid()}-{ids.new_id()[-4:]}"
    environment: dict[str, str | None] = {"RUNYARD__WORKER_NAME": name, "PREFECT__WORKER_NAME": name}
    supervisor = Supervisor(
        channel,
        beats,
        pid,
        lease_seconds,
        environment,
        lambda bodies: loop.write_logs(client, bodies),
        beating=settings.get("on_partition") == "continue",
    )
    watcher = change_watch.watch(client, settings.get("worker_poll_seconds"))
    try:
        options = WorkerOptions(pool="", name=name, limit=limit)
        serving = ServingLoop(client, supervisor, watcher, options, say_to_terminal)
        serving.deployment_ids = deployment_ids
        with health.answering(serving, webserver):
            if on_start is not None:
                on_start(serving)
            serving.run()
    finally:
        watcher.close()
        supervisor.close()
        flush()
