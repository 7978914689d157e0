"""Images that are built on a Docker Engine, pushed to a registry, and named by deployments."""

from __future__ import annotations

import contextlib
import io
import shutil
import socket
import subprocess
import sys
import time
import uuid

import httpx
import pytest
import yaml
from _ports import free_port
from runyard import flow
from runyard.base.errors import InvalidInput, RunyardError
from runyard.client import LocalClient
from runyard.deployments import DockerImage, steps
from runyard.operations.deployments.deployments import find_deployment
from runyard.operations.work_pools.work_pools import WorkPoolCreate, create_work_pool

REGISTRY = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}", secret: x}}
auth: {auth}
"""


@pytest.fixture
def engine():
    """A client of a Docker Engine that answers."""
    docker = pytest.importorskip("docker", reason="needs the extra docker")
    # Asked by hand: the SDK leaves a socket open where nobody listens.
    with socket.socket(socket.AF_UNIX) as asked:
        if asked.connect_ex("/var/run/docker.sock"):
            pytest.skip("no Docker Engine answers")
    found = docker.from_env(timeout=120)
    yield found
    found.close()


@pytest.fixture
def name(engine):
    """A name for images of this test, which go with it."""
    made = f"runyard-test-{uuid.uuid4().hex[:12]}"
    yield made
    # Not `engine.images.list()`, which asks for each one anew: others remove theirs meanwhile.
    for image in engine.api.images():
        for tag in image["RepoTags"] or ():
            if made in tag:
                engine.images.remove(tag, force=True)


@pytest.fixture
def folder(project_folder, write):
    """A project with a Dockerfile, and pools for its runs."""
    write("Dockerfile", "FROM scratch\nARG WHAT\nLABEL what=$WHAT\nCOPY flow.py /flow.py\n")
    write("flow.py", "from prefect import flow\n\n@flow\ndef f():\n    pass\n")
    LocalClient().call(create_work_pool, WorkPoolCreate(name="boxes", type="docker"))
    return project_folder


@contextlib.contextmanager
def registry(tmp_path, auth="null"):
    """A registry on this machine; gives its address."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("needs the program docker-registry")
    port = free_port()
    config = tmp_path / "registry.yml"
    config.write_text(REGISTRY.format(folder=tmp_path / "registry", port=port, auth=auth))
    process = subprocess.Popen([program, "serve", str(config)], stderr=subprocess.DEVNULL)
    address = f"127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"http://{address}/v2/")
                break
            assert process.poll() is None, "the registry did not start"
            assert time.monotonic() < deadline, "the registry does not answer"
            time.sleep(0.02)
        yield address
    finally:
        process.kill()
        process.wait()


@flow
def boxed():
    """A flow of this file."""


def stored(reference):
    return LocalClient().call(find_deployment, reference=reference)


def cli(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "runyard_cli.main", *arguments], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_built_once_with_its_tags(engine, name, folder, capfd):
    build = {
        "image_name": name, "tag": "1", "additional_tags": ["2"], "buildargs": {"WHAT": "it"},
        "labels": {"by": "us"},
    }  # fmt: skip
    made = steps.build_docker_image(**build)
    assert (made["image"], made["tag"], made["additional_tags"]) == (f"{name}:1", "1", ["2"])
    image = engine.images.get(f"{name}:2")
    assert image.id == made["image_id"]
    assert image.labels == {"what": "it", "by": "us"}
    assert "COPY flow.py" in capfd.readouterr().out
    assert steps.build_docker_image(**build) is made
    assert "COPY" not in capfd.readouterr().out


def test_a_failing_build_names_its_step(name, folder, write):
    write("Dockerfile", "FROM scratch\nCOPY missing.py /\n")
    with pytest.raises(RunyardError, match=rf"{name}:1 failed at Step 2/2 : COPY missing"):
        steps.build_docker_image(name, tag="1")
    with pytest.raises(InvalidInput, match="not found"):
        steps.build_docker_image(name, dockerfile="Nope")
    with pytest.raises(InvalidInput, match="invalid image_name"):
        steps.build_docker_image("two words")
    with pytest.raises(InvalidInput, match="unknown build option 'platfrom'"):
        steps.build_docker_image(name, platfrom="linux/amd64")


def test_auto_makes_a_dockerfile_for_the_build_only(name, project_folder, write):
    write("requirements.txt", "")
    auto = {"image_name": name, "dockerfile": "auto"}
    with pytest.raises(RunyardError):
        steps.build_docker_image(**auto, base_image="127.0.0.1:9/none:1", persist_dockerfile=True)
    text = (project_folder / "Dockerfile.generated").read_text()
    assert text.startswith("FROM 127.0.0.1:9/none:1\nWORKDIR /opt/prefect/project\n")
    assert "requirements.txt" in text
    with pytest.raises(RunyardError):
        steps.build_docker_image(**auto, base_image="127.0.0.1:9/none:2")
    assert not (project_folder / "Dockerfile.generated").exists()
    write("Dockerfile", "FROM scratch\n")
    with pytest.raises(InvalidInput, match="a Dockerfile exists"):
        steps.build_docker_image(**auto, tag="9")


def test_deploy_builds_and_the_deployment_names_the_image(name, folder, write):
    content = {
        "build": [
            {
                "prefect_docker.deployments.steps.build_docker_image": {
                    "id": "image", "image_name": name, "tag": "7"
                }
            }
        ],
        "deployments": [
            {
                "name": "d",
                "entrypoint": "flow.py:f",
                "work_pool": {"name": "boxes", "job_variables": {"image": "{{ image.image }}"}},
            }
        ],
    }  # fmt: skip
    write("prefect.yaml", yaml.safe_dump(content))
    cli("deploy", "--all")
    assert stored("f/d").job_variables["image"] == f"{name}:7"


def test_an_image_is_pushed_with_all_its_tags(engine, name, folder, tmp_path, capfd):
    with registry(tmp_path) as address:
        there = f"{address}/{name}"
        steps.build_docker_image(there, tag="1", additional_tags=["2"])
        pushed = steps.push_docker_image(there, tag="1", additional_tags=["2"])
        assert (pushed["image"], pushed["additional_tags"]) == (f"{there}:1", ["2"])
        assert set(httpx.get(f"http://{address}/v2/{name}/tags/list").json()["tags"]) == {"1", "2"}
        assert f"Pushing {there}:2" in capfd.readouterr().out


def test_a_registry_that_wants_a_login(engine, name, folder, tmp_path):
    # The file is missing: the registry makes one, with a user whose password nobody here knows.
    with registry(tmp_path, auth=f"{{htpasswd: {{realm: x, path: {tmp_path}/users}}}}") as address:
        there = f"{address}/{name}"
        steps.build_docker_image(there, tag="1")
        with pytest.raises(RunyardError, match=f"{there}:1.*no basic auth credentials"):
            steps.push_docker_image(there, tag="1")


def test_a_push_that_is_refused_is_one_line(name, folder):
    steps.build_docker_image(f"127.0.0.1:9/{name}", tag="1")
    with pytest.raises(RunyardError, match=rf"pushing 127.0.0.1:9/{name}:1 failed"):
        steps.push_docker_image(f"127.0.0.1:9/{name}", tag="1")


def test_without_an_engine_it_is_one_line(folder, monkeypatch):
    pytest.importorskip("docker", reason="needs the extra docker")
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    with pytest.raises(RunyardError, match="the Docker Engine cannot"):
        steps.build_docker_image("runyard-test/unbuilt")
    with pytest.raises(RunyardError, match="the Docker Engine cannot"):
        boxed.deploy("d", work_pool_name="boxes", image=DockerImage("x", dockerfile="Dockerfile"))


def test_python_builds_and_pushes_the_image_it_deploys(engine, name, folder, tmp_path):
    said = io.StringIO()
    with registry(tmp_path) as address:
        there = f"{address}/{name}"
        image = DockerImage(
            f"{there}:3",
            dockerfile="Dockerfile",
            buildargs={"WHAT": "more"},
            nocache=True,
            stream_progress_to=said,
        )
        boxed.deploy("d", work_pool_name="boxes", image=image, print_next_steps=False)
        assert httpx.get(f"http://{address}/v2/{name}/tags/list").json()["tags"] == ["3"]
    assert "COPY flow.py" in said.getvalue()
    assert engine.images.get(f"{there}:3").labels == {"what": "more"}
    made = stored("boxed/d")
    assert made.job_variables["image"] == f"{there}:3"
    assert made.path is None


def test_an_image_that_is_there_is_only_named(folder):
    image = DockerImage("team/count", tag="2")
    boxed.deploy("d", work_pool_name="boxes", image=image, build=False, print_next_steps=False)
    assert stored("boxed/d").job_variables["image"] == "team/count:2"
    with pytest.raises(InvalidInput, match="has a tag"):
        DockerImage("team/count:1", tag="2")


def test_auto_does_not_shadow_a_dockerfile(folder):
    pytest.importorskip("docker", reason="needs the extra docker")
    with pytest.raises(InvalidInput, match="a Dockerfile exists"):
        boxed.deploy("d", work_pool_name="boxes", image="team/count:4")
