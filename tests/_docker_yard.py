"""A yard whose pool is of type docker, for tests on a real engine."""

from __future__ import annotations

import subprocess

from _docker import job_variables
from _yard import Yard, logs_of

MORE_FLOWS = """
import os, time
from runyard import flow, get_run_logger, task

@task
def double(number):
    return 2 * number

@flow(name="work")
def tasks():
    get_run_logger().info("a record")
    os.system("echo by another program")
    return sum(double.map(range(3)).result())

@flow(name="work")
def fails():
    raise ValueError("on purpose")

@flow(name="work")
def eats():
    eaten = []
    while True:
        eaten.append(bytearray(20_000_000))

@flow(name="work")
def prints_much():
    for _ in range(1_100):
        os.write(1, b"0123456789" * 10_000 + b"\\n")
    print("the end")

@flow(name="work")
def leaves_a_thread():
    import threading
    threading.Thread(target=time.sleep, args=(600,)).start()

@flow(name="work")
def tells_secret():
    from runyard.blocks.system import Secret
    word = Secret.load("word").get()
    os.system(f"echo it is {word}")

@flow(name="work")
def meddles():
    import httpx
    auth = tuple(os.environ["RUNYARD_API_AUTH_STRING"].split(":"))
    def status(method, path, auth=auth, **body):
        url = os.environ["RUNYARD_API_URL"] + path
        return httpx.request(method, url, auth=auth, json=body).status_code
    other = os.environ["OTHER_RUN"]
    state = {"state": {"type": "CANCELLED"}, "force": True}
    print("may", status("POST", "/flow_runs/filter"), status("POST", "/variables/filter"))
    print(
        "may not",
        status("DELETE", "/work_pools/pool"),
        status("POST", "/work_pools/", name="x", type="process"),
        status("POST", f"/flow_runs/{other}/set_state", **state),
        status("POST", "/runyard/work_pools/pool/claim"),
    )
    others = (auth[0], "0" * 64), None, (f"{other}.1", auth[1])
    print("wrong", *(status("POST", "/flow_runs/filter", auth) for auth in others))
"""


def docker(*args):
    """The output of a docker command."""
    done = subprocess.run(["docker", *args], capture_output=True, text=True, check=True)
    return done.stdout.strip()


class DockerYard(Yard):
    """A yard whose pool is of type docker."""

    pool_type = "docker"

    def __init__(self, folder):
        super().__init__(folder)
        self.runs = []
        (folder / "more.py").write_text(MORE_FLOWS)

    def job_variables(self):
        return job_variables(self.folder)

    def run(self, *args, **options):
        run = super().run(*args, **options)
        self.runs.append(run)
        return run

    def container(self, run):
        """The id of a run's container, while there is one."""
        listed = ["docker", "ps", "-aq", "--no-trunc", "--filter", f"label=io.runyard.flow-run-id={run}"]
        return subprocess.run(listed, capture_output=True, text=True, check=True).stdout.strip()

    def kill_job(self, run):
        docker("kill", self.container(run))

    def end_job(self, run):
        docker("stop", self.container(run))

    def clean_up(self):
        self.release()
        for worker in self.workers:
            worker.kill()
            worker.wait()
        for run in self.runs:
            # There may be one for its hooks as well.
            if containers := self.container(run).split():
                subprocess.run(["docker", "rm", "-f", *containers], capture_output=True, check=False)
        self.client.close()


def run_all(yard):
    """Run what is due, and wait until all its output is stored."""
    assert yard.worker(run_once=True).wait(120) == 0


def printed(yard, run):
    return [log.message for log in logs_of(yard, run)]
