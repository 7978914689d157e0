"""Methods: the object that a task or a flow is bound to belongs to its keys and names."""

from __future__ import annotations

import dataclasses
import functools
import json
import threading

import pytest
from runyard import flow, task
from runyard.engine import runtime
from runyard.engine.cache_policies import DEFAULT, FLOW_PARAMETERS, INPUTS, RUN_ID
from runyard.engine.task_runners import ProcessPoolTaskRunner

pytestmark = pytest.mark.usefixtures("home")


@dataclasses.dataclass
class Scale:
    factor: int
    rate = 1

    @task(persist_result=True)
    def times(self, x):
        return self.factor * x

    @task(cache_policy=INPUTS)
    def inputs(self, x):
        return self.factor * x

    @task(cache_policy=INPUTS)
    async def later(self, x):
        return self.factor * x

    @task(cache_policy=INPUTS - "self")
    def without(self, x):
        return self.factor * x

    @task(cache_key_fn=lambda context, parameters: f"{parameters['self'].factor}-{parameters['x']}")
    def by_function(self, x):
        return self.factor * x

    @task(result_storage_key="{parameters[self].factor}-{x}-{self.factor}")
    def by_template(self, x):
        return self.factor * x

    @task(task_run_name="{self.factor}-{x}")
    def named(self, x):
        return runtime.task_run.name, sorted(runtime.task_run.parameters)

    @task(task_run_name=lambda parameters: f"{parameters['self'].factor}")
    def named_by_function(self, x):
        return runtime.task_run.name

    @classmethod
    @task(cache_policy=INPUTS, task_run_name="{cls.__name__}-{x}")
    def of_class(cls, x):
        return cls.__name__, runtime.task_run.name

    @task
    @classmethod
    def of_class_too(cls, x):
        return cls.__name__

    @flow(flow_run_name="{self.factor}-{x}")
    def child(self, x: int):
        return runtime.flow_run.name, sorted(runtime.flow_run.parameters), of_flow()


class Half(Scale):
    pass


@task(cache_policy=FLOW_PARAMETERS)
def of_flow():
    return runtime.flow_run.name


def in_flow(body, **options):
    return flow(body, name="main", **options)()


@pytest.mark.parametrize("name", ["times", "inputs", "by_function", "by_template"])
def test_another_object_has_another_value(name):
    def body():
        two, three = getattr(Scale(2), name), getattr(Scale(3), name)
        assert (two(10), three(10), two(10)) == (20, 30, 20)
        assert (two.submit(10).result(), three.submit(10).result()) == (20, 30)
        assert (two.map([10, 11]).result(), three.map([10, 11]).result()) == ([20, 22], [30, 33])
        assert getattr(Scale, name)(Scale(3), 10) == 30
        assert three(10, return_state=True).name == "Cached"

    in_flow(body)


def test_an_object_that_was_changed_is_another_one():
    scale = Scale(2)

    def body():
        before = scale.inputs(10)
        scale.factor = 3
        return before, scale.inputs(10)

    assert in_flow(body) == (20, 30)


def test_an_async_method():
    async def body():
        return await Scale(2).later(10), await Scale(3).later(10), Scale(4).later.submit(10).result()

    import asyncio

    assert asyncio.run(flow(body, name="main")()) == (20, 30, 40)


def test_the_object_can_be_left_out():
    assert in_flow(lambda: (Scale(2).without(10), Scale(3).without(10))) == (20, 20)


def test_class_methods_of_a_subclass():
    def body():
        found = [Scale.of_class(1), Half.of_class(1), Scale(1).of_class.submit(1).result()]
        return [*found, *Half.of_class.map([1]).result()]

    scale, half = ("Scale", "Scale-1"), ("Half", "Half-1")
    assert in_flow(body) == [scale, half, scale, half]
    both = in_flow(lambda: (Scale.of_class_too(1), Half.of_class_too(1)), persist_result=True)
    assert both == ("Scale", "Half")


def test_a_method_of_a_subclass_that_was_not_overridden():
    assert in_flow(lambda: (Scale(2).inputs(1), type(Half(2)).__name__, Half(2).inputs(1))) == (2, "Half", 2)
    # The same value, yet not the same key: the method may ask for its class.
    states = in_flow(lambda: [kind(7).inputs(1, return_state=True) for kind in (Scale, Half)])
    assert [state.name for state in states] == ["Completed", "Completed"]


def test_names_of_runs():
    def body():
        assert Scale(2).named(1) == ("2-1", ["self", "x"])
        assert Scale(3).named.submit(1).result() == ("3-1", ["self", "x"])
        assert Scale(4).named_by_function(1) == "4"

    in_flow(body)
    assert Scale(5).child(1) == ("5-1", ["self", "x"], "5-1")


def test_a_flow_is_known_by_its_object(recorded):
    assert [Scale(factor).child(1)[2] for factor in (2, 3)] == ["2-1", "3-1"]
    stored = [json.loads(run["parameters"]) for run in recorded.flow_runs("child")]
    assert stored == [{"x": 1}, {"x": 1}]


def test_kept_flows_of_two_objects(recorded):
    tries = []

    def body():
        tries.append(1)
        found = [Scale(factor).child(1)[0] for factor in ((2, 3), (3, 2))[len(tries) - 1]]
        if len(tries) == 1:
            raise ConnectionError
        return found

    assert in_flow(body, persist_result=True, retries=1) == ["3-1", "2-1"]
    last = recorded.flow_runs("child")[2:]
    assert [json.loads(run["state"])["name"] for run in last] == ["Cached", "Cached"]


def test_an_object_without_a_key_is_not_cached(caplog):
    class Locked:
        def __init__(self, value):
            self.lock, self.value = threading.Lock(), value

        @task(cache_policy=INPUTS)
        def get(self):
            return self.value

        @task(cache_policy=DEFAULT - "self")
        def known(self):
            return self.value

    assert in_flow(lambda: (Locked(1).get(), Locked(2).get())) == (1, 2)
    lines = [record.getMessage() for record in caplog.records if "No cache key" in record.getMessage()]
    assert len(lines) == 2
    assert "cannot pickle '_thread.lock' object" in lines[0]
    assert in_flow(lambda: (Locked(1).known(), Locked(2).known())) == (1, 1)


class Step:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, x):
        return self.factor * x

    def method(self, x):
        return self.factor * x


def scaled(factor):
    @task(persist_result=True)
    def inner(x):
        return factor * x

    return inner


def decorated(factor):
    def decorate(fn):
        @functools.wraps(fn)
        def wrapper(x):
            return factor * fn(x)

        return wrapper

    @task(persist_result=True)
    @decorate
    def inner(x):
        return x

    return inner


def product(x, factor):
    return factor * x


def kept(fn, **options):
    return task(fn, name="same", persist_result=True, **options)


MAKERS = {
    "closure": scaled,
    "closure over a dict": lambda factor: (lambda held: kept(lambda x: held["k"] * x))({"k": factor}),
    "closure over an object": lambda factor: (lambda held: kept(lambda x: held.factor * x))(Step(factor)),
    "decorator": decorated,
    "partial": lambda factor: kept(functools.partial(product, factor=factor)),
    "callable": lambda factor: kept(Step(factor)),
    "method": lambda factor: kept(Step(factor).method),
    "partial of a method": lambda factor: kept(functools.partial(Step(factor).method)),
    "code": lambda factor: kept(eval(f"lambda x: {factor} * x")),
}


@pytest.mark.parametrize("name", MAKERS)
def test_functions_of_one_source_are_not_taken_for_each_other(name):
    def body():
        two, three = MAKERS[name](2), MAKERS[name](3)
        found = two(5), three(5), three.submit(5).result()
        return (*found, MAKERS[name](3)(5, return_state=True).name)

    assert in_flow(body) == (10, 15, 15, "Cached")


def test_lambdas_on_one_line():
    one, other = kept(lambda x: x + 1), kept(lambda x: x + 2)
    assert in_flow(lambda: (one(1), other(1))) == (2, 3)


def test_what_a_task_appends_to_is_no_other_task_afterwards():
    ran = []

    def body():
        @task(cache_policy=DEFAULT)
        def work(x):
            ran.append(x)
            return x

        work(1)
        if len(ran) == 1 and not failed:
            failed.append(1)
            raise ConnectionError

    failed = []
    in_flow(body, retries=1)
    assert ran == [1]


def test_a_file_that_was_edited_meanwhile_does_not_name_the_old_code(tmp_path, monkeypatch):
    import importlib
    import os
    import time

    monkeypatch.syspath_prepend(str(tmp_path))
    text = "from runyard import task\n\n@task(cache_policy='RATE')\ndef rate():\n    return 1\n"
    text = text.replace("cache_policy='RATE'", "persist_result=True, cache_policy=TASK_SOURCE")
    text = "from runyard.engine.cache_policies import TASK_SOURCE\n" + text
    file = tmp_path / "edited_module.py"
    file.write_text(text)
    module = importlib.import_module("edited_module")
    file.write_text(text.replace("return 1", "return 2"))
    later = time.time() + 10
    os.utime(file, (later, later))
    assert in_flow(lambda: module.rate()) == 1
    os.utime(file, (1e9, 1e9))
    importlib.invalidate_caches()
    assert in_flow(lambda: importlib.reload(module).rate()) == 2


def test_parameters_called_like_parts_of_the_template():
    @task(result_storage_key="{parameters[parameters]}-{parameters[flow_run]}")
    def work(parameters, flow_run):
        return parameters, flow_run

    assert in_flow(lambda: (work(1, 2), work(2, 2))) == ((1, 2), (2, 2))


def held(x):
    return Scale(x)


@task(cache_policy=FLOW_PARAMETERS)
def elsewhere():
    return runtime.flow_run.name


class Sender:
    def __init__(self, name, lock=None):
        self.name, self.lock = name, lock

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
    def send(self):
        return elsewhere.submit().result(), runtime.flow_run.name


def test_flow_parameters_in_another_process():
    for sender in (Sender("a"), Sender("b"), Sender("c", threading.Lock()), Sender("d", threading.Lock())):
        there, here = sender.send()
        assert there == here, sender.name


def test_run_ids_alone_need_no_object():
    class Locked:
        def __init__(self):
            self.lock = threading.Lock()

        @task(cache_policy=RUN_ID)
        def get(self):
            return 1

    names = in_flow(lambda: [Locked().get(return_state=True).name for _ in range(2)])
    assert names == ["Completed", "Cached"]
