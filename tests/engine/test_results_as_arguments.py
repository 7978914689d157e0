"""A completed task does not run again because its argument, a kept result, pickles to other bytes."""

from __future__ import annotations

import gc
from collections import Counter
from dataclasses import dataclass, field

import pytest
from runyard import flow, task
from runyard.engine.cache_policies import INPUTS
from runyard.engine.entry import run_again
from runyard.engine.hashing.digests import hash_objects
from runyard.engine.results import known_results
from runyard.engine.task_runners import ProcessPoolTaskRunner
from runyard.engine.transactions import transaction


class Changing:
    """An object that pickles to other bytes each time it was read: as models, views and caches may."""

    def __init__(self, number=1, readings=0):
        self.number = number
        self.readings = readings

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.readings += 1


@dataclass
class Box:
    content: object
    tags: list = field(default_factory=list)


def changing_list():
    return [Changing()]


RESULTS = {
    "object": Changing,
    "list": changing_list,
    "dictionary": lambda: {"model": Changing(), "n": 1},
    "dataclass": lambda: Box(Changing()),
    "array view": lambda: pytest.importorskip("numpy").arange(12).reshape(3, 4)[:, ::2],
}


def twice(body, **options):
    """Run a flow whose first try fails at its end, in this process, and return how often each step ran."""
    ran, tries = Counter(), []

    def main():
        tries.append(1)
        body(ran)
        if len(tries) == 1:
            raise ConnectionError("down")

    flow(main, name="main", persist_result=True, retries=1, **options)()
    return ran


@pytest.mark.parametrize("kind", RESULTS)
@pytest.mark.parametrize("options", [{}, {"result_serializer": "compressed/pickle"}], ids=["", "compressed"])
def test_the_next_task_knows_it(home, kind, options):
    def body(ran):
        @task
        def make():
            ran["make"] += 1
            return RESULTS[kind]()

        @task
        def use(value, *more, **named):
            ran["use"] += 1

        use(make())
        use.submit(make.submit()).result()
        use([make()], x={"deep": make()})

    assert twice(body, **options) == {"make": 1, "use": 2}


def frame_of_texts(pd):
    return pd.DataFrame({"s": list("abcd"), "n": [1, 2, 3, 4], "o": pd.Series(["x", None] * 2, dtype=object)})


USES = {
    "look-up": lambda pd: (frame_of_texts(pd).set_index("s"), lambda value: value.loc["b"]),
    "rows": lambda pd: (frame_of_texts(pd).iloc[::2], repr),
    "numbers with gaps": lambda pd: (pd.Series([1, None, 3, None], dtype="Int64").iloc[::2], repr),
    "days": lambda pd: (
        pd.Series(range(3), index=pd.date_range("2026", periods=3)),
        lambda value: value.loc["2026-01-02"],
    ),
    "categories": lambda pd: (frame_of_texts(pd).astype({"s": "category"})["s"][1:3], repr),
}


@pytest.mark.parametrize("kind", USES)
def test_a_frame_that_was_used_is_the_same(home, kind):
    """Using a frame changes what it pickles to, and two tasks may return one frame."""
    pd = pytest.importorskip("pandas", reason="pandas is not installed")

    def body(ran):
        value, use_it = USES[kind](pd)

        @task
        def make():
            ran["make"] += 1
            return {"frame": value, "n": 1}

        @task
        def look(given):
            ran["look"] += 1
            use_it(given)
            return given

        @task
        def use(one, other):
            ran["use"] += 1

        made = make()["frame"]
        use(made, [look(made)])
        use_it(made)
        use([made], {"n": made})

    assert twice(body) == {"make": 1, "look": 1, "use": 2}


def test_a_part_of_a_result_is_known_too(home):
    def body(ran):
        @task
        def split():
            ran["split"] += 1
            return Changing(1), Changing(2)

        @task
        def use(value):
            ran["use"] += 1
            return value.number

        left, right = split()
        assert (use(left), use(right)) == (1, 2)

    assert twice(body) == {"split": 1, "use": 2}


def test_what_runs_in_a_transaction(home):
    def body(ran):
        @task
        def make():
            ran["make"] += 1
            return Changing()

        @task
        def use(value):
            ran["use"] += 1

        with transaction():
            use(make())

    assert twice(body) == {"make": 1, "use": 1}


def test_a_task_of_another_process(home, tmp_path, recorded):
    @task
    def make():
        with open(tmp_path / "ran", "a") as file:
            file.write("make ")
        return Changing()

    @task
    def use(value):
        with open(tmp_path / "ran", "a") as file:
            file.write("use ")

    tries = []

    @flow(persist_result=True, retries=1, task_runner=ProcessPoolTaskRunner(max_workers=1))
    def main():
        tries.append(1)
        use.submit(make.submit()).result()
        if len(tries) == 1:
            raise ConnectionError("down")

    main()
    assert (tmp_path / "ran").read_text() == "make use "


def test_what_was_changed_since_is_another_value(home):
    ran = []

    @task(cache_policy=INPUTS)
    def make():
        return [Changing()]

    @task(cache_policy=INPUTS)
    def total(values):
        ran.append(len(values))
        return sum(each.number for each in values)

    @flow
    def main():
        values = make()
        found = [total(values)]
        values[0].number = 5
        found.append(total(values))
        values.append(Changing(2))
        return [*found, total(values)]

    assert main() == [1, 5, 7]
    assert ran == [1, 1, 2]


def test_another_value_under_the_same_key_is_another_value(home):
    """A cache entry that expired is made anew: what was computed from the old one does not count."""
    numbers = iter((1, 2))

    @task(cache_key_fn=lambda context, parameters: "source", refresh_cache=True)
    def source():
        return Changing(next(numbers))

    @task(cache_policy=INPUTS)
    def double(value):
        return value.number * 2

    @flow
    def main():
        return double(source())

    assert [main(), main()] == [2, 4]


def test_run_again_in_another_process_later(home, recorded):
    ran = []

    @task
    def make():
        ran.append("make")
        return Changing()

    @task
    def use(value):
        ran.append("use")

    @flow
    def inner(value):
        ran.append("inner")

    @flow(persist_result=True)
    def main():
        value = make()
        use(value)
        inner(value)
        if ran == ["make", "use", "inner"]:
            ran.append("failed")
            raise ConnectionError("down")

    with pytest.raises(ConnectionError):
        main()
    known_results._known.clear()  # as in a new process
    run_again(main, recorded.flow_runs()[0]["id"], {})
    assert ran == ["make", "use", "inner", "failed"]


def test_nothing_is_kept_in_memory(home):
    @task(persist_result=True)
    def make():
        return Changing()

    @flow
    def main():
        for _ in range(20):
            make()

    main()
    gc.collect()
    assert not [
        1 for each in known_results._known.values() if each.alive is not None and each.alive() is None
    ]
    assert len(known_results._unwatched) <= known_results._MOST


def test_equal_values_that_are_no_results_keep_their_keys(home):
    assert hash_objects([Box(1)]) == hash_objects([Box(1)])
    assert hash_objects({"\0runyard kept result": "x"}) != hash_objects({"other": "x"})
