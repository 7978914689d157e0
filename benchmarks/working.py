"""How a process worker does: throughput, how soon a run starts, and what it costs at rest."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache

from measure import Figure, Row, descendants, wait_until
from products import Product

FLOW = """
import time
from PRODUCT import flow

@flow
def nothing():
    pass

@flow
def stamp(path: str):
    now = time.time()
    with open(path + ".part", "w") as file:
        file.write(repr(now))
    import os
    os.rename(path + ".part", path)
"""
POOL = "bench"
_IDLE_SECONDS = 10.0


def deployment(product: Product, flow: str) -> str:
    """The id of a deployment of a flow of FLOW in the pool."""
    product.script("flows.py", FLOW)
    flow_id = product.call("POST", "/flows/", {"name": flow})["id"]
    body = {
        "name": "bench",
        "flow_id": flow_id,
        "work_pool_name": POOL,
        "entrypoint": f"flows.py:{flow}",
        "path": product.folder,
        "pull_steps": [{f"{product.name}.deployments.steps.set_working_directory": {
            "directory": product.folder}}],
        "enforce_parameter_schema": False,
    }  # fmt: skip
    return str(product.call("POST", "/deployments/", body)["id"])


def queue(product: Product, deployment_id: str, parameters: dict[str, str] | None = None) -> None:
    product.call(
        "POST",
        "/deployments/{deployment_id}/create_flow_run" if product.name == "runyard"
        else "/deployments/{id}/create_flow_run",
        {"parameters": parameters or {}, "state": {"type": "SCHEDULED"}},
        **{"deployment_id" if product.name == "runyard" else "id": deployment_id},
    )  # fmt: skip


def pool(product: Product) -> None:
    product.run(
        product.command, "work-pool", "create", POOL, "--type", "process",
        *(["--overwrite"] if product.name == "prefect" else []),
    )  # fmt: skip


@contextmanager
def worker(product: Product, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    process = product.spawn(product.command, "worker", "start", "--pool", POOL, *options)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def throughput(product: Product) -> Figure:
    """Finished runs a second, from the first end to the last, of runs that were queued before."""
    number = 200 if product.name == "runyard" else 24
    product.fresh()
    pool(product)
    deployment_id = deployment(product, "nothing")
    for _ in range(number):
        queue(product, deployment_id)
    ended = {
        "flow_runs": {
            "deployment_id": {"any_": [deployment_id]},
            "state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}},
        }
    }
    with worker(product, "--limit", "16"):
        wait_until(
            lambda: product.call("POST", "/flow_runs/count", ended) >= number, 300, "runs of the worker"
        )
    runs = product.call("POST", "/flow_runs/filter", {**ended, "limit": 200})
    runs = [run if isinstance(run, dict) else run.model_dump(mode="json") for run in runs]
    states = {run["state_type"] for run in runs}
    if states != {"COMPLETED"}:
        raise RuntimeError(f"runs ended as {states}")
    ends = sorted(datetime.fromisoformat(run["end_time"]).timestamp() for run in runs)
    return Figure((len(ends) - 1) / (ends[-1] - ends[0]))


def latency(product: Product) -> Figure:
    """Milliseconds from making a run of a deployment to the first line of its flow."""
    product.fresh()
    pool(product)
    deployment_id = deployment(product, "stamp")
    delays = []
    with worker(product):
        for turn in range(16 if product.name == "runyard" else 4):
            path = os.path.join(product.folder, f"stamp-{turn}")
            began = time.time()
            queue(product, deployment_id, {"path": path})
            wait_until(lambda path=path: os.path.exists(path), 120, "the flow's first line")
            with open(path, encoding="ascii") as file:
                delay = (float(file.read()) - began) * 1000
            if turn:  # the first also waits for the worker to start
                delays.append(delay)
            time.sleep(0.3)  # idle again
    return Figure(statistics.median(delays))


@cache
def _idle(product: Product) -> tuple[float, float]:
    """Per cent of a core, and megabytes (proportional set size), of an idle worker's processes."""
    product.fresh()
    pool(product)
    path = os.path.join(product.folder, "warm")
    deployment_id = deployment(product, "stamp")
    with worker(product) as process:
        queue(product, deployment_id, {"path": path})
        wait_until(lambda: os.path.exists(path), 120, "the worker's first run")
        time.sleep(5.0)
        before = _cpu_seconds(process.pid)
        time.sleep(_IDLE_SECONDS)
        used = _cpu_seconds(process.pid) - before
        megabytes = sum(memory(pid) for pid in descendants(process.pid))
    return 100 * used / _IDLE_SECONDS, megabytes


def _cpu_seconds(pid: int) -> float:
    ticks = 0
    for one in descendants(pid):
        with open(f"/proc/{one}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> float:
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def idle_cpu(product: Product) -> Figure:
    """Per cent of a core over ten seconds at rest."""
    return Figure(_idle(product)[0])


def idle_memory(product: Product) -> Figure:
    """Megabytes at rest, shared pages counted once."""
    return Figure(_idle(product)[1])


ROWS = [
    Row(
        "runs",
        "no-op deployment runs through one process worker, 200 queued, `--limit 16`",
        "/s",
        throughput,
        at_least=150,
        prefect_factor=80,
    ),
    Row(
        "latency",
        "from `deployment run` to the flow's first line, idle worker, median",
        "ms",
        latency,
        at_most=100,
    ),
    Row("idle-cpu", "idle worker, share of a core", "%", idle_cpu, at_most=1),
    Row("idle-memory", "idle worker, memory", "MB", idle_memory, at_most=60),
]
