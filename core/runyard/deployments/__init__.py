"""Deployments: reading a project file, planning what it declares, loading flows, running steps."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runyard.deployments.run import run_deployment

__all__ = ["run_deployment"]


def __getattr__(name: str) -> Any:
    # Lazy: a flow that calls another deployment should not pay for reading project files.
    if name in __all__:
        from runyard.deployments import run

        return getattr(run, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
