"""The current task run; outside of any task every attribute is None or empty."""

from __future__ import annotations

from functools import partial
from typing import Any

from runyard.engine.context import current_task
from runyard.engine.runtime import runtime_overrides

_NAMES = ("api_url", "id", "name", "parameters", "run_count", "tags", "task_name", "ui_url")

_WITHOUT = {"tags": [], "parameters": {}, "run_count": 0}
_PATH = "runs/task-run"


def __getattr__(name: str) -> Any:
    if name.removeprefix("get_") in _NAMES and name.startswith("get_"):
        return partial(__getattr__, name.removeprefix("get_"))  # Prefect has a function for each too
    return runtime_overrides.attribute("task_run", name, lambda: _value(name), _NAMES)


def __dir__() -> list[str]:
    return sorted(_NAMES)


def _value(name: str) -> Any:
    context = current_task.get()
    if context is None:
        value = _WITHOUT.get(name)
        return type(value)(value) if isinstance(value, (list, dict)) else value
    if name in ("api_url", "ui_url"):
        return (runtime_overrides.api_url if name == "api_url" else runtime_overrides.ui_url)(
            _PATH, context.task_run.id
        )
    if name == "task_name":
        return context.task.name
    if name == "parameters":
        return dict(context.parameters or {})
    if name == "tags":
        return sorted(context.task_run.tags)
    return getattr(context.task_run, name)
