"""Runyard: deployments, work pools and workers for Python workflows. Public names load when asked for."""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runyard import deployments, runtime, states
    from runyard.context import tags
    from runyard.deployments.run import run_deployment
    from runyard.deployments.runner import deploy
    from runyard.deployments.serving import aserve, serve
    from runyard.flows import Flow, flow
    from runyard.futures import as_completed, wait
    from runyard.logging import get_run_logger
    from runyard.markers import allow_failure, unmapped
    from runyard.pausing import (
        apause_flow_run,
        aresume_flow_run,
        asuspend_flow_run,
        pause_flow_run,
        resume_flow_run,
        suspend_flow_run,
    )
    from runyard.sdk_client import get_client
    from runyard.states import State
    from runyard.tasks import Task, task
    from runyard.transactions import Transaction

__version__ = "0.1.0"

# Public name -> the module that holds it. A module that is itself public maps to None.
_HOMES: dict[str, str | None] = {
    "Flow": "runyard.flows",
    "State": "runyard.states",
    "Task": "runyard.tasks",
    "Transaction": "runyard.transactions",
    "allow_failure": "runyard.markers",
    "apause_flow_run": "runyard.pausing",
    "aresume_flow_run": "runyard.pausing",
    "as_completed": "runyard.futures",
    "aserve": "runyard.deployments.serving",
    "asuspend_flow_run": "runyard.pausing",
    "deploy": "runyard.deployments.runner",
    "deployments": None,
    "flow": "runyard.flows",
    "get_client": "runyard.sdk_client",
    "get_run_logger": "runyard.logging",
    "pause_flow_run": "runyard.pausing",
    "resume_flow_run": "runyard.pausing",
    "run_deployment": "runyard.deployments.run",
    "runtime": None,
    "serve": "runyard.deployments.serving",
    "states": None,
    "suspend_flow_run": "runyard.pausing",
    "tags": "runyard.context",
    "task": "runyard.tasks",
    "unmapped": "runyard.markers",
    "wait": "runyard.futures",
}

__all__ = [
    "Flow",
    "State",
    "Task",
    "Transaction",
    "allow_failure",
    "apause_flow_run",
    "aresume_flow_run",
    "as_completed",
    "aserve",
    "asuspend_flow_run",
    "deploy",
    "deployments",
    "flow",
    "get_client",
    "get_run_logger",
    "pause_flow_run",
    "resume_flow_run",
    "run_deployment",
    "runtime",
    "serve",
    "states",
    "suspend_flow_run",
    "tags",
    "task",
    "unmapped",
    "wait",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'runyard' has no attribute {name!r}")
    home = _HOMES[name]
    value = import_module(f"runyard.{name}") if home is None else getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
