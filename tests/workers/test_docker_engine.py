"""An engine that is stopped or killed, and started again under a worker; one of the test's own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from _docker import IMAGE, need_docker
from _docker_yard import DockerYard, printed
from _yard import a_yard, is_gone, until

FLOWS = """
import os, time
from runyard import flow

@flow(name="work")
def outlives(release: str = "release"):
    with open("notes", "a") as file:
        file.write(f"start {os.environ['RUNYARD__ATTEMPT']} {os.getpid()}\\n")
    print("before", flush=True)
    while not os.path.exists(release):
        time.sleep(0.01)
    print("after", flush=True)
"""


def ip(*args):
    subprocess.run(["ip", *args], check=True, capture_output=True)


class Engine:
    """A second Docker Engine, with folders, a socket and a bridge of its own.

    With `--bridge none` it would remove the bridge of the machine's own engine.
    """

    def __init__(self, folder):
        self.folder = folder
        self.url = f"unix://{folder}/s"
        self.process = None
        self.bridge = f"ry{os.getpid()}"
        ip("link", "add", self.bridge, "type", "bridge")
        ip("addr", "add", "192.0.2.1/24", "dev", self.bridge)

    def start(self, *options):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [
                    *("dockerd", "--data-root", self.folder / "data", "--exec-root", self.folder / "exec"),
                    *("--pidfile", self.folder / "pid", "--host", self.url),
                    *("--bridge", self.bridge, "--iptables=false", "--ip6tables=false"),
                    *options,
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until(lambda: self("info").returncode == 0, f"the start of the engine; see {self.folder}/log")

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)

    def kill(self):
        """SIGKILL to the engine and to its containerd, where it has one of its own; containers go on."""
        own = self.folder / "exec" / "containerd" / "containerd.pid"
        containerd = int(own.read_text()) if own.exists() else None
        self.process.kill()
        self.process.wait()
        if containerd is not None:
            os.kill(containerd, signal.SIGKILL)
            until(lambda: is_gone(containerd), "the end of containerd")
            own.unlink()  # an engine takes a process that init has not reaped yet for one that lives

    def clear(self):
        """Remove all containers: one that restores them leaves them running."""
        if containers := self("ps", "-aq").stdout.split():
            self("rm", "-f", *containers)

    def __call__(self, *args, **options):
        return subprocess.run(["docker", "-H", self.url, *args], capture_output=True, check=False, **options)


@pytest.fixture
def engine(tmp_path_factory):
    need_docker()
    if os.geteuid() != 0 or shutil.which("dockerd") is None or shutil.which("ip") is None:
        pytest.skip("only root may start an engine of the test's own")
    engine = Engine(tmp_path_factory.mktemp("engine"))
    try:
        engine.start()
        with subprocess.Popen(["docker", "save", IMAGE], stdout=subprocess.PIPE) as saved:
            loaded = engine("load", stdin=saved.stdout)
        assert loaded.returncode == 0, loaded.stderr
        yield engine
    finally:
        engine.clear()
        engine.stop()
        ip("link", "del", engine.bridge)
        # What an engine that was killed leaves mounted, who cleans up later could not remove.
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for mount in sorted((each for each in mounts if each.startswith(f"{engine.folder}/")), reverse=True):
            subprocess.run(["umount", "--lazy", mount], capture_output=True)
        shutil.rmtree(engine.folder, ignore_errors=True)


@pytest.fixture
def yard(home, tmp_path, engine):
    with a_yard(tmp_path, DockerYard) as yard:
        yard.environment["DOCKER_HOST"] = engine.url
        yield yard


def test_runs_wait_while_the_engine_is_away(yard, engine):
    run = yard.run()
    yard.worker()
    until(lambda: yard.is_running(run), "the start")
    engine.stop()
    yard.ended(run, "CRASHED")  # the engine has sent it a SIGTERM
    later = [yard.run() for _ in range(3)]
    until(lambda: "No run is claimed for now" in yard.said(), "the line that says so")
    engine.start()
    until(lambda: len(yard.notes()) >= 3, "the start of those that waited")
    yard.release()
    for each in later:
        yard.ended(each, "COMPLETED")
    assert yard.said().count("No run is claimed for now") == 1
    assert len(yard.notes()) == 4


def killed(yard, engine, *releases):
    """Runs of an engine that was killed while they executed, and one that waits for it."""
    (yard.folder / "lives.py").write_text(FLOWS)
    runs = [yard.run(entrypoint="lives.py:outlives", release=release) for release in releases]
    yard.worker()
    for run in runs:
        until(lambda run=run: "before" in printed(yard, run), "what it prints")
    engine.kill()
    until(lambda: "No run is claimed for now" in yard.said(), "the line that says so")
    return runs, yard.run(entrypoint="lives.py:outlives", release="release")


def test_runs_of_an_engine_that_is_killed_go_on_where_it_restores_them(yard, engine):
    (now, later), waits = killed(yard, engine, "now", "later")
    (yard.folder / "now").touch()
    yard.ended(now, "COMPLETED")  # it reports without the engine
    engine.start("--live-restore")
    for name in ("later", "release"):
        (yard.folder / name).touch()
    for run in (later, waits):
        yard.ended(run, "COMPLETED")
        until(lambda run=run: printed(yard, run).count("after") == 1, "what it prints at its end")
        assert printed(yard, run).count("before") == 1
    assert [attempt for attempt, _ in yard.notes()] == [1, 1, 1]
    until(lambda: not yard.leases(), "the end of the leases")


def test_an_engine_that_is_killed_ends_its_runs_when_it_starts_again(yard, engine):
    (now, ended), waits = killed(yard, engine, "now", "never")
    (yard.folder / "now").touch()
    yard.ended(now, "COMPLETED")
    engine.start()
    yard.release()
    yard.ended(ended, "CRASHED")
    yard.ended(waits, "COMPLETED")
    assert [attempt for attempt, _ in yard.notes()] == [1, 1, 1]
    until(lambda: not yard.leases(), "the end of the leases")
