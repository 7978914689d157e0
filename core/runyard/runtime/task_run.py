"""The task run around the calling code; outside of any task every attribute is None or empty."""

from __future__ import annotations

from typing import Any

from runyard.context import current_task

_NAMES = ("id", "name", "parameters", "run_count", "tags", "task_name")

_WITHOUT = {"tags": [], "parameters": {}, "run_count": 0}


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"runtime.task_run has no attribute {name!r}; it has {', '.join(_NAMES)}")
    context = current_task.get()
    if context is None:
        value = _WITHOUT.get(name)
        return type(value)(value) if isinstance(value, (list, dict)) else value
    if name == "task_name":
        return context.task.name
    if name == "parameters":
        return dict(context.parameters or {})
    if name == "tags":
        return sorted(context.task_run.tags)
    return getattr(context.task_run, name)
