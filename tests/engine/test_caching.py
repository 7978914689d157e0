"""Caching: when a task's result is found again, and when it is not."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

import pytest
from runyard import flow, task
from runyard.engine.cache_policies import (
    FLOW_PARAMETERS,
    INPUTS,
    NO_CACHE,
    NONE,
    TASK_SOURCE,
    CachePolicy,
)

pytestmark = pytest.mark.usefixtures("home")


def counted(**options):
    """A task that notes each of its calls, and the notes."""
    calls = []

    @task(**options)
    def work(x=0, y=0):
        calls.append((x, y))
        return (x, y)

    return work, calls


def test_without_a_word_every_call_runs():
    work, calls = counted()

    @flow
    def main():
        work(1)
        work(1)

    main()
    assert len(calls) == 2


def test_inputs_decide_across_runs():
    work, calls = counted(cache_policy=INPUTS)

    @flow
    def main():
        return work(1), work(1), work(2, y=3), work(2, 3)

    assert main() == main() == ((1, 0), (1, 0), (2, 3), (2, 3))
    assert calls == [(1, 0), (2, 3)]


def test_a_cached_run_says_so_and_calls_its_completion_hook(recorded):
    seen = []
    work, _ = counted(cache_policy=INPUTS, on_completion=[lambda task, run, state: seen.append(state.name)])

    @flow
    def main():
        work(1)
        return {"state": work(1, return_state=True)}

    state = main()["state"]
    assert state.name == "Cached"
    assert state.is_completed()
    assert state.result() == (1, 0)
    assert seen == ["Completed", "Cached"]
    assert [recorded.states(run) for run in recorded.task_runs()] == [
        ["Pending", "Running", "Completed"],
        ["Pending", "Cached"],
    ]


def test_the_default_policy_serves_one_run():
    work, calls = counted(persist_result=True)

    @flow
    def main():
        work(1)
        work(1)

    main()
    assert len(calls) == 1
    main()
    assert len(calls) == 2


def test_inputs_can_be_left_out():
    work, calls = counted(cache_policy=INPUTS - "y")

    @flow
    def main():
        return work(1, 1), work(1, 2), work(2, 1)

    assert main() == ((1, 1), (1, 1), (2, 1))
    assert calls == [(1, 1), (2, 1)]


def test_the_source_counts():
    @task(name="work", cache_policy=INPUTS + TASK_SOURCE)
    def first(x):
        return x + 1

    @task(name="work", cache_policy=INPUTS + TASK_SOURCE)
    def second(x):
        return x + 2

    @flow
    def main():
        return first(1), second(1), first(1)

    assert main() == (2, 3, 2)


def test_flow_parameters_count():
    work, calls = counted(cache_policy=FLOW_PARAMETERS)

    @flow
    def main(day):
        return work()

    main("monday")
    main("monday")
    main("tuesday")
    assert len(calls) == 2


def test_no_cache_runs_always_even_in_a_flow_that_keeps_results():
    work, calls = counted(cache_policy=NO_CACHE)

    @flow(persist_result=True)
    def main():
        work(1)
        work(1)

    main()
    assert len(calls) == 2
    assert NONE is NO_CACHE


def test_a_task_that_says_no_keeps_nothing(recorded):
    work, calls = counted(persist_result=False)

    @flow(persist_result=True)
    def main():
        work(1)
        work(1)

    main()
    assert len(calls) == 2
    assert [row["key"] for row in recorded.rows("SELECT key FROM results")] == [
        f"{recorded.flow_runs()[0]['id']}-result"
    ]


def test_a_policy_of_ones_own():
    class ByParity(CachePolicy):
        def compute_key(self, task_ctx, inputs, flow_parameters, **kwargs):
            return f"{task_ctx.task.name}-{inputs['x'] % 2}"

    work, calls = counted(cache_policy=ByParity())

    @flow
    def main():
        return work(1), work(3), work(2)

    assert main() == ((1, 0), (1, 0), (2, 0))
    assert len(calls) == 2


@pytest.mark.parametrize(
    "key_fn",
    [
        lambda: "static",
        lambda context: context.task.name,
        lambda context, parameters: f"x={parameters['x'] % 2}",
        lambda *given: f"x={given[1]['x'] % 2}",
    ],
)
def test_a_key_function_gets_as_many_arguments_as_it_takes(key_fn):
    work, calls = counted(cache_key_fn=key_fn)

    @flow
    def main():
        return work(1), work(3)

    assert main() == ((1, 0), (1, 0))
    assert calls == [(1, 0)]


def test_a_key_function_may_decline():
    work, calls = counted(cache_key_fn=lambda context, parameters: None)

    @flow
    def main():
        work(1)
        work(1)

    main()
    assert len(calls) == 2


@pytest.mark.parametrize(
    "options", [{"cache_key_fn": lambda *_: ""}, {"result_storage_key": "{parameters[x]}"}]
)
def test_an_empty_key_is_no_key(options):
    """As in Prefect: else all calls whose key is empty would share one result."""
    work, calls = counted(persist_result=True, **options)

    @flow
    def main():
        return [work("", number) for number in range(3)]

    assert main() == [("", 0), ("", 1), ("", 2)]
    assert main()
    assert len(calls) == 6


def test_entries_expire():
    fresh, fresh_calls = counted(cache_key_fn=lambda: "fresh", cache_expiration=timedelta(hours=1))
    stale, stale_calls = counted(cache_key_fn=lambda: "stale", cache_expiration=timedelta(seconds=-1))

    @flow
    def main():
        fresh()
        stale()

    main()
    main()
    assert (len(fresh_calls), len(stale_calls)) == (1, 2)


def test_refreshing_runs_again_and_keeps_the_new_result(monkeypatch):
    results = iter([1, 2, 3])

    @task(cache_key_fn=lambda: "key")
    def work():
        return next(results)

    @flow
    def main(refresh=None):
        return work.with_options(refresh_cache=refresh)()

    assert [main(), main(), main(True), main()] == [1, 1, 2, 2]
    monkeypatch.setenv("RUNYARD_TASKS_REFRESH_CACHE", "true")
    assert main() == 3
    assert main(False) == 3


def test_what_can_make_no_key_runs_and_says_why(recorded):
    work, calls = counted(cache_policy=INPUTS)

    @flow
    def main():
        work(threading.Lock())
        work(threading.Lock())

    main()
    assert len(calls) == 2
    assert any("No cache key" in line and "NO_CACHE" in line for line in recorded.logs())


def test_a_result_that_cannot_be_kept_does_not_fail_the_task(recorded):
    @task(cache_policy=INPUTS)
    def work(x):
        return threading.Lock()

    @flow
    def main():
        return type(work(1)).__name__

    assert main() == "lock"
    assert any("could not be stored" in line for line in recorded.logs())


def test_failures_are_not_kept():
    calls = []

    @task(cache_policy=INPUTS)
    def work(x):
        calls.append(x)
        if len(calls) == 1:
            raise ValueError(x)
        return x

    @flow
    def main():
        return work(1, return_state=True).name, work(1), work(1, return_state=True).name

    assert main() == ("Failed", 1, "Cached")


def test_retries_keep_the_result_of_the_last_try():
    calls = []

    @task(cache_policy=INPUTS, retries=2)
    def work(x):
        calls.append(x)
        if len(calls) < 3:
            raise ValueError(x)
        return len(calls)

    @flow
    def main():
        return work(1), work(1)

    assert main() == (3, 3)


def test_async_submitted_and_mapped_tasks_use_the_cache():
    calls = []

    @task(cache_policy=INPUTS)
    async def later(x):
        calls.append(x)
        return x

    work, sync_calls = counted(cache_policy=INPUTS)

    @flow
    async def main():
        await later(1)
        return await asyncio.gather(*[later(1) for _ in range(5)])

    @flow
    def mapped():
        work.map([1, 2, 3]).wait()
        return [state.name for state in work.map([1, 2, 3], return_state=True)]

    assert asyncio.run(main()) == [1] * 5
    assert calls == [1]
    assert mapped() == ["Cached"] * 3
    assert sorted(sync_calls) == [(1, 0), (2, 0), (3, 0)]


def test_a_task_outside_of_any_flow_uses_the_cache():
    work, calls = counted(cache_policy=INPUTS)
    assert work(1) == work(1)
    assert len(calls) == 1


def test_a_storage_key_names_the_entry(tmp_path):
    calls = []

    @task(
        result_storage=tmp_path / "results", result_storage_key="{parameters[day]}-{task_run.task_name}.json"
    )
    def work(day):
        calls.append(day)
        return day

    @flow
    def main():
        work("monday")
        work("monday")

    main()
    assert calls == ["monday"]
    assert [file.name for file in (tmp_path / "results").iterdir()] == ["monday-work.json"]


def test_entries_may_be_noted_apart_from_the_results(tmp_path):
    policy = INPUTS.configure(key_storage=tmp_path / "keys")
    work, calls = counted(cache_policy=policy, result_storage=tmp_path / "results")

    @flow
    def main():
        return work(1)

    assert main() == main() == (1, 0)
    assert len(calls) == 1
    assert len(list((tmp_path / "keys").iterdir())) == len(list((tmp_path / "results").iterdir())) == 1


def test_with_serializable_isolation_one_run_computes_and_the_others_wait():
    calls = []
    together = threading.Barrier(4)

    @task(cache_policy=INPUTS.configure(isolation_level="SERIALIZABLE"))
    def work(x):
        calls.append(x)
        return x

    @task
    def ask(x):
        together.wait(60)
        return work(x)

    @flow
    def main():
        return ask.map([1, 1, 1, 1]).result()

    assert main() == [1, 1, 1, 1]
    assert calls == [1]
