"""How fast one process works through tasks and subflows, all recorded."""

from __future__ import annotations

import statistics
from typing import Any

from measure import Figure, Row
from products import Product

TASKS = """
import sys, time
from PRODUCT import flow, task

@task
def nothing():
    pass

@flow
def many(number):
    for _ in range(number):
        nothing()

many(10)
began = time.perf_counter()
many(int(sys.argv[1]))
print("seconds", time.perf_counter() - began)
"""

SUBFLOWS = """
import sys, time
from PRODUCT import flow

@flow
def nothing():
    pass

@flow
def many(number):
    for _ in range(number):
        nothing()

many(3)
began = time.perf_counter()
many(int(sys.argv[1]))
print("seconds", time.perf_counter() - began)
"""


def _rate(product: Product, script: str, number: int, repetitions: int) -> float:
    rates = []
    for _ in range(repetitions):
        output = product.run(product.python, script, str(number))
        seconds = float(output.rpartition("seconds")[2].split()[0])
        rates.append(number / seconds)
    return statistics.median(rates)


def tasks(product: Product) -> Figure:
    """No-op tasks a second in one flow, one after the other; the flow's end waits for the disk."""
    product.fresh()
    script = product.script("tasks.py", TASKS)
    if product.name != "runyard":
        return Figure(_rate(product, script, 300, 2))
    number, repetitions = 30_000, 3
    rate = _rate(product, script, number, repetitions)
    completed = {"task_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
    _expect(product, "/task_runs/count", completed, repetitions * (number + 10))
    return Figure(rate)


def subflows(product: Product) -> Figure:
    """No-op subflows a second in one flow, one after the other."""
    product.fresh()
    script = product.script("subflows.py", SUBFLOWS)
    if product.name != "runyard":
        return Figure(_rate(product, script, 20, 2))
    number, repetitions = 2_000, 3
    rate = _rate(product, script, number, repetitions)
    completed = {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
    _expect(product, "/flow_runs/count", completed, repetitions * (number + 5))
    return Figure(rate)


def _expect(product: Product, path: str, filters: dict[str, Any], number: int) -> None:
    found = product.call("POST", path, filters)
    if found != number:
        raise RuntimeError(f"{found} of {number} runs were recorded as completed")


ROWS = [
    Row(
        "tasks",
        "no-op tasks in one flow, sequential, recorded with their states",
        "/s",
        tasks,
        at_least=15_000,
        prefect_factor=60,
    ),
    Row("subflows", "no-op subflows", "/s", subflows, at_least=1_000),
]
