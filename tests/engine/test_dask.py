"""Dask as task runner, on a real local cluster."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import warnings

import pytest
from runyard import allow_failure, flow, get_run_logger, task
from runyard.base.errors import MissingExtra
from runyard.compat import imports
from runyard.engine import runtime
from runyard.engine.task_runners import DaskTaskRunner

distributed = pytest.importorskip("distributed", reason="the extra `dask` is not installed")
# Dask's own threads close their sockets when they are collected.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def cluster():
    """One cluster of two processes for all tests of this file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50
        ) as made:
            yield made


@task
def where(_x=None):
    return os.getpid()


@task
def plus(x, y=1):
    return x + y


@task
async def aplus(x):
    await asyncio.sleep(0.001)
    return x + 1


@task
def breaks():
    raise ValueError("broken there")


@flow
def inner(x: int):
    return plus(x)


@task(log_prints=True)
def works_inside(x):
    print("printed there")
    get_run_logger().info("logged there")
    return [future.result() for future in plus.map([x, x])], inner(x), runtime.flow_run.name


def test_tasks_run_on_the_cluster(recorded, cluster):
    @flow(task_runner=DaskTaskRunner(address=cluster.scheduler_address), flow_run_name="outermost")
    def calls():
        assert os.getpid() not in set(where.map(range(8)).result())
        first = plus.submit(1)
        assert aplus.submit(plus.submit(x=first, y=[first, 2][1])).result() == 5
        failed = breaks.submit()
        with pytest.raises(ValueError, match="broken there"):
            failed.result()
        late = plus.submit(1, wait_for=[failed])
        late.wait()
        where.submit(allow_failure(failed)).result()
        return works_inside.submit(1).result(), late.state.name

    assert calls() == (([2, 2], 2, "outermost"), "NotReady")
    names = {run["name"]: run["state_name"] for run in recorded.task_runs()}
    assert names.pop("breaks-0") == "Failed"
    assert sorted(names.values()).count("NotReady") == 1
    assert set(names.values()) == {"Completed", "NotReady"}
    assert {"printed there", "logged there"} <= set(recorded.logs())
    assert {run["state_name"] for run in recorded.flow_runs()} == {"Completed"}


def test_an_async_flow_on_the_cluster(recorded, cluster):
    @flow(task_runner=DaskTaskRunner(cluster.scheduler_address))
    async def calls():
        return aplus.submit(plus.submit(1)).result(), plus.map([1, 2]).result()

    assert asyncio.run(calls()) == (3, [2, 3])


def test_a_task_whose_workers_die_is_crashed(recorded):
    @task
    def dies():
        os.kill(os.getpid(), signal.SIGKILL)

    options = {"n_workers": 1, "threads_per_worker": 1, "silence_logs": 50}

    @flow(task_runner=DaskTaskRunner(cluster_kwargs=options, client_kwargs={"timeout": "120s"}))
    def calls():
        import dask

        with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
            lost = dies.submit()
            lost.wait()
        return lost.state.is_crashed(), lost.state.message

    crashed, message = calls()
    assert crashed
    assert "Dask gave it up" in message
    assert recorded.task_runs("dies")[0]["state_name"] == "Crashed"


def test_a_cluster_is_made_and_closed_with_the_run(recorded):
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "silence_logs": 50}
    runner = DaskTaskRunner(cluster_class="distributed.LocalCluster", cluster_kwargs=options)

    @flow(task_runner=runner)
    def calls():
        from runyard.engine.context import FlowRunContext

        found = plus.map([1, 2]).result()
        return found, FlowRunContext.get().task_runner

    found, used = calls()
    assert found == [2, 3]
    assert used is not runner
    assert used._cluster is None


def test_what_does_not_go_together():
    with pytest.raises(ValueError, match="names a cluster that exists"):
        DaskTaskRunner(address="tcp://127.0.0.1:1", cluster_kwargs={"n_workers": 1})


def test_without_the_extra(recorded, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)

    @flow(task_runner=DaskTaskRunner())
    def calls():
        return plus.submit(1)

    with pytest.raises(MissingExtra, match=r"runyard\[dask\]"):
        calls()


def test_the_names_of_prefect_dask(home):
    imports.uninstall()
    try:
        assert imports.install(deployed=True)
        from prefect_dask import DaskTaskRunner as Aliased
        from prefect_dask.task_runners import DaskTaskRunner as Deeper

        assert Aliased is Deeper is DaskTaskRunner
    finally:
        imports.uninstall()
