"""How long writers wait while old runs are removed: `python benchmarks/retiring.py [--runs 200000]`.

Fills a database of its own with runs of the past (SQLite, or PostgreSQL by `--url`): each has 3 task runs
with 3 states each, 4 states and 10 log records; 1 of 20 has a subflow, and two have 20,000 task runs. Then
a process removes what is old, while another one claims runs and a third writes log records, every 20 ms. They
note how long each transaction took; before, the same is measured with nobody who removes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

_TASKS, _LOGS = 3, 10
_LARGE_TASKS = 20_000
_NUMBERS = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :number) "
# Of the run of a number, the id: ordered by time, as real ones are.
_NUMBER = "('0000000' || CAST({n} AS TEXT))"
_ID = f"'0' || substr({_NUMBER}, length({_NUMBER}) - 6) || '-0000-7000-8000-00000000000' || '{{kind}}'"
_TASK_RUNS = (
    "INSERT INTO task_runs (id, created, updated, name, flow_run_id, task_key, dynamic_key, state_type, "
    "state_name, state_timestamp, state) "
)
_LINE = "a line of a log as they are, with some words in it"
_AT = ":start + CAST(n AS BIGINT) * :step"


def main() -> int:
    """Fill, measure, print one line of JSON."""
    options = _options()
    if options.act:
        return _act(options.act, options.seconds)
    with tempfile.TemporaryDirectory() as home:
        os.environ["RUNYARD_HOME"] = home
        if options.url:
            os.environ["RUNYARD_DATABASE_URL"] = options.url
        began = time.perf_counter()
        fill(options.runs)
        os.sync()  # what was filled is to be on the disk before anything is measured
        print(f"filled in {time.perf_counter() - began:.0f} s: {_size()}", flush=True)
        alone = _measured(None, options.seconds)
        print(f"alone: {json.dumps(alone)}", flush=True)
        removing = _measured(["retention"], 0)
        print(f"while removing: {json.dumps(removing)}", flush=True)
        print(f"left: {_size()}", flush=True)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the removal of old runs.")
    parser.add_argument("--runs", type=int, default=200_000)
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="how long to measure with nobody who removes"
    )
    parser.add_argument("--url", help="a PostgreSQL database, which is filled")
    parser.add_argument("--act", choices=("claim", "write", "retention"), help=argparse.SUPPRESS)
    return parser.parse_args()


def fill(runs: int) -> None:
    """So many runs, the oldest of them 180 days ago, half of them older than 90."""
    from runyard.base import clock, ids
    from runyard.client import LocalClient
    from runyard.domain.states import Completed, Scheduled
    from runyard.operations.deployments.deployment_shapes import DeploymentCreate
    from runyard.operations.deployments.deployments import create_deployment
    from runyard.operations.deployments.known_flows import FlowCreate, create_flow
    from runyard.operations.work_pools.work_pools import WorkPoolCreate, create_work_pool

    client = LocalClient()
    client.call(create_work_pool, WorkPoolCreate(name="bench", type="process"))
    flow = client.call(create_flow, FlowCreate(name="bench"))
    made = client.call(
        create_deployment, DeploymentCreate(name="bench", flow_id=flow.id, work_pool_name="bench")
    )
    now = clock.now_us()
    start = now - 180 * 86_400_000_000
    values = {
        "number": runs, "start": start, "step": (now - start) // runs, "flow": flow.id, "deployment": made.id,
        "state": json.dumps(Completed().to_json()),
    }  # fmt: skip

    def run(sql: str, **more: object) -> None:
        every = {**values, **more}
        with client.database.transaction(durable=False) as tx:
            tx.execute(sql, {name: value for name, value in every.items() if f":{name}" in sql})

    insert_run = (
        "INSERT INTO flow_runs (id, created, updated, name, flow_id, deployment_id, state_id, state_type, "
        "state_name, state_timestamp, state, expected_start_time, start_time, end_time, parent_task_run_id, "
        f"root_flow_run_id) {_NUMBERS}SELECT {{id}}, {_AT}, {_AT}, 'run-' || n, :flow, :deployment, 's', "
        f"'COMPLETED', 'Completed', {_AT}, :state, {_AT}, {_AT}, {_AT}, {{parent}}, {{root}} "
        "FROM numbers WHERE {where}"
    )
    run_id = _ID.format(n="n", kind=0)
    run(insert_run.format(id=run_id, parent="NULL", root="NULL", where="n > 0"))
    child = insert_run.format(
        id=_ID.format(n="n", kind=9), parent=_ID.format(n="n", kind=1), root=run_id, where="n % 20 = 0"
    )
    run(child)
    for number in range(1, _TASKS + 1):
        task = _ID.format(n="n", kind=number)
        run(
            f"{_TASK_RUNS}{_NUMBERS}SELECT {task}, {_AT}, {_AT}, 'task', {run_id}, 't', '{number}', "
            f"'COMPLETED', 'Completed', {_AT}, :state FROM numbers"
        )
        for state in ("PENDING", "RUNNING", "COMPLETED"):
            run(
                "INSERT INTO task_run_states (id, task_run_id, type, name, timestamp) "
                f"{_NUMBERS}SELECT {task} || '-{state}', {task}, '{state}', '{state}', {_AT} FROM numbers"
            )
    for number in range(4):
        run(
            "INSERT INTO flow_run_states (id, flow_run_id, type, name, timestamp) "
            f"{_NUMBERS}SELECT {run_id} || '-{number}', {run_id}, 'RUNNING', 'Running', {_AT} FROM numbers"
        )
    for number in range(_LOGS):
        run(
            "INSERT INTO logs (id, name, level, message, timestamp, flow_run_id) "
            f"{_NUMBERS}SELECT {run_id} || '-{number}', 'runyard.flow_runs', 20, '{_LINE}', {_AT}, {run_id} "
            "FROM numbers"
        )
    for number in (runs // 10, runs // 3):
        large = _ID.format(n=str(number), kind=0)
        task = "'large-" + str(number) + "-' || CAST(n AS TEXT)"
        run(
            f"{_TASK_RUNS}{_NUMBERS}SELECT {task}, :start, :start, 'task', {large}, 'l', CAST(n AS TEXT), "
            "'COMPLETED', 'Completed', :start, :state FROM numbers",
            number=_LARGE_TASKS,
        )
        run(
            "INSERT INTO task_run_states (id, task_run_id, type, name, timestamp) "
            f"{_NUMBERS}SELECT {task} || 's', {task}, 'COMPLETED', 'Completed', :start FROM numbers",
            number=_LARGE_TASKS,
        )
    waiting = [
        {
            "id": ids.new_id(),
            "at": now + number,
            "flow": flow.id,
            "deployment": made.id,
            "state": json.dumps(Scheduled().to_json()),
        }
        for number in range(20_000)
    ]
    with client.database.transaction(durable=False) as tx:
        queue = tx.value("SELECT default_queue_id FROM work_pools")
        tx.many(
            "INSERT INTO flow_runs (id, created, updated, name, flow_id, deployment_id, work_queue_id, "
            "state_id, state_type, state_name, state_timestamp, state, expected_start_time, "
            "next_scheduled_start_time) VALUES (:id, :at, :at, 'w', :flow, :deployment, :queue, 's', "
            "'SCHEDULED', 'Scheduled', :at, :state, :at, :at)",
            [{**row, "queue": queue} for row in waiting],
        )
    client.close()


def _size() -> str:
    from runyard.client import LocalClient
    from runyard.operations.retention.database_size import read_database_size

    client = LocalClient()
    size = client.call(read_database_size)
    client.close()
    free = "" if size.free_bytes is None else f", {size.free_bytes / 1e6:.0f} MB of them free"
    return (
        f"{size.size_bytes / 1e6:.0f} MB{free}, {size.old_flow_runs:,} old runs, {size.old_logs:,} old logs"
    )


def _measured(remover: list[str] | None, seconds: float) -> dict[str, object]:
    """What the actors noted while the remover worked, or for some seconds."""
    acts = [_start(act, 3600) for act in ("claim", "write")]
    for process in acts:
        assert process.stdout is not None
        process.stdout.readline()  # it is at work
    told = {}
    if remover:
        process = _start(remover[0], 0)
        told = json.loads(process.communicate()[0])
    else:
        time.sleep(seconds)
    for process in acts:
        process.terminate()
    return {
        **told,
        **{name: json.loads(p.communicate()[0]) for name, p in zip(("claim", "write"), acts, strict=True)},
    }


def _start(act: str, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, os.path.abspath(__file__), "--act", act, "--seconds", str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _act(act: str, seconds: float) -> int:
    import signal

    from runyard.base import clock, ids
    from runyard.client import LocalClient
    from runyard.engine import retention_loop
    from runyard.operations.flow_runs import write_journal
    from runyard.operations.flow_runs.claim_flow_runs import ClaimRequest, claim_flow_runs

    client = LocalClient()
    if act == "retention":
        began = time.perf_counter()
        done = retention_loop.remove(client)
        took = time.perf_counter() - began
        print(
            json.dumps(
                {"seconds": round(took, 1), "longest_ms": round(done.longest_seconds * 1000, 1), **done.rows}
            )
        )
        return 0
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
    times = []
    print("at work", flush=True)
    until = time.monotonic() + seconds
    run_id = ids.new_id()
    while not stopped and time.monotonic() < until:
        began = time.perf_counter()
        if act == "claim":
            client.call(claim_flow_runs, "bench", ClaimRequest(worker_name="b", limit=1, lease_seconds=3600))
        else:
            now = clock.now_us()
            rows = [[ids.new_id(), "n", 20, "a line", now, run_id, None] for _ in range(20)]
            client.call(write_journal.write_journal, {"logs": rows, "flow_run_id": None, "attempt": None})
        times.append((time.perf_counter() - began) * 1000)
        time.sleep(0.02)
    times.sort()
    at = {f"p{share}": round(times[int(len(times) * share / 100)], 1) for share in (50, 99)}
    print(
        json.dumps(
            {
                "n": len(times),
                **at,
                "p99.9": round(times[int(len(times) * 0.999)], 1),
                "max": round(times[-1], 1),
                "mean": round(statistics.mean(times), 1),
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
