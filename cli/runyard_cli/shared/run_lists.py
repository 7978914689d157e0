"""What lists of flow runs and of task runs share: the filter by state, the time that is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from runyard.base.suggestions import did_you_mean

if TYPE_CHECKING:
    from datetime import timedelta

# Below this many seconds a duration is shown with a fraction.
_EXACT_SECONDS = 10


def state_filter(names: list[str], types: list[str]) -> dict[str, Any]:
    """The `state` part of a run filter.

    Args:
        names: state names in any case; `late` and `Late` are the same.
        types: state types in any case.

    Raises:
        typer.BadParameter: one of `types` is none.
    """
    from runyard.domain.states import STATE_TYPES

    found: dict[str, Any] = {}
    if names:
        found["name"] = {"any_": [_state_name(name) for name in names]}
    if types:
        upper = [kind.upper() for kind in types]
        for kind in upper:
            if kind not in STATE_TYPES:
                raise typer.BadParameter(
                    f"unknown state type {kind!r}; it is one of {', '.join(STATE_TYPES)}."
                )
        found["type"] = {"any_": upper}
    return {"state": found} if found else {}


_NAMES = (
    *("Scheduled", "Late", "AwaitingRetry", "AwaitingConcurrencySlot", "Resuming", "Pending", "Submitting"),
    *("Running", "Retrying", "Paused", "Suspended", "Cancelling", "Cancelled", "Completed", "Cached"),
    *(
        "Failed",
        "TimedOut",
        "Crashed",
        "Skipped",
        "NotReady",
        "RolledBack",
        "Rerunning",
        "InfrastructurePending",
    ),
)


def _state_name(name: str) -> str:
    known = {each.lower(): each for each in _NAMES}
    return known.get(name.lower(), name)


def unknown_state(states: list[str]) -> str | None:
    """What to say of a misspelt state, which would hide every run; code may make names of its own, too."""
    for name in states:
        if _state_name(name) not in _NAMES:
            return f"Unknown state {name!r}{did_you_mean(name, _NAMES) or '.'}"
    return None


def no_runs(what: str, states: list[str], filtered: bool, first: str) -> str:
    """What an empty list says.

    Args:
        what: `flow runs` or `task runs`.
        states: the states that the list is of.
        filtered: whether it leaves out any run.
        first: the command that makes the first run.
    """
    if unknown := unknown_state(states):
        return f"No {what}. {unknown}"
    return f"No {what} match." if filtered else f"No {what}; start one with: {first}"


def started(run: Any) -> Any:
    """When a run started, or is expected to: what --since and --until compare."""
    return run.start_time or run.expected_start_time


def took(length: timedelta) -> str:
    """How long a run took: `120 ms`, `2.5 s`, `2 min 5 s`."""
    from runyard.domain.durations import in_words

    seconds = length.total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < _EXACT_SECONDS else in_words(seconds)


def run_time(run: Any) -> str | None:
    """How long a run has run so far; None if it has not begun."""
    return None if run.start_time is None else took(run.estimated_run_time)
