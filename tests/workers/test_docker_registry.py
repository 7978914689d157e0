"""Images of a private registry with a password, on a real engine."""

from __future__ import annotations

import os
import subprocess
import urllib.error
import urllib.request

import pytest
from _docker import IMAGE, need_docker
from _docker_yard import DockerYard, docker, printed, run_all
from _ports import free_port
from _tools import need
from _yard import a_yard, until
from runyard.blocks.docker import DockerRegistryCredentials

PASSWORD = "pass-of-the-registry"
CONFIG = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}/data}}}}
http: {{addr: "127.0.0.1:{port}"}}
auth: {{htpasswd: {{realm: basic-realm, path: {folder}/htpasswd}}}}
"""


def answers(url):
    try:
        urllib.request.urlopen(url)
    except urllib.error.HTTPError as error:
        return error.code == 401
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """A registry on loopback with the test image; its address."""
    need_docker()
    program, hashes = need("docker-registry"), need("htpasswd")
    folder, port = tmp_path_factory.mktemp("registry"), free_port()
    made = [hashes, "-Bbn", "user", PASSWORD]
    (folder / "htpasswd").write_bytes(subprocess.run(made, capture_output=True, check=True).stdout)
    (folder / "config.yml").write_text(CONFIG.format(folder=folder, port=port))
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen([program, "serve", folder / "config.yml"], stdout=log, stderr=log)
    address = f"127.0.0.1:{port}"
    image = f"{address}/team/flows:1"
    login = {**os.environ, "DOCKER_CONFIG": str(folder)}
    try:
        until(lambda: answers(f"http://{address}/v2/"), "the start of the registry")
        docker("tag", IMAGE, image)
        given = ["docker", "login", "-u", "user", "--password-stdin", address]
        subprocess.run(given, input=PASSWORD, text=True, env=login, check=True, capture_output=True)
        subprocess.run(["docker", "push", image], env=login, check=True, capture_output=True)
        docker("rmi", image)
        yield address
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def yard(home, tmp_path, registry):
    with a_yard(tmp_path, DockerYard) as yard:
        yield yard
    subprocess.run(["docker", "rmi", f"{registry}/team/flows:1"], capture_output=True, check=False)


def asked(yard, registry, credentials, **more):
    run = yard.run(
        job_variables={
            "image": f"{registry}/team/flows:1",
            "image_pull_policy": "Always",
            "registry_credentials": credentials,
            "auto_remove": False,
            **more,
        }
    )
    yard.release()
    run_all(yard)
    return run


def inline(registry, password):
    return {"username": "user", "password": password, "registry_url": registry}


def test_the_right_password_inline_and_nowhere_else(yard, registry):
    run = asked(yard, registry, inline(registry, PASSWORD))
    assert yard.state(run).type == "COMPLETED", yard.state(run)
    kept = printed(yard, run)
    assert any("Pulled image" in line for line in kept)
    shown = "\n".join([*kept, yard.said(), docker("inspect", yard.container(run))])
    assert PASSWORD not in shown


@pytest.mark.parametrize("given", ["wrong", "none"])
def test_wrong_or_no_credentials_are_told_without_them(yard, registry, given):
    run = asked(yard, registry, inline(registry, "a-wrong-password") if given == "wrong" else None)
    state = yard.state(run)
    assert state.type == "CRASHED"
    assert "could not be pulled" in state.message
    assert "a-wrong-password" not in "\n".join([state.message, *printed(yard, run), yard.said()])


def test_the_password_of_a_saved_block(yard, registry):
    DockerRegistryCredentials(username="user", password=PASSWORD, registry_url=registry).save("private")
    run = asked(yard, registry, "{{ prefect.blocks.docker-registry-credentials.private }}")
    assert yard.state(run).type == "COMPLETED", yard.state(run)
    shown = "\n".join([*printed(yard, run), yard.said(), docker("inspect", yard.container(run))])
    assert PASSWORD not in shown


def test_the_image_that_is_here_is_used_where_the_registry_refuses(yard, registry):
    docker("tag", IMAGE, f"{registry}/team/flows:1")
    run = asked(yard, registry, inline(registry, "a-wrong-password"), image_pull_policy="IfPossible")
    assert yard.state(run).type == "COMPLETED", yard.state(run)
    assert any("using the local one" in line for line in printed(yard, run))
