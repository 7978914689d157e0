"""A schedule in words, and its time zone."""

from __future__ import annotations

from typing import Any

from runyard_cli.shared import output as out
from runyard_cli.shared.times import every


def describe_schedule(spec: Any) -> str:
    """A schedule in a few words, such as `cron: 0 6 * * * (Europe/Berlin)`."""
    from runyard.domain.schedules.rrule import shown

    fields = spec if isinstance(spec, dict) else out.to_json(spec)
    zone = fields.get("timezone")
    for kind in ("cron", "interval", "rrule", "at"):
        if fields.get(kind) is not None:
            if kind == "interval":
                text = every(fields[kind])
            elif kind == "rrule":
                text = f"rrule: {shown(fields[kind])}"
            else:
                text = f"{kind}: {fields[kind]}"
            return f"{text} ({zone})" if zone else text
    return str(fields)


def zone_of(spec: dict[str, Any]) -> str:
    """The name of a schedule's time zone."""
    from runyard.domain.schedules.instants import parse

    return getattr(parse(spec), "timezone", None) or "UTC"
