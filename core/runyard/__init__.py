"""Runyard: deployments, work pools and workers for Python workflows. Public names load when asked for."""

from __future__ import annotations

from importlib import import_module

from runyard.base import kept_values
from runyard.base.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runyard import deployments
    from runyard.base.markers import allow_failure, unmapped
    from runyard.client.user_client import get_client
    from runyard.deployments.deploy_from_python import deploy
    from runyard.deployments.run_from_python import run_deployment
    from runyard.domain import states
    from runyard.domain.states import State
    from runyard.engine import runtime
    from runyard.engine.context import tags
    from runyard.engine.futures import as_completed, wait
    from runyard.engine.logging import get_run_logger
    from runyard.engine.transactions import Transaction
    from runyard.sdk.flows import Flow, flow
    from runyard.sdk.pausing import (
        apause_flow_run,
        aresume_flow_run,
        asuspend_flow_run,
        pause_flow_run,
        resume_flow_run,
        suspend_flow_run,
    )
    from runyard.sdk.tasks import Task, task
    from runyard.workers.serve_from_python import aserve, serve

__version__ = VERSION

# Public name -> the module that holds it. A module that is itself public maps to None.
_HOMES: dict[str, str | None] = {
    "Flow": "runyard.sdk.flows",
    "State": "runyard.domain.states",
    "Task": "runyard.sdk.tasks",
    "Transaction": "runyard.engine.transactions",
    "allow_failure": "runyard.base.markers",
    "apause_flow_run": "runyard.sdk.pausing",
    "aresume_flow_run": "runyard.sdk.pausing",
    "as_completed": "runyard.engine.futures",
    "aserve": "runyard.workers.serve_from_python",
    "asuspend_flow_run": "runyard.sdk.pausing",
    "deploy": "runyard.deployments.deploy_from_python",
    "deployments": None,
    "flow": "runyard.sdk.flows",
    "get_client": "runyard.client.user_client",
    "get_run_logger": "runyard.engine.logging",
    "pause_flow_run": "runyard.sdk.pausing",
    "resume_flow_run": "runyard.sdk.pausing",
    "run_deployment": "runyard.deployments.run_from_python",
    "runtime": None,
    "serve": "runyard.workers.serve_from_python",
    "states": None,
    "suspend_flow_run": "runyard.sdk.pausing",
    "tags": "runyard.engine.context",
    "task": "runyard.sdk.tasks",
    "unmapped": "runyard.base.markers",
    "wait": "runyard.engine.futures",
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


def _read_kept(data: dict[str, Any]) -> Any:
    # Not before a state is asked for a result that is not in this process: most never are.
    from runyard.engine.results.result_stores import result_of_reference

    return result_of_reference(data)


kept_values.read_by(_read_kept)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'runyard' has no attribute {name!r}")
    home = _HOMES[name]
    value = import_module(f"runyard.{name}") if home is None else getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
