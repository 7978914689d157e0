"""Metrics of a worker and its pool, in the Prometheus text format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily

from runyard.base import clock
from runyard.base.errors import RunyardError
from runyard.operations.work_pools.pool_load import read_pool_load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runyard.operations.flow_runs.claim_flow_runs import ClaimedRun
    from runyard.workers.loop import Worker
    from runyard.workers.watching import WatchedRun

_DURATIONS = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)
_LATENESS = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600)
# A field of a queue's load, its metric, and the metric's help text.
_OF_QUEUES = (
    ("waiting", "runyard_queue_waiting_runs", "Runs that start later."),
    ("due", "runyard_queue_due_runs", "Due runs that no worker has claimed."),
    ("late_seconds", "runyard_queue_oldest_due_seconds", "How long the oldest due run has waited."),
    ("pending", "runyard_queue_pending_runs", "Claimed runs that do not execute yet."),
    ("running", "runyard_queue_running_runs", "Running runs."),
)


class Metrics:
    """Collects the metrics: what the worker counted, and the pool's load, read for each request.

    Args:
        worker: the worker's loop.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._durations = Histogram(
            "runyard_run_duration_seconds",
            "Duration of run processes, from their launch by this worker to their end.",
            buckets=_DURATIONS,
            registry=self._registry,
        )
        self._lateness = Histogram(
            "runyard_run_lateness_seconds",
            "Delay between the due time of a run and its first launch by this worker.",
            buckets=_LATENESS,
            registry=self._registry,
        )

    def text(self) -> bytes:
        """The current metrics as text."""
        return generate_latest(self._registry)

    def launched(self, claimed: ClaimedRun, now_us: int) -> None:
        """Record the launch of a run.

        Args:
            now_us: the current time of the server's clock, which due times follow.
        """
        due = claimed.flow_run.expected_start_time
        if claimed.attempt == 1 and due is not None:
            self._lateness.observe(max(now_us - clock.to_us(due), 0) / 1e6)

    def ended(self, run: WatchedRun, seconds: float) -> None:
        """Record the end of a run's process, `seconds` after its launch."""
        if not (run.hooks or run.adopted):
            self._durations.observe(seconds)

    def collect(self) -> Iterator[Any]:
        """Yield the metrics; prometheus_client calls this."""
        worker = self._worker
        running = GaugeMetricFamily("runyard_worker_running_runs", "Runs that this worker executes now.")
        running.add_metric([], len(worker.supervisor.running))
        yield running
        if worker.options.limit is not None:
            limit = GaugeMetricFamily("runyard_worker_limit", "Maximum number of concurrent runs.")
            limit.add_metric([], worker.options.limit)
            yield limit
        up = GaugeMetricFamily("runyard_worker_connected", "1 if the database or the API responds, else 0.")
        up.add_metric([], 0 if worker.outage else 1)
        yield up
        yield from self._of_pool()

    def _of_pool(self) -> Iterator[Any]:
        if not self._worker.options.pool or self._worker.outage:
            return
        try:
            load = self._worker.client.call(read_pool_load, self._worker.options.pool)
        except RunyardError:
            return  # unavailable, or deleted: unknown values are left out
        if load.concurrency_limit is not None:
            limit = GaugeMetricFamily(
                "runyard_pool_limit", "Maximum number of concurrent runs of the pool.", labels=["pool"]
            )
            limit.add_metric([load.name], load.concurrency_limit)
            yield limit
        for field, name, meaning in _OF_QUEUES:
            family = GaugeMetricFamily(name, meaning, labels=["pool", "queue"])
            for queue in load.queues:
                family.add_metric([load.name, queue.name], getattr(queue, field))
            yield family
