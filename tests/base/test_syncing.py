"""One name for sync and async callers."""

import asyncio
import threading

from runyard import flow, task
from runyard.base.syncing import async_twin, is_async_context, sync_compatible


@sync_compatible
def where():
    return threading.current_thread().name


def test_plain_code_calls_it():
    assert where() == threading.current_thread().name


def test_async_code_awaits_it_and_its_loop_stays_free():
    async def main():
        return await where(), where(_sync=True)

    awaited, forced = asyncio.run(main())
    assert awaited != forced


def test_a_sync_task_called_on_an_event_loop_is_sync_code(home):
    @task
    def plain():
        return is_async_context()

    @task
    async def awaited():
        return is_async_context()

    @flow
    async def both():
        return plain(), await awaited(), is_async_context()

    assert asyncio.run(both()) == (False, True, True)


def test_a_twin_is_always_awaited_and_passes_errors_on():
    def fail(x):
        raise ValueError(x)

    async def main():
        try:
            await async_twin(fail)("no")
        except ValueError as error:
            return str(error)

    assert asyncio.run(main()) == "no"
