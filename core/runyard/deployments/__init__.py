"""Deployments: reading a project file, planning what it declares, loading flows, running steps."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runyard.deployments.images import DockerImage
    from runyard.deployments.legacy import Deployment
    from runyard.deployments.run import arun_deployment, run_deployment
    from runyard.deployments.runner import RunnerDeployment, deploy
    from runyard.deployments.serving import Runner, serve

__all__ = [
    "Deployment",
    "DockerImage",
    "Runner",
    "RunnerDeployment",
    "arun_deployment",
    "deploy",
    "run_deployment",
    "serve",
]

_HOMES = {
    "Deployment": "legacy",
    "DockerImage": "images",
    "Runner": "serving",
    "RunnerDeployment": "runner",
    "deploy": "runner",
    "serve": "serving",
}


def __getattr__(name: str) -> Any:
    # Lazy: a flow that calls another deployment should not pay for reading project files.
    if name in __all__:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'run')}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
