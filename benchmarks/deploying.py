"""What deploying costs: one deployment, five hundred of them, a long list of runs, coming instants."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import time

from measure import Figure, Row, process_times
from products import Product
from starting import PYTHON

FLOW = "from PRODUCT import flow\n\n@flow\ndef etl(number: int = 1):\n    pass\n"
HEAD = "name: NAME\nprefect-version: 3.8.8\npull: []\ndeployments:\n"
ENTRY = """\
  - name: d{number}
    entrypoint: etl.py:etl
    parameters: {{number: {number}}}
    tags: [a, b]
    work_pool: {{name: pool, job_variables: {{env: {{X: "{number}"}}}}}}
    schedules:
      - cron: "{minute} 2 * * *"
        timezone: Europe/Berlin
"""
MANY = 500
RUNS = (100, 1_000_000)


def _project(product: Product, name: str, count: int) -> str:
    product.script("etl.py", FLOW)
    entries = "".join(ENTRY.format(number=number, minute=number % 60) for number in range(count))
    path = os.path.join(product.folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(HEAD.replace("NAME", name.partition(".")[0]) + entries)
    return path


def deploying_one(product: Product) -> Figure:
    """`deploy --name` of one deployment that is there already."""
    product.fresh()
    product.run(product.command, "work-pool", "create", "pool", "--type", "process")
    _project(product, "prefect.yaml", 1)
    words = ["deploy", "--name", "d0"]
    if product.name == "prefect":
        words.insert(0, "--no-prompt")
    product.run(product.command, *words)
    repetitions = 15 if product.name == "runyard" else 3
    return process_times(product, product.command, *words, repetitions=repetitions)


def deploying_many(product: Product) -> Figure:
    """Seconds of CPU for 500 new deployments of one file."""
    product.fresh()
    product.run(product.command, "work-pool", "create", "pool", "--type", "process")
    file = _project(product, "many.yaml", MANY)
    return Figure(_cpu_seconds(product, "deploy", "--all", "--prefect-file", file))


def _cpu_seconds(product: Product, *words: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [product.command, *words],
        env=product.environment,
        cwd=product.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def listing_runs(product: Product) -> Figure:
    """`flow-run ls` with a million runs, as a multiple of its time with a hundred."""
    times: dict[int, list[float]] = {count: [] for count in RUNS}
    for count in RUNS:
        product.fresh()
        product.run(product.command, "flow-run", "ls")
        _fill(os.path.join(product.folder, "runyard.db"), count)
        for _ in range(9):
            began = time.perf_counter()
            product.run(product.command, "flow-run", "ls")
            times[count].append(time.perf_counter() - began)
    few, many = (sorted(times[count])[len(times[count]) // 2] for count in RUNS)
    return Figure(many / few)


def _fill(database: str, count: int) -> None:
    """Write runs that completed, one a second until now."""
    with sqlite3.connect(database) as connection:
        connection.execute("INSERT INTO flows (id, created, updated, name) VALUES ('f', 0, 0, 'etl')")
        now = time.time_ns() // 1000
        connection.execute(
            """WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count)
               INSERT INTO flow_runs (id, created, updated, name, flow_id, state_id, state_type, state_name,
                   state_timestamp, expected_start_time, start_time, end_time, run_count)
               SELECT printf('%036d', n), :now, :now, 'run-' || n, 'f', 's' || n, 'COMPLETED', 'Completed',
                   :now - n * 1000000, :now - n * 1000000, :now - n * 1000000, :now - n * 1000000, 1
               FROM numbers""",
            {"count": count, "now": now},
        )


def coming_instants(product: Product) -> Figure:
    """Seconds of CPU for `schedule next` of a deployment, 1,000 instants."""
    product.fresh()
    product.run(product.command, "work-pool", "create", "pool", "--type", "process")
    _project(product, "prefect.yaml", 1)
    product.run(product.command, "deploy", "--all")
    return Figure(_cpu_seconds(product, "schedule", "next", "d0", "-n", "1000"))


ROWS = [
    Row("deploy", "`deploy --name` of one deployment", "ms", deploying_one, at_most=25, of=PYTHON),
    Row("deploy-500", "500 deployments of one file, CPU", "s", deploying_many, at_most=3, prefect=False),
    Row(
        "run-ls", "`flow-run ls` with 1,000,000 runs, times that with 100", "x", listing_runs, at_most=1.5,
        prefect=False,
    ),
    Row(
        "schedule-next", "`schedule next` for 1,000 instants, CPU", "s", coming_instants, at_most=0.5,
        prefect=False,
    ),
]  # fmt: skip
