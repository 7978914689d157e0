"""A Docker Engine for tests, and an image in which this project can run."""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import pytest
from _tools import need

ROOT = Path(__file__).parents[1]
# The system from which Debian's own Python is taken; the packages are those of this very environment.
RELEASE, PYTHON = "bookworm", (3, 11)
IMAGE = f"runyard-tests:{RELEASE}"
_ENGINE_SECONDS = 60.0
# The engine that this process started: without a reference, Python complains that it still runs.
_started: list[subprocess.Popen] = []


def lock(name):
    """A lock across all processes of this machine, until the result is closed."""
    file = open(os.path.join(tempfile.gettempdir(), f"runyard-tests-{name}.lock"), "w")  # noqa: SIM115 - held
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def _answers():
    docker = shutil.which("docker")
    return (
        docker is not None
        and subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0
    )


@functools.cache
def _problem():
    """Why there is no engine, or None; installs and starts it if allowed (root)."""
    if sys.version_info[:2] != PYTHON:
        return f"the image for tests has Python {PYTHON[0]}.{PYTHON[1]}, this is {sys.version.split()[0]}"
    if _answers():
        return None
    if os.geteuid() != 0:
        return "no Docker Engine answers, and only root may start one"
    with lock("engine"):
        if not _answers():
            need("dockerd")
            # It outlives this process: others of the same run of the tests use it as well.
            log = os.path.join(tempfile.gettempdir(), "runyard-tests-dockerd.log")
            with open(log, "ab") as output:
                engine = subprocess.Popen(["dockerd"], stdout=output, stderr=output, start_new_session=True)
            _started.append(engine)
            deadline = time.monotonic() + _ENGINE_SECONDS
            while not _answers():
                if engine.poll() is not None or time.monotonic() > deadline:
                    return f"the Docker Engine did not start; see {log}"
                time.sleep(0.2)
    return None


@functools.cache
def _image_problem():
    """Why there is no image, or None; builds it once per engine."""
    with lock("image"):
        if (
            subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False).returncode
            == 0
        ):
            return None
        if os.geteuid() != 0:
            return f"only root can make the image {IMAGE}"
        need("debootstrap")
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                ["debootstrap", "--variant=minbase", "--include=python3", RELEASE, folder],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                return f"debootstrap failed: {done.stdout[-300:]}"
            # Debian calls its Python `python3` only.
            made = ["docker", "import", "--change", "ENV PATH=/opt/bin:/usr/bin:/bin", "-", IMAGE]
            with subprocess.Popen(["tar", "-C", folder, "-c", "."], stdout=subprocess.PIPE) as packed:
                subprocess.run(made, stdin=packed.stdout, check=True, capture_output=True)
    return None


def problem():
    """Why there is no engine with the tests' image, or None."""
    return _problem() or _image_problem()


def need_docker():
    """The tests' image; skips the test, with the reason in one line, if there is no engine."""
    if reason := problem():
        pytest.skip(reason)
    return IMAGE


def job_variables(project):
    """Job variables of a run in that image, with this environment, source tree and project mounted."""
    packages = sysconfig.get_path("purelib")
    bin_folder = project / ".bin"
    bin_folder.mkdir(exist_ok=True)
    if not (bin_folder / "python").is_symlink():
        (bin_folder / "python").symlink_to("/usr/bin/python3")
    sources = [str(ROOT / name) for name in ("core", "cli", "templates")]
    return {
        "image": IMAGE,
        "image_pull_policy": "Never",
        "volumes": [
            f"{ROOT}:{ROOT}:ro",
            f"{packages}:{packages}:ro",
            f"{project}:{project}",
            f"{bin_folder}:/opt/bin:ro",
        ],
        "env": {"PYTHONPATH": os.pathsep.join([*sources, packages])},
        "auto_remove": True,
    }
