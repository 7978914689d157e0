"""Results handed to functions of asyncio, as scripts for Prefect hand them."""

from __future__ import annotations

import asyncio
from asyncio import gather

import pytest
from runyard import flow, task
from runyard.domain.states import Completed, Failed
from runyard.prefect_names.state_names import get_state_result

A, B = Completed(data=1), Completed(data=2)


async def plus_one(value):
    return value + 1


def own(value):
    return value


class Tracker:
    """Of a user's own, with a method called as one of asyncio's."""

    def create_task(self, value):
        return value


async def results():
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        grouped = group.create_task(A.result())
    futures = [asyncio.ensure_future(A.result()), loop.create_task(B.result())]
    return [
        await asyncio.wait_for(A.result(), 20),
        await asyncio.wait_for(A.result(raise_on_failure=False), timeout=60),
        await asyncio.gather(A.result(), B.result()),
        await gather(A.result(), plus_one(A.result()), return_exceptions=True),
        await asyncio.gather(*[each.result() for each in (A, B)]),
        await asyncio.gather(*(each.result() for each in (A, B))),
        await asyncio.gather(*[A.result(), B.result()]),
        [await each for each in asyncio.as_completed([A.result()])],
        await asyncio.shield(get_state_result(B)),
        grouped.result(),
        [await each for each in futures],
    ]


def test_functions_of_asyncio_take_results():
    assert asyncio.run(results()) == [
        1, 1, [1, 2], [1, 2], [1, 2], [1, 2], [1, 2], [1], 2, 1, [1, 2],
    ]  # fmt: skip


def test_other_code_gets_values():
    async def main():
        tracker = Tracker()
        await asyncio.sleep(0, A.result())
        return [
            own(A.result()),
            tracker.create_task(A.result()),
            await asyncio.wait_for(plus_one(A.result()), 20),
            await asyncio.wait_for(plus_one(value=A.result() + 1), 20),
            [each.result() for each in (A, B)],
            sum(each.result() for each in (A, B)),
            await asyncio.gather(*[plus_one(each.result()) for each in (A, B)]),
            await asyncio.gather(*map(plus_one, [each.result() for each in (A, B)])),
        ]

    assert asyncio.run(main()) == [1, 1, 2, 3, [1, 2], 3, [2, 3], [2, 3]]


def test_what_failed_raises_where_it_is_awaited():
    failed = Failed(data=ValueError("mine"))

    async def main():
        with pytest.raises(ValueError, match="mine"):
            await asyncio.wait_for(failed.result(), 20)
        (told,) = await asyncio.gather(failed.result(), return_exceptions=True)
        return told

    assert str(asyncio.run(main())) == "mine"


def test_states_of_runs_in_an_async_flow(recorded):
    @task
    async def double(x):
        return 2 * x

    @flow
    async def main():
        states = [await double(x, return_state=True) for x in (1, 2)]
        one = await asyncio.wait_for(states[0].result(), 20)
        return one, await asyncio.gather(*[state.result() for state in states])

    assert asyncio.run(main()) == (2, [2, 4])
