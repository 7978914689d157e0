"""Names that Prefect has for both kinds of code: called as they are, or awaited."""

from __future__ import annotations

import asyncio

import pytest
from runyard import flow, task
from runyard.domain.states import Completed
from runyard.engine.results.result_stores import get_result_store, resolve_result_storage
from runyard.prefect_names import state_names as names


@task
def one():
    return 1


@task
async def aone():
    return 1


@task
def fails():
    raise ValueError("mine")


def test_results_in_async_code_with_and_without_await(recorded):
    @flow
    async def calls():
        state = await aone(return_state=True)
        future, many = one.submit(), plus.map([1, 2])
        await future.wait()
        await many.wait()
        return [
            state.result(), await state.result(), await state.result(raise_on_failure=False),
            future.result(), await future.result(), await future.result(timeout=60),
            await future.result_async(),
            many.result(), await many.result(), [await each.result() for each in many],
            (await future.result()) + await state.result(),
            [x async for x in listed(state)],
        ]  # fmt: skip

    @task
    def plus(x):
        return x + 1

    async def listed(state):
        yield state.result()
        yield await state.result()

    assert asyncio.run(calls()) == [1] * 7 + [[2, 3], [2, 3], [2, 3], 2, [1, 1]]


def test_what_an_awaited_call_raises(recorded):
    @flow
    async def calls():
        state = fails(return_state=True)
        with pytest.raises(ValueError, match="mine"):
            await state.result()
        with pytest.raises(ValueError, match="mine"):
            await fails.submit().result()
        with pytest.raises(ValueError, match="mine"):
            await names.raise_state_exception(state)
        assert isinstance(await names.get_state_exception(state), ValueError)
        assert isinstance(names.get_state_exception(state), ValueError)
        assert await names.get_state_result(Completed(data=3)) == 3
        assert (await names.return_value_to_state(5)).result() == 5

    asyncio.run(calls())


def test_stores_in_async_code(recorded, tmp_path):
    async def main():
        store = get_result_store()
        assert (await store.update_for_task(one)).read is not None
        assert await resolve_result_storage(str(tmp_path)) is not None
        return resolve_result_storage(str(tmp_path)) is not None

    assert asyncio.run(main())
