"""Flows loaded from a git repository or a folder, and run, deployed and served from there."""

import asyncio
import os
import subprocess

import pytest
from _yard import a_yard, until
from runyard import Flow, flow
from runyard.base.errors import EntrypointError, InvalidInput, RunyardError
from runyard.blocks.filesystems import LocalFileSystem
from runyard.blocks.system import Secret
from runyard.client import LocalClient
from runyard.deployments.storage import (
    BlockStorageAdapter,
    GitRepository,
    LocalStorage,
    RemoteStorage,
    storage_of,
)
from runyard.operations.deployments.deployments import DeploymentFlowRunCreate, find_deployment
from runyard.operations.flow_runs.create_deployment_run import create_flow_run_from_deployment
from runyard.operations.flow_runs.flow_runs import read_flow_run
from runyard.operations.work_pools.work_pools import WorkPoolCreate, create_work_pool

pytestmark = pytest.mark.usefixtures("git")

CODE = """
from runyard import flow

@flow(log_prints=True)
def remote(number: int = 1):
    import helper_of_remote
    return helper_of_remote.double(number)
"""


def git(folder, *words):
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path):
    """A git repository with a flow, and a branch where it is another one."""
    folder = tmp_path / "flows.git"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "remote_flows.py").write_text(CODE)
    (folder / "src" / "helper_of_remote.py").write_text("def double(n):\n    return n * 2\n")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "one")
    git(folder, "checkout", "-q", "-b", "next")
    (folder / "src" / "remote_flows.py").write_text(CODE + "\n@flow\ndef newer():\n    return 'newer'\n")
    git(folder, "commit", "-q", "-a", "-m", "two")
    git(folder, "checkout", "-q", "main")
    return folder


ENTRYPOINT = "src/remote_flows.py:remote"


def test_from_a_git_address(home, repository):
    loaded = flow.from_source(source=f"file://{repository}", entrypoint=ENTRYPOINT)
    assert isinstance(loaded, Flow)
    assert loaded.name == "remote"
    assert loaded(4) == 8


def test_a_branch_by_a_storage_object(home, repository):
    storage = GitRepository(str(repository), branch="next")
    loaded = Flow.from_source(storage, "src/remote_flows.py:newer")
    assert loaded() == "newer"
    with pytest.raises(EntrypointError, match="newer"):
        Flow.from_source(str(repository), "src/remote_flows.py:newer")


def test_from_a_folder(home, repository):
    for source in (str(repository / "src"), repository / "src", LocalStorage(repository / "src")):
        loaded = flow.from_source(source, "remote_flows.py:remote")
        assert loaded(2) == 4


def test_in_async_code(home, repository):
    async def main():
        first = await flow.from_source(str(repository), ENTRYPOINT)
        second = await Flow.afrom_source(str(repository), ENTRYPOINT)
        return first.name, second.name

    assert asyncio.run(main()) == ("remote", "remote")


def test_deployed_runs_get_the_code_from_the_repository(home, repository, tmp_path):
    with a_yard(tmp_path) as yard:
        loaded = flow.from_source(GitRepository(str(repository)), ENTRYPOINT)
        deployment_id = loaded.with_options(name="remote-two").deploy(
            "from-git", work_pool_name="pool", parameters={"number": 3}, print_next_steps=False
        )
        stored = yard.client.call(find_deployment, "remote-two/from-git")
        assert stored.id == deployment_id
        assert stored.path is None
        assert [*stored.pull_steps[0]] == ["prefect.deployments.steps.git_clone"]
        run = yard.client.call(create_flow_run_from_deployment, deployment_id, DeploymentFlowRunCreate()).id
        yard.worker(run_once=True)
        until(lambda: yard.client.call(read_flow_run, run).state_name == "Completed", "the run")


def test_a_local_storage_is_a_pull_step_too(home, repository):
    client = LocalClient()
    client.call(create_work_pool, WorkPoolCreate(name="pool", type="process"))
    loaded = flow.from_source(str(repository / "src"), "remote_flows.py:remote")
    loaded.deploy("local", work_pool_name="pool", print_next_steps=False)
    stored = client.call(find_deployment, "remote/local")
    step = {"prefect.deployments.steps.set_working_directory": {"directory": str(repository / "src")}}
    assert stored.pull_steps == [step]


@pytest.fixture
def token(home):
    """A saved secret."""
    Secret(value="token").save("deploy-key")
    return Secret.load("deploy-key")


def test_a_token_is_kept_by_the_name_of_its_block(token):
    storage = GitRepository("https://example.com/team/flows.git", credentials={"access_token": token})
    ((_, options),) = storage.to_pull_step().items()
    assert options["credentials"] == {"token": "{{ prefect.blocks.secret.deploy-key }}"}


def test_a_plain_token_is_never_stored(home):
    storage = GitRepository("https://example.com/team/flows.git", credentials={"access_token": "abc"})
    with pytest.raises(InvalidInput, match="secret set"):
        storage.to_pull_step()
    assert "abc" not in repr(storage)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("https://github.com/team/flows.git", GitRepository),
        ("git@github.com:team/flows.git", GitRepository),
        ("git+https://example.com/team/flows", GitRepository),
        ("./here", LocalStorage),
        ("file:///srv/flows", LocalStorage),
        ("s3://bucket/flows", RemoteStorage),
        (LocalFileSystem(basepath="x"), BlockStorageAdapter),
    ],
)
def test_what_a_source_stands_for(source, kind):
    assert isinstance(storage_of(source), kind)


def test_what_is_no_source_is_refused(home, tmp_path):
    with pytest.raises(InvalidInput, match="invalid source"):
        storage_of(3)
    with pytest.raises(InvalidInput, match="unsupported source"):
        storage_of("ftp://host/flows")
    with pytest.raises(InvalidInput, match="not a supported object store URL"):
        RemoteStorage("https://example.com/x")
    with pytest.raises(InvalidInput, match="contains no files"):
        BlockStorageAdapter("x")
    with pytest.raises(InvalidInput, match=r"folder .* not found"):
        flow.from_source(str(tmp_path / "nowhere"), "a.py:b")
    with pytest.raises(RunyardError, match="git"):
        flow.from_source(str(tmp_path / "nowhere.git"), "a.py:b")
    with pytest.raises(InvalidInput, match="not both"):
        GitRepository("x.git", branch="a", commit_sha="abcd")
    with pytest.raises(InvalidInput, match="access_token"):
        GitRepository("x.git", credentials={"username": "me"})


def test_nothing_is_left_in_the_current_folder(home, repository, tmp_path, monkeypatch):
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    flow.from_source(str(repository), ENTRYPOINT)
    assert os.listdir(empty) == []


def test_from_a_saved_block(home, repository):
    client = LocalClient()
    client.call(create_work_pool, WorkPoolCreate(name="pool", type="process"))
    block = LocalFileSystem(basepath=str(repository / "src"))
    with pytest.raises(RunyardError, match="save"):
        flow.from_source(block, "remote_flows.py:remote").to_deployment("x").to_apply()
    assert block.save("code")
    loaded = flow.from_source(LocalFileSystem.load("code"), "remote_flows.py:remote")
    loaded.deploy("blocked", work_pool_name="pool", print_next_steps=False)
    step = {"block_document_name": "code", "block_type_slug": "local-file-system"}
    stored = client.call(find_deployment, "remote/blocked")
    assert stored.pull_steps == [{"prefect.deployments.steps.pull_with_block": step}]


def test_a_secret_of_an_object_store_is_kept_by_its_block(token):
    storage = RemoteStorage("s3://bucket/flows", region="eu-1", secret_access_key=token)
    assert storage.to_pull_step() == {
        "prefect.deployments.steps.pull_from_remote_storage": {
            "url": "s3://bucket/flows",
            "region": "eu-1",
            "secret_access_key": "{{ prefect.blocks.secret.deploy-key }}",
        }
    }
    with pytest.raises(InvalidInput, match="secret set"):
        RemoteStorage("s3://bucket/flows", secret_access_key="abc").to_pull_step()
