"""The names of `prefect.types._datetime` that scripts use: times with time zones."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from runyard.operations.schemas import Time as DateTime

__all__ = [
    "Date",
    "DateTime",
    "Duration",
    "create_datetime_instance",
    "from_timestamp",
    "human_friendly_diff",
    "in_local_tz",
    "now",
    "parse_datetime",
    "to_datetime_string",
]

Date, Duration = date, timedelta
# A unit and its seconds; a difference is shown in its largest unit.
_UNITS = (
    ("year", 365 * 86400), ("month", 30 * 86400), ("week", 7 * 86400), ("day", 86400), ("hour", 3600),
    ("minute", 60),
)  # fmt: skip
_FEW = 45


def _zone(tz: str | tzinfo) -> tzinfo:
    return ZoneInfo(tz) if isinstance(tz, str) else tz


def now(tz: str | tzinfo = "UTC") -> datetime:
    """The current time in a time zone."""
    return datetime.now(_zone(tz))


def from_timestamp(ts: float, tz: str | tzinfo = "UTC") -> datetime:
    """A time in seconds since 1970, in a time zone."""
    return datetime.fromtimestamp(ts, _zone(tz))


def create_datetime_instance(v: datetime) -> datetime:
    """Add the time zone UTC to a naive time."""
    return v.replace(tzinfo=UTC) if v.tzinfo is None else v


def parse_datetime(dt: str) -> datetime:
    """Parse an ISO 8601 text; without a time zone it is UTC.

    Raises:
        ValueError: it is invalid.
    """
    return create_datetime_instance(datetime.fromisoformat(dt))


def in_local_tz(dt: datetime) -> datetime:
    """The same time in this machine's time zone."""
    return create_datetime_instance(dt).astimezone()


def to_datetime_string(dt: datetime, include_tz: bool = True) -> str:
    """Such as `2024-01-02 03:04:05 UTC`."""
    return dt.strftime("%Y-%m-%d %H:%M:%S %Z" if include_tz else "%Y-%m-%d %H:%M:%S")


def human_friendly_diff(dt: datetime | None, other: datetime | None = None) -> str:
    """The difference of two times for people: `3 hours ago`, `in 2 days`, `1 week before`.

    Args:
        other: the time to compare with; default: now.
    """
    if dt is None:
        return ""
    against = create_datetime_instance(other) if other is not None else now()
    seconds = (create_datetime_instance(dt) - against).total_seconds()
    amount = _amount(abs(seconds))
    if other is not None:
        return f"{amount} {'after' if seconds > 0 else 'before'}"
    return f"in {amount}" if seconds > 0 else f"{amount} ago"


def _amount(seconds: float) -> str:
    for unit, size in _UNITS:
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "a few seconds" if seconds < _FEW else f"{int(seconds)} seconds"
