"""Serving deployments: their runs start from the process that serves them, on request and on schedule."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from runyard import flow
from runyard.base.errors import EntrypointError, InvalidInput, NotFound, ParameterError
from runyard.base.markers import freeze
from runyard.client import LocalClient
from runyard.deployments import local_flows
from runyard.operations.deployments.deployments import DeploymentFlowRunCreate, find_deployment
from runyard.operations.flow_runs.create_deployment_run import create_flow_run_from_deployment
from runyard.operations.flow_runs.flow_runs import filter_flow_runs, read_flow_run
from runyard.operations.schemas import Listing
from runyard.workers.serve_from_python import Runner, aserve, serve

WAIT_SECONDS = 60

SERVED = """
import os, sys, time
from runyard import flow

def note(text):
    with open("notes", "a") as file:
        file.write(f"{text} {os.getpid()} {os.getppid()}\\n")

@flow(log_prints=True)
def work(name: str = "plain", wait: bool = False):
    print("hello", name)
    note(f"start-{name}")
    while wait and not os.path.exists("release"):
        time.sleep(0.01)
    note(f"end-{name}")
    return name

@flow
def other():
    note("other")

if __name__ == "__main__":
    from runyard.workers.serve_from_python import serve
    if sys.argv[1] == "plain":
        work.serve(name="served", limit=1)
    elif sys.argv[1] == "interval":
        work.serve(name="served", interval=1, parameters={"name": "timed"})
    elif sys.argv[1] == "keep":
        work.serve(name="served", cron="0 0 1 1 *", pause_on_shutdown=False)
    else:
        serve(work.to_deployment("one"), other.to_deployment("two"))
"""


def until(condition):
    deadline = time.monotonic() + WAIT_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return value


class Yard:
    """A script that serves its flows, and what they note."""

    def __init__(self, folder):
        self.folder, self.process, self.client = folder, None, LocalClient()

    def serve(self, how):
        with open(self.folder / "out", "w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "served.py", how],
                cwd=self.folder,
                env={**os.environ, "RUNYARD_WORKER_LEASE_SECONDS": "2", "PYTHONUNBUFFERED": "1"},
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until(lambda: "being served" in self.said() or self.process.poll() is not None)
        assert self.process.poll() is None, self.said()

    def said(self):
        return (self.folder / "out").read_text()

    def stop(self):
        """Ctrl-C, as the terminal sends it: to the whole group."""
        os.killpg(self.process.pid, signal.SIGINT)
        assert self.process.wait(WAIT_SECONDS) == 0, self.said()

    def notes(self, kind):
        path = self.folder / "notes"
        lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [int(pid) for text, pid, _ in lines if text == kind]

    def deployment(self, name):
        return self.client.call(find_deployment, name)

    def run(self, deployment="work/served", **parameters):
        body = DeploymentFlowRunCreate(parameters=parameters)
        return self.client.call(create_flow_run_from_deployment, self.deployment(deployment).id, body).id

    def ended(self, run_id):
        def over():
            run = self.client.call(read_flow_run, run_id)
            return run if run.state.to_state().is_final() else None

        return until(over)

    def clean_up(self):
        (self.folder / "release").touch()
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@pytest.fixture
def yard(home, tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "served.py").write_text(SERVED)
    yard = Yard(folder)
    yield yard
    yard.clean_up()


def test_a_run_that_is_asked_for_starts_in_a_child_process(yard):
    yard.serve("plain")
    done = subprocess.run(
        [
            sys.executable, "-m", "runyard_cli.main", "deployment", "run", "work/served",
            "--param", "name=asked", "--watch",
        ],
        cwd=yard.folder, capture_output=True, text=True, timeout=WAIT_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr + yard.said()
    (pid,) = yard.notes("start-asked")
    assert pid != yard.process.pid
    yard.stop()
    assert "The schedules of work/served are paused" in yard.said()
    assert yard.deployment("work/served").paused
    assert yard.deployment("work/served").work_pool_name is None


def test_schedules_fire_without_a_worker_and_pause_with_ctrl_c(yard):
    yard.serve("interval")
    until(lambda: len(yard.notes("end-timed")) >= 2)
    yard.stop()
    deployment = yard.deployment("work/served")
    assert deployment.paused
    assert [each.next_due for each in deployment.schedules] == [None]
    runs = yard.client.call(filter_flow_runs, Listing())
    assert {run.state_name for run in runs} == {"Completed"}
    yard.serve("interval")
    assert not yard.deployment("work/served").paused
    count = len(yard.notes("end-timed"))
    until(lambda: len(yard.notes("end-timed")) > count)
    yard.stop()


def test_no_more_runs_at_a_time_than_the_limit(yard):
    yard.serve("plain")
    runs = [yard.run(name=name, wait=True) for name in ("a", "b")]
    until(lambda: yard.notes("start-a"))
    assert yard.notes("start-b") == []
    (yard.folder / "release").touch()
    assert [yard.ended(run).state_name for run in runs] == ["Completed", "Completed"]


def test_ctrl_c_lets_runs_finish(yard):
    yard.serve("plain")
    run = yard.run(name="a", wait=True)
    until(lambda: yard.notes("start-a"))
    os.killpg(yard.process.pid, signal.SIGINT)
    until(lambda: "may finish" in yard.said())
    (yard.folder / "release").touch()
    assert yard.process.wait(WAIT_SECONDS) == 0
    assert yard.ended(run).state_name == "Completed"


def test_pausing_can_be_left_out(yard):
    yard.serve("keep")
    yard.stop()
    deployment = yard.deployment("work/served")
    assert not deployment.paused
    assert deployment.schedules[0].next_due is not None


def test_several_deployments_in_one_process(yard):
    yard.serve("several")
    first, second = yard.run("work/one"), yard.run("other/two")
    assert yard.ended(first).state_name == "Completed"
    assert yard.ended(second).state_name == "Completed"
    assert len(yard.notes("other")) == 1


def test_a_killed_server_leaves_no_run_behind(yard):
    yard.serve("plain")
    run = yard.run(name="a", wait=True)
    (pid,) = until(lambda: yard.notes("start-a"))
    os.kill(yard.process.pid, signal.SIGKILL)
    yard.process.wait()
    # Runs load this file, where there is no folder of the tests.
    from _yard import is_gone

    until(lambda: is_gone(pid))
    assert yard.client.call(read_flow_run, run).state_name == "Running"
    # Whoever serves next brings it to its end.
    yard.serve("plain")
    assert yard.ended(run).state_name == "Crashed"


@flow
def here(name: str = "x"):
    return name


def test_serving_from_a_thread_ends_by_its_stop(home):
    loops = []
    deployment = here.to_deployment("threaded")
    thread = threading.Thread(
        target=lambda: serve(deployment, print_starting_message=False, on_start=loops.append)
    )
    thread.start()
    until(lambda: loops)
    client = LocalClient()
    deployment_id = client.call(find_deployment, "here/threaded").id
    run = client.call(create_flow_run_from_deployment, deployment_id, DeploymentFlowRunCreate())
    until(lambda: client.call(read_flow_run, run.id).state_name == "Completed")
    loops[0].stop()
    thread.join(WAIT_SECONDS)
    assert not thread.is_alive()


def test_aserve_is_ended_by_cancelling_it(home):
    client = LocalClient()

    async def main():
        deployment = await here.to_deployment("awaited")
        work = asyncio.create_task(aserve(deployment, pause_on_shutdown=False))
        while True:
            try:
                deployment_id = client.call(find_deployment, "here/awaited").id
                break
            except NotFound:
                await asyncio.sleep(0.02)
        run = client.call(create_flow_run_from_deployment, deployment_id, DeploymentFlowRunCreate())
        while client.call(read_flow_run, run.id).state_name != "Completed":
            await asyncio.sleep(0.02)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    asyncio.run(asyncio.wait_for(main(), WAIT_SECONDS))
    assert not client.call(find_deployment, "here/awaited").paused


def test_what_cannot_be_served_is_refused(home):
    with pytest.raises(InvalidInput, match="nothing to serve"):
        serve()
    with pytest.raises(InvalidInput, match="to_deployment"):
        serve(here)
    with pytest.raises(InvalidInput, match="below 1"):
        here.serve("x", limit=0)

    @flow
    def inner():
        pass

    with pytest.raises(EntrypointError, match="inside a function"):
        inner.to_deployment("x", work_pool_name="local").to_apply()
    with pytest.raises(EntrypointError, match="inside a function"):
        local_flows.load(inner.to_deployment("x").entrypoint)

    @flow
    def holds():
        return lock

    lock = threading.Lock()
    with pytest.raises(EntrypointError, match="cannot be handed to its runs"):
        holds.serve("x")


def test_a_flow_defined_inside_a_function_is_served(home, tmp_path):
    def made(word):
        @flow
        def inner(times: int = 1):
            (tmp_path / "said").write_text(word * times)

        return inner

    runner = Runner()
    runner.add_deployment(made("ho").to_deployment("nested", parameters={"times": freeze(3)}))
    thread = threading.Thread(target=runner.start)
    thread.start()
    client = LocalClient()

    def asked():
        try:
            return client.call(find_deployment, "inner/nested").id
        except NotFound:
            return None

    four = DeploymentFlowRunCreate(parameters={"times": 4})
    deployment_id = until(asked)
    with pytest.raises(ParameterError, match="times"):
        client.call(create_flow_run_from_deployment, deployment_id, four)
    run = client.call(create_flow_run_from_deployment, until(asked), DeploymentFlowRunCreate())
    until(lambda: client.call(read_flow_run, run.id).state_name == "Completed")
    runner.stop()
    thread.join(WAIT_SECONDS)
    assert (tmp_path / "said").read_text() == "hohoho"
    assert "RUNYARD__SERVED_FLOWS" not in os.environ


def test_a_frozen_parameter_has_a_json_form():
    with pytest.raises(ValueError, match="JSON"):
        freeze(object())


def test_a_runner_serves_what_is_added(home):
    runner = Runner(limit=1, pause_on_shutdown=False)
    runner.add_flow(here, name="added", interval=3600)
    runner.add_deployment(here.to_deployment("second"))
    thread = threading.Thread(target=runner.start)
    thread.start()
    client = LocalClient()

    def asked():
        try:
            return client.call(find_deployment, "here/second").id
        except NotFound:
            return None

    run = client.call(create_flow_run_from_deployment, until(asked), DeploymentFlowRunCreate())
    until(lambda: client.call(read_flow_run, run.id).state_name == "Completed")
    runner.stop()
    thread.join(WAIT_SECONDS)
    assert not thread.is_alive()
    assert len(client.call(find_deployment, "here/added").schedules) == 1


def test_a_script_that_serves_at_its_top_level_is_not_served_again_by_its_runs(home, tmp_path):
    script = tmp_path / "top.py"
    script.write_text(
        "from runyard import flow, serve\n@flow\ndef top():\n    return 1\nserve(top.to_deployment('top'))\n"
    )
    out = tmp_path / "out"
    with open(out, "w") as stream:
        process = subprocess.Popen([sys.executable, str(script)], stdout=stream, stderr=stream)
    try:
        client = LocalClient()
        until(lambda: "top/top" in out.read_text())
        made = client.call(find_deployment, "top/top")
        run = client.call(create_flow_run_from_deployment, made.id, DeploymentFlowRunCreate())
        until(lambda: client.call(read_flow_run, run.id).state_name == "Completed")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(WAIT_SECONDS)
    assert out.read_text().count("is left out while the file is loaded") == 1
