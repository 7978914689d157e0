"""Deployments: reads a project file, plans its deployments, loads flows, runs steps."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runyard.deployments.deploy_from_python import RunnerDeployment, deploy
    from runyard.deployments.docker_images import DockerImage
    from runyard.deployments.legacy import Deployment
    from runyard.deployments.run_from_python import arun_deployment, run_deployment

__all__ = [
    "Deployment",
    "DockerImage",
    "RunnerDeployment",
    "arun_deployment",
    "deploy",
    "run_deployment",
]

_HOMES = {
    "Deployment": "runyard.deployments.legacy",
    "DockerImage": "runyard.deployments.docker_images",
    "RunnerDeployment": "runyard.deployments.deploy_from_python",
    "deploy": "runyard.deployments.deploy_from_python",
}


def __getattr__(name: str) -> Any:
    # Imported late: a flow that calls another deployment should not load the code for project files.
    if name in __all__:
        from importlib import import_module

        return getattr(import_module(_HOMES.get(name, "runyard.deployments.run_from_python")), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
