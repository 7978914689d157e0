"""Shapes for users of `get_client()`: filters, sort values, and what the API shows and takes."""

from typing import Any

from runyard.client_schemas import actions, filters, objects, responses, schedules, sorting

__all__ = ["actions", "filters", "objects", "responses", "schedules", "sorting"]


def __getattr__(name: str) -> Any:
    for module in (objects, actions, responses):
        if name in module.__all__:
            return getattr(module, name)
    raise AttributeError(f"module 'runyard.client_schemas' has no attribute {name!r}")
