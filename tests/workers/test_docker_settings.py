"""What a docker pool's variables do, on a real engine: networks, volumes, limits, images, names."""

from __future__ import annotations

import json
import os
import socket
import subprocess

import pytest
from _docker import IMAGE, job_variables, need_docker
from _docker_yard import DockerYard, docker, printed, run_all
from _yard import a_yard, until
from runyard.operations.flow_runs.flow_runs import SetState, set_flow_run_state
from runyard.operations.schemas import StateCreate

FLOWS = """
import os, signal, time
from runyard import flow

@flow(name="work")
def looks():
    print("user", os.getuid(), "folder", os.getcwd())
    shm = os.statvfs("/dev/shm")
    print("shm", shm.f_frsize * shm.f_blocks // 2**20)
    print("cpu", open("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").read().strip()
        if os.path.exists("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
        else open("/sys/fs/cgroup/cpu.max").read().strip())
    print("hosts", "db.internal" in open("/etc/hosts").read())

@flow(name="work")
def writes():
    for folder in ("/relative", "/named", "/anonymous"):
        with open(folder + "/here", "a") as file:
            file.write("x")
    print("named", len(open("/named/here").read()))

@flow(name="work")
def slow_to_end():
    def end(number, frame):
        time.sleep(3)
        print("tidied up", flush=True)
        os._exit(0)
    signal.signal(signal.SIGTERM, end)
    open("notes", "a").write(f"start {os.environ['RUNYARD__ATTEMPT']} {os.getpid()}\\n")
    while True:
        time.sleep(0.01)
"""


@pytest.fixture
def yard(home, tmp_path):
    need_docker()
    with a_yard(tmp_path, DockerYard) as yard:
        (yard.folder / "settings.py").write_text(FLOWS)
        yield yard


def _succeeds(*command):
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def network(request):
    need_docker()
    name = f"runyard-test-{os.getpid()}"
    docker("network", "create", name)
    yield name
    # The engine refuses while it still takes an ended container from the network.
    until(lambda: _succeeds("docker", "network", "rm", name), "the removal of the network")


def with_volumes(yard, *more):
    return [*job_variables(yard.folder)["volumes"], *more]


def test_limits_user_folder_and_hosts_are_as_said(yard):
    yard.folder.chmod(0o777)
    run = yard.run(
        entrypoint="settings.py:looks",
        job_variables={
            "cpus": 0.5,
            "shm_size": "96m",
            "user": "65534",
            "working_dir": "/usr",
            "extra_hosts": {"db.internal": "10.0.0.7"},
            "env": {"HOME": "/tmp", "RUNYARD_HOME": "/tmp/home"},
        },
    )
    run_all(yard)
    assert yard.state(run).type == "COMPLETED", yard.state(run)
    kept = printed(yard, run)
    assert f"user 65534 folder {yard.folder}" in kept
    assert "shm 96" in kept
    assert any(line in ("cpu 50000", "cpu 50000 100000") for line in kept)
    assert "hosts True" in kept


@pytest.mark.parametrize("mode", ["bridge", "network"])
def test_a_run_with_a_network_of_its_own_reports_to_the_worker(yard, network, mode):
    variables = {"network_mode": "bridge"} if mode == "bridge" else {"networks": [network, "bridge"]}
    run = yard.run(entrypoint="more.py:tasks", job_variables=variables)
    run_all(yard)
    assert yard.state(run).type == "COMPLETED", yard.state(run)
    assert "a record" in printed(yard, run)


def test_volumes_are_folders_of_the_worker_or_have_names_or_none(yard):
    volume = f"runyard-test-{os.getpid()}"
    (yard.folder / "data").mkdir()
    variables = {
        "volumes": with_volumes(yard, "./data:/relative", f"{volume}:/named", "/anonymous"),
        "auto_remove": True,
    }
    try:
        runs = [yard.run(entrypoint="settings.py:writes", job_variables=variables) for _ in range(2)]
        run_all(yard)
        assert {yard.state(run).type for run in runs} == {"COMPLETED"}
        assert {line for run in runs for line in printed(yard, run) if "named" in line} == {
            "named 1",
            "named 2",
        }
        assert (yard.folder / "data" / "here").read_text() == "xx"
    finally:
        until(lambda: not any(yard.container(run) for run in yard.runs), "the removal of the containers")
        until(lambda: _succeeds("docker", "volume", "rm", volume), "the removal of the volume")


def test_a_container_stays_without_auto_remove_and_has_its_labels(yard):
    run = yard.run(
        job_variables={
            "auto_remove": False,
            "labels": {"team": "nights"},
            "container_create_kwargs": {"hostname": "chosen", "image": "ignored", "environment": {"A": "B"}},
        }
    )
    yard.release()
    run_all(yard)
    told = json.loads(docker("inspect", yard.container(run)))[0]
    assert told["Config"]["Labels"]["team"] == "nights"
    assert told["Config"]["Labels"]["io.prefect.flow-run-id"] == run
    assert told["State"]["Status"] == "exited"
    assert told["Config"]["Image"] == IMAGE
    assert "A=B" not in told["Config"]["Env"]


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"container_create_kwargs": {"no_such": 1}}, "container_create_kwargs:"),
        ({"networks": ["bridge"], "network_mode": "host"}, "cannot be used together"),
        ({"network_mode": "none"}, "network_mode is none"),
        ({"command": "echo 'open"}, "cannot be split"),
        ({"user": "no-such-user"}, "no-such-user"),
        ({"volumes": ["/a:/b:/c:/d"]}, "/d"),
        ({"image": "../containers"}, "image: '../containers' is not a valid image name"),
    ],
)
def test_what_means_nothing_is_told_with_its_name(yard, variables, reason):
    run = yard.run(job_variables=variables)
    run_all(yard)
    assert yard.state(run).type == "CRASHED"
    assert reason in yard.state(run).message


def test_a_name_that_is_taken_gets_a_number(yard):
    runs = [yard.run(job_variables={"name": "a name/taken", "auto_remove": False}) for _ in range(2)]
    yard.release()
    run_all(yard)
    names = [docker("inspect", "--format", "{{.Name}}", yard.container(run)) for run in runs]
    assert sorted(names) == ["/a-name-taken", "/a-name-taken-1"]
    assert {yard.state(run).type for run in runs} == {"COMPLETED"}


@pytest.mark.parametrize("policy", ["IfNotPresent", "IfPossible", "Never", None])
def test_an_image_that_is_here_is_used(yard, policy):
    run = yard.run(job_variables={"image_pull_policy": policy})
    yard.release()
    run_all(yard)
    assert yard.state(run).type == "COMPLETED", yard.state(run)


def test_an_engine_that_keeps_no_output_is_told(yard):
    kwargs = {"log_config": {"Type": "none"}}
    run = yard.run(job_variables={"container_create_kwargs": kwargs})
    yard.release()
    run_all(yard)
    assert yard.state(run).type == "COMPLETED", yard.state(run)
    assert any("cannot be kept" in line for line in printed(yard, run))


def test_the_grace_of_a_job_goes_over_that_of_its_worker(yard):
    run = yard.run(entrypoint="settings.py:slow_to_end", job_variables={"stop_grace_seconds": 30})
    yard.worker()  # whose own grace is a second
    until(lambda: yard.is_running(run), "the start")
    yard.client.call(set_flow_run_state, run, SetState(state=StateCreate(type="CANCELLING"), force=False))
    yard.ended(run, "CANCELLED")
    assert "tidied up" in printed(yard, run)


def test_what_the_container_of_a_run_cannot_have_is_left_out_and_told(yard):
    kwargs = {"tty": True, "restart_policy": {"Name": "always"}, "hostname": "chosen"}
    run = yard.run(
        entrypoint="more.py:tasks", job_variables={"container_create_kwargs": kwargs, "auto_remove": False}
    )
    run_all(yard)
    kept = printed(yard, run)
    assert "by another program" in kept
    assert [name for name in kwargs if any(f"{name} is left out" in line for line in kept)] == [
        "tty",
        "restart_policy",
    ]
    assert (
        docker("inspect", "--format", "{{.State.Status}} {{.RestartCount}}", yard.container(run))
        == "exited 0"
    )


def test_a_run_is_cancelled_while_its_image_is_pulled(yard):
    with socket.create_server(("127.0.0.1", 0)) as registry:  # takes connections, and never answers
        image = f"127.0.0.1:{registry.getsockname()[1]}/team/flows:1"
        run = yard.run(job_variables={"image": image, "image_pull_policy": "Always"})
        yard.worker()
        until(lambda: f"Pulling image {image!r}" in printed(yard, run), "the pull")
        yard.cancel(run)
        yard.ended(run, "CANCELLED")
        assert f"the image {image!r} could not be pulled" not in "\n".join(printed(yard, run))
    assert not yard.container(run)


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        (
            "unix:///no/such.sock",
            "at unix:///no/such.sock (DOCKER_HOST) does not answer (No such file or directory)",
        ),
        ("tcp://127.0.0.1:1", "at tcp://127.0.0.1:1 (DOCKER_HOST) does not answer (Connection refused)"),
        ("nonsense", "at nonsense (DOCKER_HOST) does not answer"),
    ],
)
def test_an_engine_that_is_not_where_it_is_said_to_be_is_told_with_its_address(yard, host, reason):
    assert yard.worker(DOCKER_HOST=host).wait(60) == 1
    assert reason in yard.said()
    assert "Traceback" not in yard.said()
