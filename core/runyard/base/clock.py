"""Times: aware UTC datetimes in Python, integer microseconds since 1970 in the database."""

import time
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_BOOT_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


# Clocks that differ by less count as equal.
_AGREED_US = 1_000_000
# How far this machine's clock is behind the clock of the API or the database's server.
_behind_us = 0


def now() -> datetime:
    """The current time as an aware UTC datetime."""
    return datetime.now(UTC) + timedelta(microseconds=_behind_us) if _behind_us else datetime.now(UTC)


def now_us() -> int:
    """The current time in microseconds since 1970 UTC."""
    return time.time_ns() // 1000 + _behind_us


def agree(there_us: int, asked_us: int, answered_us: int) -> None:
    """Use the clock of another machine from now on, if it differs from this machine's clock.

    So all machines record the times of one run by the same clock.

    Args:
        there_us: the other machine's time, read between `asked_us` and `answered_us` of this machine.
    """
    global _behind_us
    if there_us > answered_us + _AGREED_US:
        _behind_us += there_us - answered_us
    elif there_us < asked_us - _AGREED_US:
        _behind_us += there_us - asked_us


def agreed_us(moment_us: int) -> int:
    """Convert a time of this machine's clock to the clock that `now` uses."""
    return moment_us + _behind_us


def to_us(moment: datetime) -> int:
    """Convert an aware datetime to microseconds since 1970; a naive one counts as UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // _MICROSECOND


def from_us(microseconds: int) -> datetime:
    """Convert microseconds since 1970 to an aware UTC datetime.

    Another program may have written any value into the database: a value out of range becomes the first or
    last datetime, and a value that is not a number becomes 1970.
    """
    try:
        return EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return _LAST if microseconds > 0 else _FIRST
    except TypeError:
        return EPOCH


def span_of(microseconds: int) -> timedelta:
    """Convert microseconds to a timedelta; an invalid value becomes zero."""
    try:
        return timedelta(microseconds=microseconds)
    except (OverflowError, TypeError):
        return timedelta()


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds and a `Z`, the format of the API."""
    # strftime writes the year 1 without leading zeros.
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def parse_time(text: str) -> datetime:
    """Parse an ISO 8601 text to an aware UTC datetime; without an offset it counts as UTC.

    Raises:
        ValueError: `text` is not an ISO 8601 date and time, or before the year 1 or after 9999 in UTC.
    """
    return as_utc(datetime.fromisoformat(text))


def as_utc(moment: datetime) -> datetime:
    """Convert a datetime to UTC; a naive one counts as UTC.

    Raises:
        ValueError: in UTC, it is before the year 1 or after the year 9999.
    """
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{moment.isoformat()} is before the year 1 or after 9999 in UTC") from None


def boot_seconds() -> float:
    """Seconds since this machine started, including sleep if the system supports it.

    No user can set this clock.
    """
    return time.clock_gettime(_BOOT_CLOCK) if _BOOT_CLOCK is not None else time.monotonic()
