"""The image of docs/Dockerfile: what is in it, a docker pool's run in it, and docs/compose.yaml."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from _docker import IMAGE
from _docker_image import ROOT, a_built_image, build, need_base, need_database
from _docker_yard import docker
from _ports import free_port
from _tools import need
from _yard import until
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
def built(tmp_path_factory):
    """That of docs/Dockerfile."""
    name = f"runyard-tests-built:{os.getpid()}"
    with a_built_image(name, tmp_path_factory.mktemp("wheels")) as url:
        yield name, url


@pytest.fixture
def image(built):
    return built[0]


@pytest.fixture
def image_of_flows(built, tmp_path):
    """An image of a flow, made from the other as the first lines of docs/Dockerfile say."""
    base, url = built
    project = tmp_path / "image"
    project.mkdir()
    (project / "flow.py").write_text(FLOW)
    (project / "requirements.txt").write_text("tomlkit\n")
    said = re.search(r"#   FROM .*?\n((?:#   .*\n)+)", (ROOT / "docs" / "Dockerfile").read_text())
    rest = re.sub(r"(?m)^# +", "", said[1])
    (project / "Dockerfile").write_text(f"FROM {base}\nARG PIP_INDEX_URL\n{rest}")
    name = f"{base}-flows"
    build("-t", name, "--build-arg", f"PIP_INDEX_URL={url}", project)
    yield name
    subprocess.run(["docker", "rmi", name], capture_output=True, check=False)


def said(command, **options):
    """What a command prints, which has to succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def runyard(home, tmp_path):
    """The command line, which has to succeed; what it prints."""

    def call(*arguments):
        return said([sys.executable, "-m", "runyard_cli.main", *arguments], cwd=tmp_path, timeout=120)

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
        "print(os.path.exists(u.cache_from_source(u.find_spec('runyard.sdk.flows').origin)))"
    )
    assert inside(image, "python", "-c", find) == "True"
    sizes = [int(docker("image", "inspect", "--format", "{{.Size}}", name)) for name in (image, need_base())]
    assert sizes[0] - sizes[1] < 150e6


def test_a_run_of_a_docker_pool_in_it(image_of_flows, runyard, tmp_path):
    steps = [{"prefect.deployments.steps.set_working_directory": {"directory": "/srv/flows"}}]
    pool = {"name": "docker-pool", "job_variables": {"image": image_of_flows, "auto_remove": True}}
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


class Compose:
    """docs/compose.yaml as a project of its own, with the images of the tests."""

    def __init__(self, folder, image):
        self.folder, self.name, self.port = folder, f"runyardtests{os.getpid()}", free_port()
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("RUNYARD_", "COMPOSE_", "DATABASE_"))
        }
        shutil.copy(ROOT / "docs" / "compose.yaml", folder)
        (folder / "flows").mkdir()
        (folder / "flows" / "flow.py").write_text(
            FLOW.replace(", tomlkit.__name__", "").replace(", tomlkit", "")
        )
        settings = {
            "COMPOSE_PROJECT_NAME": self.name,
            "DATABASE_PASSWORD": "a-password",
            "RUNYARD_API_AUTH_STRING": "user:another-password",
            "RUNYARD_IMAGE": image,
            "DATABASE_IMAGE": need_database(),
            "RUNYARD_PORT": self.port,
            "DOCKER_GROUP": os.stat("/var/run/docker.sock").st_gid,
        }
        (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))

    def __call__(self, *arguments):
        command = [need("docker-compose"), *arguments]
        return said(command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, timeout=300)

    def runyard(self, *arguments):
        """A command as the page gives it."""
        return self("exec", "-T", "worker", "runyard", *arguments)

    def run(self, deployment):
        """Ask for a run of a deployment; its state and what it printed, once it is over."""
        made = self.runyard("deployment", "run", deployment, "--param", "name=compose", "-o", "json")
        run = json.loads(made)["id"]

        def over():
            found = json.loads(self.runyard("flow-run", "inspect", run, "-o", "json"))["state_type"]
            return found if found in ("COMPLETED", "FAILED", "CRASHED") else None

        return until(over, "the end of the run"), self.runyard("flow-run", "logs", run)

    def health(self):
        """Of each service, of all its containers."""
        told = '{{index .Config.Labels "com.docker.compose.service"}} {{.State.Health.Status}}'
        containers = self("--profile", "docker", "ps", "-q").split()
        return set(docker("inspect", "--format", told, *containers).splitlines())


@pytest.fixture
def compose(image, tmp_path):
    need("docker-compose")
    folder = tmp_path / "compose"
    folder.mkdir()
    compose = Compose(folder, image)
    try:
        yield compose
    finally:
        compose("--profile", "docker", "kill")
        compose("--profile", "docker", "down", "--volumes")


def test_the_compose_file(compose, image):
    compose("--profile", "docker", "up", "--detach", "--no-build")
    compose.runyard("deploy", "flow.py:hello", "--name", "hello", "--pool", "process-pool")
    state, logs = compose.run("hello/hello")
    assert state == "COMPLETED", logs
    assert "hello compose 1000 /srv/flows /home/runyard" in logs
    boxed = (
        f"image={image}",
        f'networks=["{compose.name}_default"]',
        f'volumes=["{compose.folder}/flows:/srv/flows"]',
        "auto_remove=true",
    )
    variables = (word for text in boxed for word in ("--job-variable", text))
    compose.runyard("deploy", "flow.py:hello", "--name", "boxed", "--pool", "docker-pool", *variables)
    state, logs = compose.run("hello/boxed")
    assert state == "COMPLETED", logs
    assert "hello compose 1000 /srv/flows /home/runyard" in logs
    services = ("database", "server", "worker", "docker-worker")
    until(lambda: compose.health() == {f"{one} healthy" for one in services}, "the health of all")
    workers = json.loads(compose.runyard("worker", "ls", "-o", "json"))
    assert [one["status"] for one in workers] == ["ONLINE"] * 3
    # Only the server knows the password of the database.
    workers = compose("ps", "-q", "worker").split()
    assert "a-password" not in docker("inspect", *workers)
    # What ended by itself is started again, and what was kept is there.
    server = compose("ps", "-q", "server").strip()
    subprocess.run(["docker", "exec", server, "sh", "-c", "kill -9 -1"], capture_output=True, check=False)
    until(lambda: docker("inspect", "--format", "{{.RestartCount}}", server) == "1", "the new start")
    until(lambda: "server healthy" in compose.health(), "the health of the server")
    assert {compose.run(f"hello/{name}")[0] for name in ("hello", "boxed")} == {"COMPLETED"}
