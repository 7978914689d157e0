"""Cells of a notebook: top-level `await` on a loop that runs already, and definitions without files."""

from __future__ import annotations

import ast
import asyncio
import inspect

CELLS = """
from runyard import flow, task
told = []
async def slow_note(thing, run, state):
    await asyncio.sleep(0)
    told.append(f"{thing.name} {state.name}")
async def again(thing, run, state):
    await asyncio.sleep(0)
    return True
# cell
@task
def add(x): return x + 1
@flow
def total(n): return sum(add.map(range(n)).result())
show(total(3))
# cell
@flow
async def five():
    await asyncio.sleep(0.01)
    return 5
show(await five())
# cell
@task
async def double(x): return 2 * x
@flow
async def doubles():
    futures = double.map([1, 2, 3])
    return [each.result() for each in futures], await double(7)
show(await doubles())
# cell
show((add(1), add.submit(1).result()))
# cell
@flow(on_completion=[slow_note])
def plain(): return add.submit(1).result()
show((plain(), told.copy()))
# cell
@flow(on_failure=[slow_note])
async def fails(): raise ValueError("mine")
show((await fails(return_state=True)).name)
show(told[1:])
# cell
tries = []
@task(retries=2, retry_condition_fn=again, on_failure=[slow_note], on_completion=[slow_note])
def second_time():
    tries.append(1)
    if len(tries) == 1: raise ValueError("first")
    return "well"
show((second_time(), len(tries), told[2:]))
# cell
from runyard.cache_policies import INPUTS, TASK_SOURCE
calls = []
@task(cache_policy=INPUTS + TASK_SOURCE)
def cached(x): calls.append("one"); return "one"
show((cached(1), cached(1)))
# cell
@task(cache_policy=INPUTS + TASK_SOURCE)
def cached(x): calls.append("two"); return "two"
show((cached(1), cached(1), calls))
# cell
show(await asyncio.gather(five(), five()))
"""
SHOWN = [
    3 + 2 + 1, 5, ([2, 4, 6], 14), (2, 2), (2, ["plain Completed"]), "Failed", ["fails Failed"],
    ("well", 2, ["second_time Completed"]), ("one", "one"), ("two", "two", ["one", "two"]), [5, 5],
]  # fmt: skip


def test_each_cell_shows_what_it_would_in_a_script(recorded):
    shown = []

    async def notebook():
        names = {"__name__": "__main__", "asyncio": asyncio, "show": shown.append}
        for number, source in enumerate(CELLS.split("# cell\n")):
            code = compile(source, f"<cell {number}>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            waiting = eval(code, names)
            if inspect.iscoroutine(waiting):
                await waiting

    asyncio.run(notebook())
    assert shown == SHOWN
