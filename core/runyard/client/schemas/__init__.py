"""Models for users of `get_client()`: filters, sort values, and the bodies and responses of the API."""

from typing import Any

from runyard.client.schemas import actions, filters, objects, responses, sorting
from runyard.client.schemas import schedule_models as schedules

__all__ = ["actions", "filters", "objects", "responses", "schedules", "sorting"]


def __getattr__(name: str) -> Any:
    for module in (objects, actions, responses):
        if name in module.__all__:
            return getattr(module, name)
    raise AttributeError(f"module 'runyard.client.schemas' has no attribute {name!r}")
