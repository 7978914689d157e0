"""The further facts of a state: a dict, whose known keys are attributes too."""

from __future__ import annotations

from typing import Any

from runyard import clock

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
    """Facts by the names of the REST reference, as in the database: moments are texts, ids too.

    As attributes, moments are aware datetimes, and a fact that is not known is None.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name in _OTHERS:
            return self.get(name)
        if name in _MOMENTS:
            value = self.get(name)
            return clock.parse_time(value) if isinstance(value, str) else value
        raise AttributeError(f"states have no detail {name!r}")
