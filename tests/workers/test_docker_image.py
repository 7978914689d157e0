"""The image of docs/Dockerfile: how it is built, what is in it, and a docker pool's run in it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
from _docker import IMAGE, lock
from _docker_image import ROOT, an_index, build, need_base
from _docker_yard import docker
from runyard import __version__

# What docs/Dockerfile needs of this repository.
SENT = {"core", "cli", "templates", "pyproject.toml", "README.md", "LICENSE"}

FLOW = """
import os, tomlkit
from runyard import flow, task

@task
def double(number):
    return 2 * number

@flow(log_prints=True)
def hello(name: str):
    print("hello", name, os.getuid(), os.getcwd(), os.environ["HOME"], tomlkit.__name__)
    return sum(double.map(range(3)).result())
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """An image of a flow, made from that of docs/Dockerfile as its first lines say."""
    base = need_base()
    name = f"runyard-tests-built:{os.getpid()}"
    project = tmp_path_factory.mktemp("project")
    (project / "flow.py").write_text(FLOW)
    (project / "requirements.txt").write_text("tomlkit\n")
    said = re.search(r"#   FROM .*?\n((?:#   .*\n)+)", (ROOT / "docs" / "Dockerfile").read_text())
    (project / "Dockerfile").write_text(
        f"FROM {name}-base\nARG PIP_INDEX_URL\n" + re.sub(r"(?m)^# +", "", said[1])
    )
    needed = (".", "hatchling", "tomlkit")
    # One at a time: it takes the whole machine, and much of the engine's disk.
    with lock("built-image"), an_index(tmp_path_factory.mktemp("wheels"), *needed) as url:
        index = ("--build-arg", f"PIP_INDEX_URL={url}")
        file = ROOT / "docs" / "Dockerfile"
        try:
            build("-f", file, "-t", f"{name}-base", "--build-arg", f"BASE={base}", *index, ROOT)
            build("-t", name, *index, project)
            yield name
        finally:
            subprocess.run(["docker", "rmi", name, f"{name}-base"], capture_output=True, check=False)


@pytest.fixture
def runyard(home, tmp_path):
    """The command line, which has to succeed; what it prints."""

    def call(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "runyard_cli.main", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return call


def inside(image, *command, user="runyard"):
    return docker("run", "--rm", "--network", "none", "--user", user, image, *command)


def test_only_the_sources_are_sent_to_the_engine():
    need_base()
    said = build("-f", "-", ROOT, input=f"FROM {IMAGE}\nCOPY . /context\nRUN cd /context && find . | sort\n")
    image = said.split()[-1]
    files = [line for line in said.splitlines() if line.startswith("./")]
    subprocess.run(["docker", "rmi", image], capture_output=True, check=False)
    assert {file.split("/")[1] for file in files} == SENT
    assert "./core/runyard/flows.py" in files
    assert not [file for file in files if "__pycache__" in file or file.endswith(".pyc")]


def test_it_has_what_it_needs_and_no_more(image):
    assert __version__ in inside(image, "runyard", "version")
    assert inside(image, "sh", "-c", "id -u; id -un; pwd").split() == ["1000", "runyard", "/srv/flows"]
    left = (
        "ls -A /tmp; find / -xdev -name pyproject.toml -not -path '*/site-packages/*';"
        " find / -xdev -path '*/.cache/*'"
    )
    assert inside(image, "sh", "-c", left, user="root") == ""
    # What is imported is compiled, else each run would do that.
    find = (
        "import importlib.util as u, os;"
        "print(os.path.exists(u.cache_from_source(u.find_spec('runyard.flows').origin)))"
    )
    assert inside(image, "python", "-c", find) == "True"
    sizes = [int(docker("image", "inspect", "--format", "{{.Size}}", name)) for name in (image, need_base())]
    assert sizes[0] - sizes[1] < 150e6


def test_a_run_of_a_docker_pool_in_it(image, runyard, tmp_path):
    steps = [{"prefect.deployments.steps.set_working_directory": {"directory": "/srv/flows"}}]
    pool = {"name": "docker-pool", "job_variables": {"image": image, "auto_remove": True}}
    deployment = {"name": "built", "entrypoint": "flow.py:hello", "work_pool": pool, "pull": steps}
    (tmp_path / "flow.py").write_text(FLOW.replace(", tomlkit", "").replace(", tomlkit.__name__", ""))
    (tmp_path / "prefect.yaml").write_text(json.dumps({"deployments": [deployment]}))
    runyard("work-pool", "create", "docker-pool", "--type", "docker")
    runyard("deploy", "--name", "built")
    runyard("deployment", "run", "hello/built", "--param", "name=image")
    runyard("worker", "start", "--pool", "docker-pool", "--run-once")
    (run,) = json.loads(runyard("flow-run", "ls", "--output", "json"))
    assert run["state_type"] == "COMPLETED", run
    logs = runyard("flow-run", "logs", run["id"])
    assert "hello image 1000 /srv/flows /home/runyard tomlkit" in logs
