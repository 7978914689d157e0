"""The details of a state: a dict whose known keys are also attributes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from runyard.base import clock

_MOMENTS = frozenset(("cache_expiration", "pause_timeout", "scheduled_time"))
_OTHERS = frozenset(
    (
        "cache_key",
        "child_flow_run_id",
        "deferred",
        "flow_run_id",
        "pause_key",
        "pause_reschedule",
        "refresh_cache",
        "retriable",
        "run_input_keyset",
        "task_parameters_id",
        "task_run_id",
        "transition_id",
        "untrackable_result",
    )
)


class StateDetails(dict[str, Any]):
    """Details with the names of the REST API. As in the database, times and ids are strings.

    As attributes, times are aware datetimes, and a missing detail is None.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name in _OTHERS:
            return self.get(name)
        if name in _MOMENTS:
            value = self.get(name)
            return clock.parse_time(value) if isinstance(value, str) else value
        raise AttributeError(f"unknown state detail {name!r}")


def checked(details: dict[str, Any]) -> dict[str, Any]:
    """Check the details of a proposed state.

    Returns:
        The details with their times in UTC.

    Raises:
        ValueError: a time is invalid, or `run_input_keyset` is invalid.
    """
    found = dict(details)
    for name in _MOMENTS & found.keys():
        if found[name] is not None:
            found[name] = _moment(name, found[name])
    keys = found.get("run_input_keyset")
    if keys and not (
        isinstance(keys, dict)
        and {"schema", "response"} <= keys.keys()
        and all(isinstance(key, str) for key in keys.values())
    ):
        raise ValueError("run_input_keyset must be an object with the names of `schema` and `response`")
    return found


def _moment(name: str, value: Any) -> str:
    try:
        return clock.format_time(
            clock.as_utc(value) if isinstance(value, datetime) else clock.parse_time(value)
        )
    except (TypeError, ValueError):
        raise ValueError(f"invalid time {name}; write it as 2026-01-31T08:00:00Z") from None
