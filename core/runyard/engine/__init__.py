"""The engine: runs flows and tasks in this process, and writes down what happens."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def __getattr__(name: str) -> Any:
    # Where Prefect 2 had them.
    if name in ("pause_flow_run", "resume_flow_run", "suspend_flow_run"):
        from runyard.sdk import pausing

        return getattr(pausing, name)
    raise AttributeError(f"module 'runyard.engine' has no attribute {name!r}")
