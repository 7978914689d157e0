"""What a docker worker adds to `docker run`: runs one after another, and how soon a container begins."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from typing import Any

from measure import Figure, Row, Skipped, wait_until
from products import Product
from working import POOL, worker

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FLOW = """
from PRODUCT import flow

@flow
def nothing():
    pass
"""

_COMMAND = ("python", "-m", "runyard.workers.jobs.container_main")
_ROUNDS, _RUNS = 4, 6
_STAMPS = 12
_TURNS = 5
_ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


def _job(product: Product) -> dict[str, Any]:
    """The job variables of a run in the image for tests, whose modules are compiled."""
    from pathlib import Path

    sys.path.append(os.path.join(ROOT, "tests"))
    import _docker

    if reason := _docker.problem():
        raise Skipped(reason)
    variables = _docker.job_variables(Path(product.folder))
    return {**variables, "image_pull_policy": "Never", "auto_remove": True}


def _docker_run(job: dict[str, Any], env: dict[str, str], *command: str) -> None:
    """The same container by the command line."""
    options = [word for volume in job["volumes"] for word in ("--volume", volume)]
    options += [
        word for name, value in {**env, **job["env"]}.items() for word in ("--env", f"{name}={value}")
    ]
    done = subprocess.run(
        ["docker", "run", "--rm", "--network", "host", *options, job["image"], *command],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"docker run failed: {done.stderr[-2000:]}")


def _deployment(product: Product) -> tuple[dict[str, Any], str]:
    product.fresh()
    job = _job(product)
    product.run(product.command, "work-pool", "create", POOL, "--type", "docker")
    product.script("flows.py", FLOW)
    flow_id = product.call("POST", "/flows/", {"name": "nothing"})["id"]
    body = {"name": "bench", "flow_id": flow_id, "work_pool_name": POOL, "entrypoint": "flows.py:nothing",
            "path": product.folder, "job_variables": job, "enforce_parameter_schema": False}  # fmt: skip
    return job, str(product.call("POST", "/deployments/", body)["id"])


def _queue(product: Product, deployment_id: str, job: dict[str, Any] | None = None) -> str:
    body = {"state": {"type": "SCHEDULED"}, "job_variables": job}
    path = "/deployments/{deployment_id}/create_flow_run"
    return str(product.call("POST", path, body, deployment_id=deployment_id)["id"])


def _claim(product: Product) -> tuple[str, int]:
    body = {"worker_name": "bare", "lease_seconds": 300}
    (claimed,) = product.call("POST", "/runyard/work_pools/{work_pool_name}/claim", body, work_pool_name=POOL)
    return claimed.flow_run_id, claimed.attempt


def _state(product: Product, run: str) -> str:
    return str(product.call("GET", "/flow_runs/{flow_run_id}", flow_run_id=run)["state_type"])


def _bare(product: Product, deployment_id: str, job: dict[str, Any], api: Any) -> float:
    """Seconds of one run by `docker run`: claimed before, with what a worker gives it."""
    from runyard.server.run_tokens import make

    _queue(product, deployment_id)
    run, attempt = _claim(product)
    env = {
        "RUNYARD_API_URL": api.url(),
        "RUNYARD_API_AUTH_STRING": make(run, attempt),
        "RUNYARD__FLOW_RUN_ID": run,
        "RUNYARD__ATTEMPT": str(attempt),
        "RUNYARD__KEEPS_LEASE": "1",
    }
    began = time.perf_counter()
    _docker_run(job, env, *_COMMAND)
    took = time.perf_counter() - began
    if _state(product, run) != "COMPLETED":
        raise RuntimeError(f"a bare run ended as {_state(product, run)}")
    return took


def _wait_for_end(product: Product, run: str) -> None:
    wait_until(lambda: _state(product, run) in _ENDED, 120, "the end of a run")


def _by_worker(product: Product, deployment_id: str) -> float:
    """Seconds of a worker for each of some runs one after another, from the first's end to the last's."""
    runs = [_queue(product, deployment_id) for _ in range(_RUNS + 1)]
    ends = []
    for run in runs:
        _wait_for_end(product, run)
        ends.append(time.perf_counter())
    states = {_state(product, run) for run in runs}
    if states != {"COMPLETED"}:
        raise RuntimeError(f"runs ended as {states}")
    return (ends[-1] - ends[0]) / _RUNS


def overhead(product: Product) -> Figure:
    """Milliseconds of a run by a worker and by `docker run`, in turn; of the round with the middle ratio."""
    from runyard.server.worker_api import RunApi
    from runyard.store.database import get_database

    job, deployment_id = _deployment(product)
    api = RunApi(get_database())
    rounds = []
    try:
        _bare(product, deployment_id, job, api)  # the first reads the files into the page cache
        for _ in range(_ROUNDS):
            bare = statistics.mean(_bare(product, deployment_id, job, api) for _ in range(_RUNS))
            with worker(product, "--limit", "1"):
                rounds.append((_by_worker(product, deployment_id), bare))
    finally:
        api.close()
    rounds.sort(key=lambda pair: pair[0] / pair[1])
    ours, bare = rounds[len(rounds) // 2]
    return Figure(1000 * ours, 1000 * bare)


def latency(product: Product) -> Figure:
    """Milliseconds from making a run to the first line of its container, less those of `docker run`."""
    job, deployment_id = _deployment(product)
    ours, bare = [], []

    def stamp(number: str) -> tuple[str, str]:
        path = os.path.join(product.folder, f"stamp-{number}")
        return path, f"date +%s.%N >{path}.part && mv {path}.part {path}"

    def moment(path: str) -> float:
        wait_until(lambda: os.path.exists(path), 120, "the container's first line")
        with open(path, encoding="ascii") as file:
            return float(file.read())

    with worker(product):
        for turn in range(_STAMPS + 1):
            path, command = stamp(f"bare-{turn}")
            began = time.time()
            _docker_run(job, {}, "sh", "-c", command)
            without = moment(path) - began
            path, command = stamp(f"worker-{turn}")
            began = time.time()
            run = _queue(product, deployment_id, {"command": f"sh -c '{command}'"})
            within = moment(path) - began
            _wait_for_end(product, run)
            if turn:  # the first also waits for the worker to start
                ours.append(1000 * within)
                bare.append(1000 * without)
            time.sleep(0.3)  # idle again
    print(
        f"     docker-latency: {statistics.median(ours):.0f} ms, docker run {statistics.median(bare):.0f} ms"
    )
    return Figure(statistics.median(mine - theirs for mine, theirs in zip(ours, bare, strict=True)))


def adoption(product: Product) -> Figure:
    """Seconds from the start of a worker's process to its hold of the run of one that was killed."""
    from runyard.store.database import get_database

    _, deployment_id = _deployment(product)

    def holder() -> str | None:
        with get_database().transaction(write=False) as tx:
            return tx.value("SELECT owner FROM leases")

    run = _queue(product, deployment_id, {"command": "sleep 600"})
    times = []
    try:
        for turn in range(_TURNS + 1):
            name = f"worker-{turn}"
            began = time.perf_counter()
            process = product.spawn(product.command, "worker", "start", "--pool", POOL, "--name", name)
            try:
                wait_until(lambda name=name: holder() == name, 120, "the adoption")
                if turn:  # the first starts the run
                    times.append(time.perf_counter() - began)
                time.sleep(1.0)  # until the container is there
            finally:
                process.kill()
                process.wait()
    finally:
        _remove(run)
    return Figure(statistics.median(times))


def _remove(run: str) -> None:
    """The container of a run that no worker has any more."""
    label = f"label=io.runyard.flow-run-id={run}"
    found = subprocess.run(
        ["docker", "ps", "-aq", "--filter", label], capture_output=True, text=True, check=True
    )
    if found.stdout.split():
        subprocess.run(["docker", "rm", "-f", *found.stdout.split()], capture_output=True, check=False)


ROWS = [
    Row(
        "docker-overhead",
        "no-op runs of a docker worker one after another, each",
        "ms",
        overhead,
        at_most=1.3,
        of="`docker run` of the same image and command",
        prefect=False,
    ),
    Row(
        "docker-latency",
        "from making a run to the first line of its container, more than by `docker run`, median",
        "ms",
        latency,
        at_most=100,
        prefect=False,
    ),
    Row(
        "docker-adoption",
        "from the start of a docker worker to its hold of the run of one that was killed, median",
        "s",
        adoption,
        at_most=2,
        prefect=False,
    ),
]
