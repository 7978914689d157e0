"""`@task` above `@flow`: a flow that is submitted and mapped, and the other decorators above each other."""

from __future__ import annotations

import asyncio

import pytest
from runyard import flow, get_client, task
from runyard.base.exceptions import ReservedArgumentError


@task
@flow
def doubled(number: int = 1):
    return number * 2


@task
@flow
async def doubled_async(number: int):
    return number * 2


@task
@flow
def counted(number):
    yield from range(number)


@flow
@task
def tripled(number):
    return number * 3


@task
@task
def quadrupled(number):
    return number * 4


def _runs():
    client = get_client(sync_client=True)
    flows = {run.id: run for run in client.read_flow_runs()}
    return flows, {run.id: run for run in client.read_task_runs()}


def test_it_is_submitted_and_mapped(home):
    @flow
    def parent():
        one, many = doubled.submit(3), doubled.map([1, 2])
        return [one.result(), *many.result(), doubled("7"), list(counted(2)), quadrupled(2)]

    assert parent() == [6, 2, 4, 14, [0, 1], 8]
    flows, _ = _runs()
    assert sum(run.parent_task_run_id is not None for run in flows.values()) == 5
    assert all(run.state.is_completed() for run in flows.values())


def test_the_flow_around_waits_for_it(home):
    @task
    @flow
    def late():
        asyncio.run(asyncio.sleep(0.1))

    @flow
    def parent():
        late.submit()

    parent()
    flows, tasks = _runs()
    assert len(flows) == 2
    assert all(run.state.is_completed() for run in [*flows.values(), *tasks.values()])


def test_an_async_one(home):
    @flow
    async def parent():
        return await asyncio.gather(doubled_async(1), doubled_async(2)), doubled_async.submit(3).result()

    assert (doubled_async.isasync, doubled.isasync, counted.isgenerator) == (True, False, True)
    assert asyncio.run(parent()) == ([2, 4], 6)


def test_a_flow_above_a_task(home):
    assert tripled(2) == 6


@pytest.mark.parametrize("name", ["wait_for", "return_state"])
def test_a_reserved_name_is_found_below_the_decorators(name):
    names = {}
    exec(f"def fn({name}): pass", names)
    with pytest.raises(ReservedArgumentError, match=name):
        task(flow(names["fn"]))
