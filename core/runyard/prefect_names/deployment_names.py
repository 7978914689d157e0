"""The names of `prefect.deployments`, `.runner`, `.docker` and `.projects` that scripts use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runyard.deployments.deploy_from_python import RunnerDeployment, deploy
    from runyard.deployments.docker_images import DockerImage
    from runyard.deployments.legacy import Deployment
    from runyard.deployments.run_from_python import arun_deployment, run_deployment
    from runyard.workers.serve_from_python import Runner, serve

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

# The import hook finds `prefect.deployments.runner` and similar modules only below a package.
__path__: list[str] = []


def __getattr__(name: str) -> Any:
    # Imported late: a flow that calls another deployment should not load the code for project files.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in ("Runner", "serve"):
        # Most scripts that import this module serve nothing (220 ms).
        from runyard.workers import serve_from_python

        return getattr(serve_from_python, name)
    from runyard import deployments

    return getattr(deployments, name)
