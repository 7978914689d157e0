"""What tasks are called with: annotations around mapped arguments, futures in collections, `wait_for`."""

from __future__ import annotations

import collections
import collections.abc
import json
import types

import pytest
from pydantic import BaseModel
from runyard import allow_failure, flow, task, unmapped
from runyard.base.exceptions import (
    MappingLengthMismatch,
    MappingMissingIterable,
    UpstreamTaskError,
)
from runyard.base.markers import opaque, quote


@task
def plus(x, y=1):
    return x + y


@task
def same(x):
    return x


@task
def both(a, b=0):
    return (a, b)


@task
def several(*values, last=None):
    return (values, last)


@task
def fails():
    raise ValueError("bad")


def test_annotations_around_what_is_mapped_and_what_is_not(recorded):
    @flow
    def calls():
        bad = fails.submit()
        ok = same.submit([5, 6])
        one = same.submit(5)
        cases = {
            "failed": both.map([1, 2], allow_failure(bad)),
            "failed by name": both.map([1, 2], b=allow_failure(bad)),
            "failed state": both.map([1, 2], allow_failure(fails(return_state=True))),
            "one": both.map([1, 2], allow_failure(one)),
            "ok": both.map([1, 2], allow_failure(ok)),
            "alone": both.map(allow_failure(ok)),
            "in a list": both.map([allow_failure(bad), 2]),
            "around a list": both.map(allow_failure([bad, 2])),
            "unmapped in it": both.map([1], allow_failure(unmapped(bad))),
            "around unmapped": both.map([1], unmapped(allow_failure(bad))),
            "unmapped list": both.map([1, 2], unmapped(ok)),
            "unmapped state": both.map([1], unmapped(same([7], return_state=True))),
            "state": both.map(same([7, 8], return_state=True)),
            "states": both.map([same(7, return_state=True)]),
            "dict alone": both.map({"x": 1, "y": 2}),
            "dict beside": both.map([1, 2, 3], {"x": 1}),
            "quoted": both.map(quote([1, 2])),
            "opaque": both.map(opaque(ok), [1, 2]),
        }
        with pytest.raises(MappingMissingIterable):
            both.map(allow_failure(bad))
        with pytest.raises(UpstreamTaskError):
            both.map(bad)
        return {name: repr(futures.result()) for name, futures in cases.items()}

    bad = "ValueError('bad')"
    assert calls() == {
        "failed": f"[(1, {bad}), (2, {bad})]",
        "failed by name": f"[(1, {bad}), (2, {bad})]",
        "failed state": f"[(1, {bad}), (2, {bad})]",
        "one": "[(1, 5), (2, 5)]",
        "ok": "[(1, [5, 6]), (2, [5, 6])]",
        "alone": "[(5, 0), (6, 0)]",
        "in a list": f"[({bad}, 0), (2, 0)]",
        "around a list": f"[({bad}, 0), (2, 0)]",
        "unmapped in it": f"[(1, {bad})]",
        "around unmapped": f"[(1, {bad})]",
        "unmapped list": "[(1, [5, 6]), (2, [5, 6])]",
        "unmapped state": "[(1, [7])]",
        "state": "[(7, 0), (8, 0)]",
        "states": "[(7, 0)]",
        "dict alone": "[('x', 0), ('y', 0)]",
        "dict beside": "[(1, {'x': 1}), (2, {'x': 1}), (3, {'x': 1})]",
        "quoted": "[(1, 0), (2, 0)]",
        "opaque": "[(5, 1), (6, 2)]",
    }


def test_positional_arguments_of_any_number_are_mapped_one_by_one(recorded):
    @flow
    def calls():
        return [
            several.map([1, 2], [3, 4]).result(),
            several.map([1, 2]).result(),
            several.map([1, 2], unmapped([3]), 5, last="x").result(),
            several.map([1], last=[2]).result(),
        ]

    assert calls() == [
        [((1, 3), None), ((2, 4), None)],
        [((1,), None), ((2,), None)],
        [((1, [3], 5), "x"), ((2, [3], 5), "x")],
        [((1,), 2)],
    ]


def test_what_else_can_be_iterated_over(recorded, tmp_path):
    class ByIndex:
        def __getitem__(self, at):
            return range(2)[at]

    def breaks():
        yield 1
        raise TypeError("the generator's own trouble")

    path = tmp_path / "lines"
    path.write_text("a\nb\n")

    @flow
    def calls():
        with path.open() as file, pytest.raises(MappingMissingIterable):
            same.map(file)
        with pytest.raises(TypeError, match="own trouble"):
            same.map(breaks())
        return same.map(ByIndex()).result(), plus.map([1, 2], y=1).result()

    assert calls() == ([0, 1], [2, 3])


def test_an_argument_that_equals_the_default_is_mapped_where_it_was_given(recorded):
    empty = ()

    @task
    def takes(a, b=empty):
        return a, b

    @flow
    def calls():
        with pytest.raises(MappingLengthMismatch):
            takes.map([1], empty)
        return takes.map([1]).result()

    assert calls() == [(1, ())]


class Labelled(list):
    label = "none"


class Own(collections.abc.Sequence):
    def __init__(self, items):
        self.items = list(items)

    def __getitem__(self, at):
        return self.items[at]

    def __len__(self):
        return len(self.items)


class Store(collections.abc.Mapping):
    """As mappings over files in an object store are: made of an address, and slow to read."""

    reads = 0

    def __init__(self, address, depth):
        self.address = address

    def __getitem__(self, key):
        Store.reads += 1
        return key

    def __iter__(self):
        return iter(("a", "b"))

    def __len__(self):
        return 2


def test_futures_in_every_kind_of_collection(recorded):
    class Model(BaseModel):
        model_config = {"extra": "allow"}
        a: object = None

    @flow
    def calls():
        one = same.submit(1)
        labelled = Labelled([one])
        labelled.label = "mine"
        given = [
            collections.deque([one], maxlen=3), collections.OrderedDict(k=one),
            collections.defaultdict(list, k=one), types.MappingProxyType({"k": one}), labelled,
            collections.ChainMap({"k": one}), collections.UserDict(k=one), collections.UserList([one]),
            Own([one]), {one: one}, {(one, 2): 3}, Model(a=one, more=[one]),
        ]  # fmt: skip
        got = same(given)
        assert given[0][0] is one  # what the caller has stays as it is
        assert given[6]["k"] is one
        assert given[11].more == [one]
        return got

    got = calls()
    assert got[0] == collections.deque([1])
    assert got[0].maxlen == 3
    assert got[1] == collections.OrderedDict(k=1)
    assert (got[2], got[2].default_factory) == ({"k": 1}, list)
    assert (got[4], got[4].label) == ([1], "mine")
    assert [dict(got[at]) for at in (1, 3, 5, 6)] == [{"k": 1}] * 4
    assert [type(item) for item in got[3:9]] == [
        types.MappingProxyType, Labelled, collections.ChainMap, collections.UserDict, collections.UserList,
        Own,
    ]  # fmt: skip
    assert list(got[7]) == list(got[8]) == [1]
    assert got[9:11] == [{1: 1}, {(1, 2): 3}]
    assert (got[11].a, got[11].more) == (1, [1])


def test_a_mapping_that_cannot_be_made_again_is_not_read(recorded):
    store = Store("s3://bucket", 1)

    @flow
    def calls():
        return same(store), same.submit(store).result()

    assert calls() == (store, store)
    assert Store.reads == 0


def test_every_form_of_wait_for(recorded):
    @flow
    def inner():
        return "ran"

    @flow
    def calls():
        bad, ok = fails.submit(), same.submit(1)
        ran = []
        for given in (ok, {"a": ok}, [[ok], 5, None], (each for each in [ok]), [allow_failure(bad)], "abc"):
            ran.append((same(1, wait_for=given), same.submit(2, wait_for=given).result()))
        ran.append(inner(wait_for=ok))
        for given in (bad, {"a": bad}, [[bad]], {"a": [bad]}, fails(return_state=True), [{"a": (bad,)}]):
            assert same.submit(1, wait_for=given, return_state=True).name == "NotReady"
            for runs in (same, inner):
                with pytest.raises(UpstreamTaskError):
                    runs(*([1] if runs is same else []), wait_for=given)
        return ran

    assert calls() == [(1, 2)] * 6 + ["ran"]


def test_where_inputs_came_from_is_recorded_by_parameter(recorded):
    @task
    def outer(a, *rest, b=None):
        return same(3)

    @flow
    def calls():
        one, two, first = same.submit(1), same.submit(2), same.submit(0)
        outer.submit(one, two, [one], b={"k": two}, wait_for=[first]).wait()
        return [future.task_run_id for future in (one, two, first)]

    one, two, first = ({"input_type": "task_run", "id": each} for each in calls())
    (run,) = recorded.task_runs("outer")
    assert json.loads(run["task_inputs"]) == {"wait_for": [first], "a": [one], "rest": [two, one], "b": [two]}
    inside = [json.loads(each["task_inputs"]) for each in recorded.task_runs("same")]
    assert {"__parents__": [{"input_type": "task_run", "id": run["id"]}]} in inside


def test_where_the_inputs_of_a_subflow_came_from_is_recorded_by_parameter(recorded):
    @flow
    def below(a, b, c=0):
        return a, b, c

    @task
    def caller(future, *, first):
        return below(5, 6)

    @flow
    def calls():
        one, two, first = same.submit(1), same.submit(2), same.submit(0)
        assert below(one, {"k": [two]}, wait_for=[first]) == (1, {"k": [2]}, 0)
        caller(one, first=first)
        return [future.task_run_id for future in (one, two, first)]

    one, two, first = ({"input_type": "task_run", "id": each} for each in calls())
    (around,) = recorded.task_runs("caller")
    found = [json.loads(each["task_inputs"]) for each in recorded.task_runs("below")]
    assert {"wait_for": [first], "a": [one], "b": [two]} in found
    assert {"__parents__": [{"input_type": "task_run", "id": around["id"]}]} in found
