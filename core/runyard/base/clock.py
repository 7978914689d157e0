"""Times: aware UTC datetimes in Python, integer microseconds since 1970 in the database."""

import time
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_BOOT_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


# Two clocks that differ by less are taken to agree.
_AGREED_US = 1_000_000
# By how much this machine's clock is behind that of the API or the database's server.
_behind_us = 0


def now() -> datetime:
    """The present, as an aware UTC datetime."""
    return datetime.now(UTC) + timedelta(microseconds=_behind_us) if _behind_us else datetime.now(UTC)


def now_us() -> int:
    """The present, in microseconds since 1970 UTC."""
    return time.time_ns() // 1000 + _behind_us


def agree(there_us: int, asked_us: int, answered_us: int) -> None:
    """Go by the clock of another machine from now on, where it differs from this one's.

    What machines record of one run is told in one time then, whatever their own clocks say.

    Args:
        there_us: the present there, told between two moments here.
    """
    global _behind_us
    if there_us > answered_us + _AGREED_US:
        _behind_us += there_us - answered_us
    elif there_us < asked_us - _AGREED_US:
        _behind_us += there_us - asked_us


def agreed_us(moment_us: int) -> int:
    """A moment that this machine's clock told, by the clock that `now` goes by."""
    return moment_us + _behind_us


def to_us(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime; a naive one is taken as UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // _MICROSECOND


def from_us(microseconds: int) -> datetime:
    """The aware UTC datetime of `microseconds` since 1970; the last or first one there is, where none is.

    A database that was written by another program may have anything there: what is no number is 1970.
    """
    try:
        return EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return _LAST if microseconds > 0 else _FIRST
    except TypeError:
        return EPOCH


def span_of(microseconds: int) -> timedelta:
    """So long a time; none where there is no such one."""
    try:
        return timedelta(microseconds=microseconds)
    except (OverflowError, TypeError):
        return timedelta()


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds and a `Z`, the form used on the wire."""
    # Not by strftime, which writes the year 1 without its zeros.
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def parse_time(text: str) -> datetime:
    """The aware UTC datetime of an ISO 8601 text; without an offset it is taken as UTC.

    Raises:
        ValueError: `text` is no ISO 8601 date and time, or before the year 1 or after 9999 in UTC.
    """
    return as_utc(datetime.fromisoformat(text))


def as_utc(moment: datetime) -> datetime:
    """The same moment in UTC; a naive one is taken as UTC.

    Raises:
        ValueError: there it is before the year 1 or after the year 9999.
    """
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{moment.isoformat()} is before the year 1 or after 9999 in UTC") from None


def boot_seconds() -> float:
    """Seconds since this machine started, sleep included where the system tells; nobody sets it."""
    return time.clock_gettime(_BOOT_CLOCK) if _BOOT_CLOCK is not None else time.monotonic()
