"""The places where Prefect's users import what serves, deploys, draws and runs in the background."""

import pytest
from runyard.compat import imports

LINES = """
from prefect import serve, deploy, aserve
from prefect.task_worker import serve, TaskWorker
from prefect.deployments import deploy, run_deployment, arun_deployment
from prefect.deployments.runner import RunnerDeployment, EntrypointType, deploy, adeploy
from prefect.runner import Runner, serve
from prefect.runner.runner import Runner
from prefect.runner.storage import GitRepository, LocalStorage, RemoteStorage, BlockStorageAdapter
from prefect.flows import Flow, serve, aserve, deploy, load_flow_from_entrypoint
from prefect.main import flow, task
from prefect.docker import DockerImage
from prefect.docker.docker_image import DockerImage
from prefect.schedules import Cron, Interval, RRule, Schedule
from prefect.types.entrypoint import EntrypointType
from prefect.futures import PrefectDistributedFuture
from prefect.utilities.visualization import FlowVisualizationError, VisualizationUnsupportedError
"""


@pytest.fixture(autouse=True)
def hook(home):
    imports.uninstall()
    imports.install(deployed=True)
    yield
    imports.uninstall()


@pytest.mark.parametrize("line", LINES.strip().splitlines())
def test_it_is_there(line):
    names: dict = {}
    exec(line, names)
    assert all(value is not None for name, value in names.items() if name[0] != "_")


def test_the_same_thing_at_every_place():
    names: dict = {}
    exec(
        "import prefect.flows, prefect.runner, prefect.deployments.runner\n"
        "from prefect import serve, deploy, flow\n"
        "same = serve is prefect.flows.serve is prefect.runner.serve\n"
        "also = deploy is prefect.deployments.runner.deploy is prefect.deployments.deploy\n"
        "sources = callable(flow.from_source)",
        names,
    )
    assert names["same"]
    assert names["also"]
    assert names["sources"]
