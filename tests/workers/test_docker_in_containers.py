"""Docker workers that are containers of the same engine: that one is gone, the engine tells the others."""

from __future__ import annotations

import json
import os

import pytest
from _docker import IMAGE, need_docker
from _docker_yard import DockerYard, docker
from _yard import WORKER, a_yard, until


class ContainerYard(DockerYard):
    """A yard whose first worker is a container; nothing is taken over for its time."""

    def __init__(self, folder):
        super().__init__(folder)
        self.environment["RUNYARD_TAKEOVER_AFTER_SECONDS"] = "600"
        self.container_of_worker = None

    def worker_in_container(self):
        home = os.environ["RUNYARD_HOME"]
        variables = self.job_variables()
        volumes = [*variables["volumes"], f"{home}:{home}", "/var/run/docker.sock:/var/run/docker.sock"]
        ours = {name: value for name, value in self.environment.items() if name.startswith("RUNYARD_")}
        options = json.dumps({"pool": "pool", "name": "first", "limit": 2})
        self.container_of_worker = docker(
            *("run", "--detach", "--network", "host", "--workdir", str(self.folder)),
            *(word for volume in volumes for word in ("--volume", volume)),
            *(word for pair in {**ours, **variables["env"]}.items() for word in ("--env", "=".join(pair))),
            *(IMAGE, "python", "-c", WORKER, options),
        )

    def clean_up(self):
        if self.container_of_worker is not None:
            docker("rm", "--force", self.container_of_worker)
        super().clean_up()


@pytest.fixture
def yard(home, tmp_path):
    need_docker()
    with a_yard(tmp_path, ContainerYard) as yard:
        yield yard


def is_held_by(yard, name):
    return [lease["owner"] for lease in yard.leases()] == [name]


def test_the_runs_of_a_worker_whose_container_is_gone_are_adopted_at_once(yard):
    run = yard.run()
    yard.worker_in_container()
    until(lambda: yard.is_running(run), "the start")
    second = yard.worker("second")
    seen = len(yard.heartbeats())
    until(lambda: len(yard.heartbeats()) >= seen + 3, "signs of life")
    assert is_held_by(yard, "first")
    docker("rm", "--force", yard.container_of_worker)
    yard.container_of_worker = None
    until(lambda: is_held_by(yard, "second"), "the adoption")
    yard.release()
    yard.ended(run, "COMPLETED")
    assert second.poll() is None
    assert len(yard.notes()) == 1


def test_a_worker_whose_container_is_started_again_adopts_its_own_runs(yard):
    run = yard.run()
    yard.worker_in_container()
    until(lambda: yard.is_running(run), "the start")
    before = yard.leases()[0]["proof"]
    docker("kill", yard.container_of_worker)
    docker("start", yard.container_of_worker)
    until(lambda: yard.leases()[0]["proof"] != before, "the adoption")
    yard.release()
    yard.ended(run, "COMPLETED")
    assert len(yard.notes()) == 1
