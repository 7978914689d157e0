"""Metrics of a worker and of its pool, in the text format of Prometheus."""

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
# The metric of each number of a queue's load, and what it says.
_OF_QUEUES = (
    ("waiting", "runyard_queue_waiting_runs", "Runs that are to start later."),
    ("due", "runyard_queue_due_runs", "Runs that are due and that no worker has taken."),
    ("late_seconds", "runyard_queue_oldest_due_seconds", "How long the oldest due run has waited."),
    ("pending", "runyard_queue_pending_runs", "Runs that a worker has taken and that do not execute yet."),
    ("running", "runyard_queue_running_runs", "Runs that execute."),
)


class Metrics:
    """What a worker has seen, and what its pool has to do at the moment of the question.

    Args:
        worker: the worker's loop.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._durations = Histogram(
            "runyard_run_duration_seconds",
            "How long processes of runs went on, from their launch by this worker to their end.",
            buckets=_DURATIONS,
            registry=self._registry,
        )
        self._lateness = Histogram(
            "runyard_run_lateness_seconds",
            "How long after its due time this worker launched a run for the first time.",
            buckets=_LATENESS,
            registry=self._registry,
        )

    def text(self) -> bytes:
        """The metrics of now."""
        return generate_latest(self._registry)

    def launched(self, claimed: ClaimedRun, now_us: int) -> None:
        """The worker launches a run.

        Args:
            now_us: by the clock by which runs are due.
        """
        due = claimed.flow_run.expected_start_time
        if claimed.attempt == 1 and due is not None:
            self._lateness.observe(max(now_us - clock.to_us(due), 0) / 1e6)

    def ended(self, run: WatchedRun, seconds: float) -> None:
        """The process of a run ended, so many seconds after its launch."""
        if not (run.hooks or run.adopted):
            self._durations.observe(seconds)

    def collect(self) -> Iterator[Any]:
        """What prometheus_client asks of a collector."""
        worker = self._worker
        running = GaugeMetricFamily("runyard_worker_running_runs", "Runs that this worker executes.")
        running.add_metric([], len(worker.supervisor.running))
        yield running
        if worker.options.limit is not None:
            limit = GaugeMetricFamily("runyard_worker_limit", "How many runs this worker executes at once.")
            limit.add_metric([], worker.options.limit)
            yield limit
        up = GaugeMetricFamily(
            "runyard_worker_connected", "Whether the database or the API answers (1 or 0)."
        )
        up.add_metric([], 0 if worker.outage else 1)
        yield up
        yield from self._of_pool()

    def _of_pool(self) -> Iterator[Any]:
        if not self._worker.options.pool or self._worker.outage:
            return
        try:
            load = self._worker.client.call(read_pool_load, self._worker.options.pool)
        except RunyardError:
            return  # away, or deleted: a number that is not known is not told
        if load.concurrency_limit is not None:
            limit = GaugeMetricFamily(
                "runyard_pool_limit", "How many runs of the pool execute at once.", labels=["pool"]
            )
            limit.add_metric([load.name], load.concurrency_limit)
            yield limit
        for field, name, meaning in _OF_QUEUES:
            family = GaugeMetricFamily(name, meaning, labels=["pool", "queue"])
            for queue in load.queues:
                family.add_metric([load.name, queue.name], getattr(queue, field))
            yield family
