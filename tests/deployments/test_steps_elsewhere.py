"""Steps that bring code elsewhere: to object stores, from saved blocks, into images."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml
from runyard.base.errors import ProjectError, RunyardError
from runyard.blocks.filesystems import LocalFileSystem
from runyard.client import LocalClient
from runyard.deployments import steps
from runyard.deployments.project.read_project import parse_project

pytestmark = pytest.mark.usefixtures("git")


def cli(*arguments, code=0):
    """Type a command."""
    done = subprocess.run(
        [sys.executable, "-m", "runyard_cli.main", *arguments], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def server():
    """The address of an S3 server."""
    pytest.importorskip("obstore", reason="needs the extra aws")
    moto = pytest.importorskip("moto.server", reason="needs moto[server]")
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(server, home):
    """The name of an empty bucket."""
    import httpx

    httpx.post(f"{server}/moto-api/reset", timeout=60)
    httpx.put(f"{server}/my-bucket", headers={"Host": "my-bucket"}, timeout=60).raise_for_status()
    return "my-bucket"


@pytest.fixture
def credentials(server):
    return {
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
        "region_name": "us-east-1",
        "aws_client_parameters": {"endpoint_url": server},
    }


def test_code_pushed_to_s3_runs_from_there(bucket, server, project_folder, write, monkeypatch):
    for name, value in (("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    write("flows/etl.py", "from prefect import flow\n\n@flow\ndef etl():\n    print('from the bucket')\n")
    write("secret/key.txt", "not for others")
    write("notes.tmp", "not either")
    write(".prefectignore", "secret/\n*.tmp\n__pycache__/\n")
    pushed = {"id": "code", "bucket": bucket, "folder": "projects/mine"}
    pulled = {"bucket": "{{ code.bucket }}", "folder": "{{ code.folder }}"}
    content = {
        "push": [{"prefect_aws.deployments.steps.push_to_s3": {"requires": "prefect-aws>=0.3", **pushed}}],
        "pull": [{"prefect_aws.deployments.steps.pull_from_s3": pulled}],
        "deployments": [
            {"name": "d", "entrypoint": "flows/etl.py:etl", "work_pool": {"name": "p"}},
        ],
    }
    write("prefect.yaml", yaml.safe_dump(content))
    cli("work-pool", "create", "p", "--type", "process")
    shown = cli("deploy", "--all").stdout
    assert "Pushed 3 files" in shown
    write("flows/etl.py", "raise SystemExit('the local code must not run')\n")
    cli("deployment", "run", "d")
    cli("worker", "start", "--pool", "p", "--run-once")
    runs = cli("flow-run", "ls").stdout
    assert "Completed" in runs, cli("flow-run", "logs", runs.splitlines()[1].split()[0]).stdout
    stored = cli("deployment", "inspect", "d", "-o", "json").stdout
    assert '"folder": "projects/mine"' in stored


def test_a_flow_comes_from_a_bucket_by_its_url(bucket, server, credentials, project_folder, write):
    from runyard import flow
    from runyard.deployments.storage import RemoteStorage

    write("flows/etl.py", "from prefect import flow\n\n@flow\ndef f():\n    return 7\n")
    steps.push_to_s3(bucket, "code", credentials)
    given = {"region": "us-east-1", "endpoint": server, "access_key_id": "test", "secret_access_key": "test"}
    storage = RemoteStorage(f"s3://{bucket}/code", **given)
    assert flow.from_source(storage, "flows/etl.py:f")() == 7
    with pytest.raises(RunyardError, match="contains no files"):
        flow.from_source(RemoteStorage(f"s3://{bucket}/nothing", **given), "flows/etl.py:f")


def test_the_recipe_for_s3_runs(bucket, server, project_folder, monkeypatch):
    for name, value in (("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    cli("init", "--recipe", "s3", "--field", f"bucket={bucket}")
    cli("work-pool", "create", "default-agent-pool", "--type", "process")
    cli("deploy", "--all")
    (project_folder / "flows" / "hello.py").unlink()
    cli("deployment", "run", "hello")
    cli("worker", "start", "--pool", "default-agent-pool", "--run-once")
    assert "Completed" in cli("flow-run", "ls").stdout


def test_the_recipe_for_git_runs(home, project_folder, monkeypatch):
    def git(*arguments):
        who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        subprocess.run(["git", *who, *arguments], check=True, capture_output=True)

    origin = str(project_folder.parent / "origin.git")
    git("init", "--bare", "-b", "main", origin)
    git("init", "-b", "main")
    git("remote", "add", "origin", origin)
    cli("init")
    git("add", ".")
    git("commit", "-m", "first")
    git("push", "-q", "origin", "main")
    cli("work-pool", "create", "default-agent-pool", "--type", "process")
    cli("deploy", "--all")
    (project_folder / "flows" / "hello.py").unlink()
    cli("deployment", "run", "hello")
    cli("worker", "start", "--pool", "default-agent-pool", "--run-once")
    assert "Completed" in cli("flow-run", "ls").stdout


def test_credentials_are_given_or_missing(bucket, server, credentials, project_folder, write, monkeypatch):
    write("a/b.txt", "hello")
    steps.push_to_s3(bucket, "x", credentials=credentials)
    there = project_folder / "there"
    there.mkdir()
    monkeypatch.chdir(there)
    client = {"endpoint_url": server}
    keys = {key: credentials[key] for key in ("aws_access_key_id", "aws_secret_access_key", "region_name")}
    made = steps.pull_from_s3(bucket, "x", credentials=keys, client_parameters=client)
    assert made == {"bucket": bucket, "folder": "x", "directory": str(there)}
    assert (there / "a" / "b.txt").read_text() == "hello"
    with pytest.raises(RunyardError, match="contains no files"):
        steps.pull_from_s3(bucket, "nothing", credentials=credentials)
    settings = {"access_key_id": "test", "secret_access_key": "test", "endpoint": server}
    found = steps.pull_from_remote_storage(f"s3://{bucket}/x", **settings)
    assert (there / found["directory"] / "a" / "b.txt").read_text() == "hello"


def test_a_saved_block_is_pulled(project_folder, write):
    LocalClient().changes()
    (project_folder.parent / "code").mkdir()
    (project_folder.parent / "code" / "x.py").write_text("x = 1\n")
    LocalFileSystem(basepath=str(project_folder.parent / "code")).save("mine")
    made = steps.pull_with_block(block_type_slug="local-file-system", block_document_name="mine")
    assert (project_folder / made["directory"] / "x.py").read_text() == "x = 1\n"


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"prefect.deployments.steps.git_clon": {}}, "step .* not found.*did you mean 'git_clone"),
        (
            {"prefect.deployments.steps.git_clone": {"repo": "x"}},
            "no input 'repo'; did you mean 'repository'",
        ),
        ({"prefect.deployments.steps.git_clone": {}}, "needs the input 'repository'"),
        (
            {"prefect_docker.deployments.steps.build_docker_image": {"tag": "x"}},
            "needs the input 'image_name'",
        ),
        ({"prefect_aws.deployments.steps.push_to_s3": {"buket": "x"}}, "no input 'buket'"),
        ({"prefect.projects.steps.set_working_directry": {}}, "did you mean 'set_working_directory'"),
    ],
)
def test_a_misspelt_step_or_input_is_refused_with_its_place(step, message):
    text = yaml.safe_dump({"pull": [step]})
    with pytest.raises(ProjectError, match=rf"prefect.yaml:\d+:\d+: pull\[0\]: .*{message}"):
        parse_project(text, "prefect.yaml")


def test_names_of_files_for_prefect_lead_to_ours():
    for name in (
        "prefect.deployments.steps.git_clone", "prefect.deployments.steps.pull.git_clone",
        "prefect.projects.steps.git_clone", "git_clone", "runyard.deployments.steps.git_clone",
    ):  # fmt: skip
        assert steps.resolve(name, "prefect-git>=0.1") is steps.git_clone
    assert steps.resolve("prefect_docker.deployments.steps.push_docker_image") is steps.push_docker_image
    assert steps.resolve("prefect_gcp.deployments.steps.push_to_gcs") is steps.push_to_gcs
