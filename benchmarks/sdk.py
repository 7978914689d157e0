"""What the flow and task SDK costs: kept results, submitting, mapping, gathering, retries, memory."""

from __future__ import annotations

import statistics
from functools import partial

from measure import Figure, Row
from products import Product

# Each script prints `value X`; what it measures runs once before, small, to load everything.
_HEAD = """
import sys, time
from PRODUCT import flow, task

def told(value):
    print("value", value)
"""

KEPT = """
@task(persist_result=True)
def step(number):
    return number

@flow
def many(number):
    began = time.perf_counter()
    for each in range(number):
        step(each)
    return number / (time.perf_counter() - began)

many(10)
told(many(int(sys.argv[1])))
"""

SUBMIT = """
@task
def nothing(number):
    return number

@flow
def many(number):
    began = time.perf_counter()
    for future in [nothing.submit(each) for each in range(number)]:
        future.result()
    return number / (time.perf_counter() - began)

many(10)
told(many(int(sys.argv[1])))
"""

MAP = """
@task
def nothing(number):
    return number

@flow
def many(number):
    began = time.perf_counter()
    nothing.map(range(number)).result()
    return number / (time.perf_counter() - began)

many(10)
told(many(int(sys.argv[1])))
"""

GATHER = """
import asyncio

@task
async def nothing(number):
    return number

@flow
async def many(number):
    began = time.perf_counter()
    await asyncio.gather(*[nothing(each) for each in range(number)])
    return number / (time.perf_counter() - began)

asyncio.run(many(10))
told(asyncio.run(many(int(sys.argv[1]))))
"""

HIT = """
from PRODUCT.cache_policies import INPUTS

@task(cache_policy=INPUTS)
def step(number):
    return number

@flow
def many(number):
    for each in range(number):
        step(each)
    began = time.perf_counter()
    for each in range(number):
        step(each)
    return (time.perf_counter() - began) / number * 1e6

many(10)
told(many(int(sys.argv[1])))
"""

# As many tasks that fail once and are retried, for each of which the function is called twice.
RETRIED = """
import os
os.environ["RUNYARD_LOGGING_LEVEL"] = "ERROR"

@task
def once():
    pass

tries = 0

@task(retries=1)
def twice():
    global tries
    tries += 1
    if tries % 2:
        raise ValueError

@flow
def plain(number):
    for _ in range(number):
        once()

@flow
def retried(number):
    for _ in range(number):
        twice()

def seconds(run, number):
    began = time.perf_counter()
    run(number)  # its end waits for the disk
    return time.perf_counter() - began

seconds(plain, 10), seconds(retried, 10)
number = int(sys.argv[1])
first = seconds(plain, number)
told(seconds(retried, number) / first)
"""

MEMORY = """
import gc, tracemalloc
from runyard.context import current_flow

@task
def nothing():
    pass

def held():
    # Twice: the thread that writes keeps its last group, which is then a small one.
    for _ in range(2):
        nothing()
        current_flow.get().journal.flush()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]

@flow
def many(number):
    for _ in range(1000):
        nothing()
    before = held()
    for _ in range(number):
        nothing()
    return (held() - before) / 1024 / number * 1000

tracemalloc.start()
told(max(0.0, many(int(sys.argv[1]))))
"""

MAPPED_MEMORY = """
import gc, tracemalloc

@task
def nothing(number):
    return number

@flow
def many(number):
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    futures = nothing.map(range(number))
    futures.wait()
    gc.collect()
    return (tracemalloc.get_traced_memory()[0] - before) / number

many(10)
tracemalloc.start()
small = many(int(sys.argv[1]) // 10)
told(many(int(sys.argv[1])) / small)
"""

DBOS = """
import sys, time
from dbos import DBOS, DBOSConfig

DBOS(config={"name": "bench", "system_database_url": "sqlite:///dbos.sqlite", "run_admin_server": False})

@DBOS.step()
def step(number):
    return number

@DBOS.workflow()
def many(number):
    began = time.perf_counter()
    for each in range(number):
        step(each)
    return number / (time.perf_counter() - began)

DBOS.launch()
many(10)
print("value", many(int(sys.argv[1])))
DBOS.destroy()
"""


def _value(product: Product, python: str, path: str, number: int, repetitions: int) -> float:
    """The median of what a script tells."""
    values = []
    for _ in range(repetitions):
        output = product.run(python, path, str(number))
        values.append(float(output.rpartition("value")[2].split()[0]))
    return statistics.median(values)


def _measure(body: str, number: int, product: Product) -> Figure:
    product.fresh()
    path = product.script("sdk.py", _HEAD + body)
    if product.name == "runyard":
        return Figure(_value(product, product.python, path, number, 3))
    return Figure(_value(product, product.python, path, min(number, 200), 2))


def _beside_dbos(python: str, product: Product) -> Figure:
    """Kept tasks beside DBOS's steps, measured in turn: tasks a second."""
    product.fresh()
    ours, theirs = product.script("sdk.py", _HEAD + KEPT), product.script("with_dbos.py", DBOS)
    pairs = [
        (_value(product, product.python, ours, 3_000, 1), _value(product, python, theirs, 1_000, 1))
        for _ in range(3)
    ]
    mine, others = zip(*pairs, strict=True)
    return Figure(statistics.median(mine), statistics.median(others))


def dbos_row(python: str) -> Row:
    """The row of an interpreter that has DBOS."""
    return Row(
        "dbos",
        "tasks whose results are kept, beside DBOS's steps on SQLite",
        "/s",
        partial(_beside_dbos, python),
        more_than=1.0,
        of="DBOS",
        prefect=False,
    )


ROWS = [
    Row(
        "kept",
        "tasks whose results are kept, sequential",
        "/s",
        partial(_measure, KEPT, 4_000),
        at_least=4_000,
    ),
    Row("submit", "no-op tasks by `.submit`", "/s", partial(_measure, SUBMIT, 5_000), at_least=5_000),
    Row("map", "no-op tasks by `.map` of 10,000", "/s", partial(_measure, MAP, 10_000), at_least=5_000),
    Row("gather", "async no-op tasks, gathered", "/s", partial(_measure, GATHER, 5_000), at_least=5_000),
    Row("hit", "a cache hit", "µs", partial(_measure, HIT, 3_000), at_most=100),
    Row(
        "retry",
        "a task that is retried once, without its log line, in tasks that are not",
        "tasks",
        partial(_measure, RETRIED, 10_000),
        at_most=2.0,
        prefect=False,
    ),
    Row(
        "memory",
        "bookkeeping in memory of 1,000 tasks once committed",
        "KB",
        partial(_measure, MEMORY, 20_000),
        at_most=100,
        prefect=False,
    ),
    Row(
        "map-memory",
        "memory of a mapped item among 10,000, in items among 1,000",
        "items",
        partial(_measure, MAPPED_MEMORY, 10_000),
        at_most=1.2,
        prefect=False,
    ),
]
