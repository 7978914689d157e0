"""Whether the cost of taking work depends on how much there is, or was."""

from __future__ import annotations

import statistics
import time

from measure import Figure, Row
from products import Product

_SCHEDULED = 100_000
_FINISHED = 1_000_000
_CLAIMS = 200

# Runs of one queue: the first `scheduled` of them are due, all others ended long ago.
FILL = """
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :number)
INSERT INTO flow_runs (id, created, updated, name, flow_id, deployment_id, work_queue_id, state_id,
    state_type, state_name, state_timestamp, state, expected_start_time, next_scheduled_start_time,
    end_time)
SELECT 'f' || :mark || n, :now, :now, 'run-' || n, :flow_id, :deployment_id, :work_queue_id, 's' || n,
    :state_type, :state_name, :now, :state, :now - n, CASE WHEN :open = 1 THEN :now - n END,
    CASE WHEN :open = 0 THEN :now END
FROM numbers
"""


def claiming(product: Product) -> Figure:
    """Milliseconds of one claim beside a long history, against the same with none."""
    small = _median_claim(product, _CLAIMS + 50, 0)
    large = _median_claim(product, _SCHEDULED, _FINISHED)
    return Figure(large, small)


def _median_claim(product: Product, scheduled: int, finished: int) -> float:
    from runyard.client import LocalClient
    from runyard.operations.flow_runs.claim_flow_runs import ClaimRequest, claim_flow_runs
    from runyard.store.database import get_database

    product.fresh()
    _fill(product, scheduled, finished)
    client = LocalClient(get_database())
    times = []
    for turn in range(_CLAIMS + 10):
        request = ClaimRequest(worker_name="bench", limit=1, lease_seconds=60)
        began = time.perf_counter()
        claimed = client.call(claim_flow_runs, "bench", request)
        took = (time.perf_counter() - began) * 1000
        if len(claimed) != 1:
            raise RuntimeError("nothing was claimed")
        if turn >= 10:
            times.append(took)
    return statistics.median(times)


def _fill(product: Product, scheduled: int, finished: int) -> None:
    from runyard.base import clock
    from runyard.domain.states import Completed, Scheduled
    from runyard.store.database import get_database

    product.call("POST", "/work_pools/", {"name": "bench", "type": "process"})
    flow_id = product.call("POST", "/flows/", {"name": "bench"})["id"]
    deployment = product.call(
        "POST", "/deployments/", {"name": "bench", "flow_id": flow_id, "work_pool_name": "bench"}
    )
    now = clock.now_us()
    import json

    for mark, number, state in (("s", scheduled, Scheduled()), ("c", finished, Completed())):
        if not number:
            continue
        with get_database().transaction() as tx:
            tx.execute(
                FILL,
                {
                    "number": number,
                    "mark": mark,
                    "now": now,
                    "flow_id": flow_id,
                    "deployment_id": deployment["id"],
                    "work_queue_id": deployment["work_queue_id"],
                    "state_type": state.type,
                    "state_name": state.name,
                    "state": json.dumps(state.to_json()),
                    "open": int(mark == "s"),
                },
            )


ROWS = [
    Row(
        "claim",
        "one claim from 100,000 scheduled runs beside 1,000,000 finished ones, median",
        "ms",
        claiming,
        at_most=3,
        of="that of an empty table",
        prefect=False,
    ),
]
