"""What scripts take from `prefect.deployments`, `prefect.runner`, `prefect.docker` and `prefect.projects`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runyard.deployments.docker_images import DockerImage
    from runyard.deployments.legacy import Deployment
    from runyard.deployments.run_deployment import arun_deployment, run_deployment
    from runyard.deployments.runner import RunnerDeployment, deploy
    from runyard.workers.serving_deployments import Runner, serve

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

# `prefect.deployments.runner` and the like are found by the import hook, below a package only.
__path__: list[str] = []


def __getattr__(name: str) -> Any:
    # Late: a flow that calls another deployment should not pay for reading project files.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in ("Runner", "serve"):
        from runyard.workers import serving_deployments

        return getattr(serving_deployments, name)
    from runyard import deployments

    return getattr(deployments, name)
