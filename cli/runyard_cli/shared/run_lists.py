"""What lists of flow runs and of task runs share: the filter by state, the time that is shown."""

from __future__ import annotations

from typing import Any

import typer
from runyard.base.suggestions import did_you_mean

from runyard_cli.shared import output as out


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


def no_runs(what: str, states: list[str]) -> str:
    """What an empty list says: a misspelt state would hide every run, and code may make names of its own."""
    for name in states:
        if _state_name(name) not in _NAMES:
            return f"No {what}; unknown state {name!r}{did_you_mean(name, _NAMES)}"
    return f"No {what}."


def when(run: Any) -> str:
    """When a waiting run is due, else when it entered its state."""
    if run.state_type == "SCHEDULED":
        return out.ago(run.next_scheduled_start_time or run.expected_start_time)
    return out.ago(run.state.timestamp if run.state else None)
