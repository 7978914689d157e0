"""Values nested deeper than the stack: a run takes and returns them, whether or not they can be recorded."""

from __future__ import annotations

import pytest
from runyard import flow, task

DEPTH = 5_000


def nested(kind):
    """A value of so many levels."""
    value = {} if kind == "dict" else []
    for _ in range(DEPTH):
        value = {"in": value} if kind == "dict" else [value]
    return value


@task
def plain(value, other=None):
    return other


@task(persist_result=True)
def kept(value):
    return 1


@task
def given(kind):
    return nested(kind)


@task(persist_result=True)
def given_and_kept(kind):
    return nested(kind)


@flow
def taking(value):
    return 1


@pytest.fixture(params=["list", "dict"])
def deep(request):
    return nested(request.param)


def test_tasks_take_them(recorded, deep):
    @flow
    def main():
        return [
            plain(deep, other=1),
            plain.submit(deep, other=1).result(),
            *plain.map([deep, deep], other=1).result(),
            kept(deep),
            plain.submit(1, other=1, wait_for=[deep]).result(),
            taking(deep),
        ]

    assert main() == [1] * 7
    assert {run["state_type"] for run in recorded.flow_runs() + recorded.task_runs()} == {"COMPLETED"}


def test_flows_take_them(recorded, deep):
    assert taking(deep) == 1
    (run,) = recorded.flow_runs()
    assert run["state_type"] == "COMPLETED"


@pytest.mark.parametrize("kind", ["list", "dict"])
def test_tasks_and_flows_return_them(recorded, kind):
    @flow
    def main():
        values = [given(kind), given.submit(kind).result(), given_and_kept(kind)]
        return [type(value).__name__ for value in values]

    @flow(persist_result=True)
    def returning():
        return nested(kind)

    assert main() == [kind] * 3
    assert type(returning()).__name__ == kind
    assert {run["state_type"] for run in recorded.flow_runs() + recorded.task_runs()} == {"COMPLETED"}


def test_futures_beside_them_are_found(recorded, deep):
    @flow
    def main():
        future = given.submit("list")
        first, _, last = [plain.submit(1, other=[future, deep, future]).result(), None, plain(deep, future)]
        return [type(first[0]).__name__, type(first[2]).__name__, first[1] is deep, type(last).__name__]

    assert main() == ["list", "list", True, "list"]
