"""Many workers on one database beside one, and a worker's memory over many runs."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from measure import Figure, Row, descendants, wait_until
from products import Product
from working import POOL, deployment, memory, pool, queue, worker

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests"))

from _postgres import Cluster, programs

_WORKERS, _RUNS, _TURNS = 10, 400, 3
_WARM_RUNS, _MANY_RUNS = 1_000, 2_000


def fleet(product: Product) -> Figure:
    """Runs a second of ten workers together, and of one, on one SQLite file."""
    return _in_turn(product, lambda: None)


def fleet_on_postgres(product: Product) -> Figure:
    """The same on PostgreSQL."""
    with _postgres(product) as cluster:
        return _in_turn(product, cluster.fresh_database)


def _in_turn(product: Product, empty: Callable[[], object]) -> Figure:
    rates: dict[int, list[float]] = {1: [], _WORKERS: []}
    for _ in range(_TURNS):
        for workers, found in rates.items():
            product.fresh()
            empty()
            found.append(_rate(product, workers))
    return Figure(statistics.median(rates[_WORKERS]), statistics.median(rates[1]))


@contextmanager
def _postgres(product: Product) -> Iterator[Cluster]:
    cluster = Cluster()
    cluster.start()
    os.environ["RUNYARD_DATABASE_URL"] = product.environment["RUNYARD_DATABASE_URL"] = cluster.url
    try:
        yield cluster
    finally:
        del os.environ["RUNYARD_DATABASE_URL"], product.environment["RUNYARD_DATABASE_URL"]
        product.fresh()
        cluster.stop()


def _rate(product: Product, workers: int) -> float:
    """From the first end to the last, of runs that were queued while the workers were idle."""
    pool(product)
    its = deployment(product, "nothing")
    with ExitStack() as stack:
        for _ in range(workers):
            stack.enter_context(worker(product, "--limit", "8"))
        wait_until(lambda: _value("SELECT count(*) FROM workers") >= workers, 120, "the start of the workers")
        _work_off(product, its, _RUNS)
    _say_if_locked(product)
    first, last = (_value(f"SELECT {which}(end_time) FROM flow_runs") for which in ("min", "max"))
    return (_RUNS - 1) * 1e6 / (last - first)


def _work_off(product: Product, its: str, runs: int) -> None:
    """Queue runs in the paused pool, open it, and wait until all are completed."""
    for paused in (True, False):
        product.call("PATCH", "/work_pools/{name}", {"is_paused": paused}, name=POOL)
        for _ in range(runs if paused else 0):
            queue(product, its)
    over = "SELECT count(*) FROM flow_runs WHERE state_type NOT IN ('SCHEDULED', 'PENDING', 'RUNNING')"
    before = _value(over)
    wait_until(lambda: _value(over) >= before + runs, 300, "runs of the workers")
    if _value("SELECT count(*) FROM flow_runs WHERE state_type <> 'COMPLETED'"):
        raise RuntimeError("not all runs were completed")


def _value(sql: str) -> int:
    from runyard.store.database import get_database

    with get_database().transaction(write=False) as tx:
        return int(tx.value(sql))


def _say_if_locked(product: Product) -> None:
    with open(os.path.join(product.folder, "output"), encoding="utf-8") as file:
        for line in file:
            if "locked" in line or "another process" in line or "deadlock" in line:
                raise RuntimeError(f"a worker said: {line.strip()}")


def growth(product: Product) -> Figure:
    """Megabytes by which a worker and its launcher grow over 2,000 runs, after the first 1,000."""
    product.fresh()
    pool(product)
    its = deployment(product, "nothing")
    with worker(product, "--limit", "8") as process:
        megabytes = []
        for runs in (_WARM_RUNS, _MANY_RUNS):
            _work_off(product, its, runs)
            wait_until(lambda: len(descendants(process.pid)) == 2, 60, "the end of the runs' processes")
            megabytes.append(sum(memory(pid) for pid in descendants(process.pid)))
    return Figure(megabytes[1] - megabytes[0])


ROWS = [
    Row(
        "fleet",
        "400 queued no-op runs through ten process workers on one SQLite file, in total",
        "/s",
        fleet,
        at_least=0.9,
        of="one worker",
        prefect=False,
    ),
    Row(
        "worker-growth",
        "growth of a worker and its launcher over 2,000 runs, after 1,000",
        "MB",
        growth,
        at_most=4,
        prefect=False,
    ),
]
if programs():
    ROWS.insert(
        1,
        Row(
            "fleet-pg",
            "the same on PostgreSQL",
            "/s",
            fleet_on_postgres,
            at_least=0.9,
            of="one worker",
            prefect=False,
        ),
    )
