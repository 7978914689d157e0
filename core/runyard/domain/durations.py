"""Parse durations, and write durations and times as text for people."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from typing import Any

_UNITS = (("day", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_FULL_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
# Above this number of days, hours are omitted.
_ROUGH_DAYS = 7
_CLOCK_FORM = re.compile(r"(?:(\d+) days?,? )?(\d+):(\d{1,2})(?::(\d{1,2}(?:\.\d+)?))?")
_ISO_FORM = re.compile(
    r"P(?:(\d+(?:\.\d+)?)W)?(?:(\d+(?:\.\d+)?)D)?"
    r"(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?"
)
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")
_SECONDS = {
    "": 1.0, "s": 1.0, "sec": 1.0, "second": 1.0,
    "m": 60.0, "min": 60.0, "minute": 60.0,
    "h": 3600.0, "hr": 3600.0, "hour": 3600.0,
    "d": 86400.0, "day": 86400.0,
    "w": 604800.0, "week": 604800.0,
}  # fmt: skip


def read_duration(value: Any) -> timedelta:
    """The duration of a number of seconds, `1h30m`, `in 2 hours`, `01:30:00` or ISO 8601's `PT90M`.

    Raises:
        ValueError: it is none; says why.
    """
    if isinstance(value, timedelta):
        return value
    text = str(value).strip()
    try:
        if match := _CLOCK_FORM.fullmatch(text):
            days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
            return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        if (match := _ISO_FORM.fullmatch(text.upper())) and any(match.groups()):
            weeks, days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
            return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
        return timedelta(seconds=_seconds(text))
    except OverflowError:
        raise ValueError(f"the duration {text!r} is too long") from None


def _seconds(text: str) -> float:
    invalid = f"invalid duration {text!r}; write 90s, 10m, 1h30m, 01:30:00 or PT90M"
    try:
        number = float(text)
    except ValueError:
        pass
    else:
        if math.isnan(number):
            raise ValueError(invalid)
        return number
    words = text.lower().removeprefix("in ").replace(" and ", " ")
    parts = _PART.findall(words)
    if not parts or _PART.sub("", words).strip(" ,"):
        raise ValueError(invalid)
    seconds = 0.0
    for number_text, unit in parts:
        size = _SECONDS.get(unit) or _SECONDS.get(unit.rstrip("s"))
        if size is None:
            raise ValueError(f"unknown unit {unit!r} of the duration {text!r}; use s, m, h, d or w")
        seconds += float(number_text) * size
    return seconds


def in_words(seconds: float) -> str:
    """A duration with its two largest units: `45 s`, `2 min 5 s`, `3 h`, `1 day 2 h`, `12 days`."""
    whole = max(0, round(seconds))
    if whole == 0:
        return "less than a second" if seconds > 0 else "0 s"
    place = next(index for index, (_, size) in enumerate(_UNITS) if whole >= size)
    unit, size = _UNITS[place]
    count, rest = divmod(whole, size)
    words = f"{count} {_plural(unit, count)}"
    if place == len(_UNITS) - 1 or (unit == "day" and count >= _ROUGH_DAYS):
        return words
    smaller, smaller_size = _UNITS[place + 1]
    return f"{words} {rest // smaller_size} {smaller}" if rest >= smaller_size else words


def in_full(seconds: float) -> str:
    """A duration with all its units: `1 hour 30 minutes`, `45 seconds`, `0.5 seconds`."""
    whole, fraction = divmod(seconds, 1)
    rest, parts = int(whole), []
    for unit, size in _FULL_UNITS:
        count: float
        count, rest = divmod(rest, size)
        count += fraction if unit == "second" else 0
        if count:
            parts.append(f"{count:g} {unit}" if count == 1 else f"{count:g} {unit}s")
    return " ".join(parts) or "0 seconds"


def _plural(unit: str, count: int) -> str:
    return "days" if unit == "day" and count != 1 else unit


def moment_in_words(moment: datetime, now: datetime) -> str:
    """A time and its distance: `2026-11-23 06:00:00 UTC (in 3 h)`."""
    seconds = (moment - now).total_seconds()
    away = f"in {in_words(seconds)}" if seconds > 0 else f"{in_words(-seconds)} ago"
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC ({away})"
