"""Drawing flows: which calls need which, without running any task."""

import asyncio
import re
from xml.etree import ElementTree

import pytest
from runyard import flow, get_run_logger, task, unmapped
from runyard.base.errors import InvalidInput, ParameterError
from runyard.client import LocalClient
from runyard.operations.flow_runs.flow_runs import filter_flow_runs
from runyard.operations.schemas import Listing
from runyard.sdk.visualization.drawing import FlowVisualizationError, VisualizationError


@pytest.fixture(autouse=True)
def folder(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def never(*_args):
    raise AssertionError("a task was run while its flow was drawn")


@task
def load(name="x"):
    never()


@task
def clean(data):
    never()


@task
def store(*data, **more):
    never()


@task(viz_return_value=[1, 2])
def rows():
    never()


@task(viz_return_value=3)
def number():
    never()


def edges(drawn, *args, **kwargs):
    return set(drawn.visualize(*args, **kwargs).edges)


def test_a_chain_is_drawn_and_nothing_is_run(folder):
    @flow(name="chain")
    def chain(name):
        return store(clean(load(name)))

    drawing = chain.visualize("a")
    assert [node.name for node in drawing.nodes] == ["load-0", "clean-0", "store-0"]
    assert drawing.edges == [("load-0", "clean-0"), ("clean-0", "store-0")]
    assert LocalClient().call(filter_flow_runs, Listing()) == []
    assert drawing.path == "chain.svg"
    root = ElementTree.fromstring((folder / "chain.svg").read_text())
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert sorted(texts) == ["clean-0", "load-0", "store-0"]


def test_submit_map_wait_for_and_collections():
    @flow
    def wide():
        first, second = load.submit("a"), load.submit("b", wait_for=[])
        both = clean.submit({"all": [first, (second,)]})
        many = clean.map([1, 2, 3], wait_for=[first])
        store.submit(both.result(), more=many.result())
        store.submit(1, wait_for=[both, *many])

    assert edges(wide) == {
        ("load-0", "clean-0"),
        ("load-1", "clean-0"),
        ("load-0", "clean-1"),
        ("clean-0", "store-0"),
        ("clean-1", "store-0"),
        ("clean-0", "store-1"),
        ("clean-1", "store-1"),
    }


def test_a_mapped_task_is_one_node_that_says_how_often():
    @flow
    def fan():
        return store.map(clean.map(range(5)), unmapped(load()))

    drawing = fan.visualize()
    assert [node.label for node in drawing.nodes] == ["clean-0 (×5)", "load-0", "store-0 (×5)"]
    assert set(drawing.edges) == {("clean-0", "store-0"), ("load-0", "store-0")}


def test_viz_return_value_lets_the_flow_decide():
    @flow
    def decides():
        for row in rows():
            store(row)
        if number() > 2:
            clean(number())

    drawing = decides.visualize()
    assert [node.name for node in drawing.nodes] == [
        "rows-0", "store-0", "store-1", "number-0", "number-1", "clean-0",
    ]  # fmt: skip
    # Small numbers are one object wherever they occur, and still the right call is meant.
    assert ("number-1", "clean-0") in drawing.edges
    assert ("number-0", "clean-0") not in drawing.edges


def test_two_calls_with_the_same_value_are_told_apart():
    @flow
    def twice():
        first, second = rows(), rows()
        store(second)
        clean(first)

    assert edges(twice) == {("rows-1", "store-0"), ("rows-0", "clean-0")}


def test_placeholders_can_be_taken_apart_and_calculated_with():
    @flow
    def parts():
        loaded = load()
        clean(loaded["rows"].head(3))
        store(1 + loaded.count * 2, text=f"{loaded}")

    assert edges(parts) == {("load-0", "clean-0"), ("load-0", "store-0")}


@pytest.mark.parametrize(
    "use",
    [bool, list, len, int, float, lambda value: 1 in value, lambda value: value > 3 and True, range],
)
def test_a_value_that_is_needed_is_asked_for(use):
    @flow(name="needs")
    def needs():
        use(load())

    with pytest.raises(VisualizationError, match=r"'needs' cannot be drawn.*load-0.*viz_return_value"):
        needs.visualize()


def test_other_errors_say_what_happened():
    @flow
    def breaks():
        raise KeyError("gone")

    with pytest.raises(FlowVisualizationError, match="KeyError"):
        breaks.visualize()
    with pytest.raises(ParameterError):
        breaks.visualize(1)


def test_async_flows_and_tasks():
    @task
    async def fetch(n):
        never()

    @flow
    async def gathers():
        found = await asyncio.gather(fetch(1), fetch(2))
        sub = fetch.submit(3)
        return await fetch([found, sub])

    expected = {("fetch-0", "fetch-3"), ("fetch-1", "fetch-3"), ("fetch-2", "fetch-3")}
    assert edges(gathers) == expected

    async def main():
        return await gathers.visualize()

    assert set(asyncio.run(main()).edges) == expected


def test_a_subflow_is_a_node():
    @flow
    def inner(data):
        never()

    @flow
    def outer():
        return store(inner(load()))

    drawing = outer.visualize()
    assert [node.kind for node in drawing.nodes] == ["task", "flow", "task"]
    assert drawing.edges == [("load-0", "inner-0"), ("inner-0", "store-0")]


def test_states_loggers_and_background_tasks():
    @flow
    def mixed():
        get_run_logger().info("drawn")
        state = load(return_state=True)
        clean(state)
        store(clean.delay(state.result()))

    assert edges(mixed) == {("load-0", "clean-0"), ("load-0", "clean-1"), ("clean-1", "store-0")}


def test_mermaid(folder):
    @flow(name="text")
    def chain():
        clean.map(load())

    drawing = chain.visualize(format="mermaid")
    lines = str(drawing).splitlines()
    assert lines[0] == "flowchart TD"
    assert '    n0["load-0"]' in lines
    assert "    n0 --> n1" in lines
    assert list(folder.glob("*.*")) == []
    chain.visualize(path="graph.mmd")
    assert (folder / "graph.mmd").read_text() == str(drawing)


def test_parameters_of_the_flow_come_first():
    @flow
    def own(path, format="csv"):
        store(path, format)

    drawing = own.visualize(path="in.csv")
    assert drawing.path == "own.svg"
    with pytest.raises(InvalidInput, match="png"):
        flow(lambda: None, name="x").visualize(format="png")


def test_no_edge_of_a_picture_points_up():
    @flow
    def net():
        layer = [load(at) for at in range(4)]
        for _ in range(3):
            layer = [clean((layer[at], layer[at - 1])) for at in range(4)]
        store(*layer)

    drawing = net.visualize()
    paths = re.findall(r"M[\d.]+,([\d.]+) C.* [\d.]+,([\d.]+)\" marker", drawing.svg)
    assert len(paths) == len(drawing.edges) == 28
    assert all(float(start) < float(end) for start, end in paths)


def test_drawing_leaves_calls_elsewhere_alone():
    @task
    def real():
        return 1

    @flow
    def drawn():
        real()

    drawn.visualize()
    assert real() == 1
