"""Durations and times as text for people."""

from __future__ import annotations

from datetime import datetime

_UNITS = (("day", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
# Above this number of days, hours are omitted.
_ROUGH_DAYS = 7


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


def _plural(unit: str, count: int) -> str:
    return "days" if unit == "day" and count != 1 else unit


def moment_in_words(moment: datetime, now: datetime) -> str:
    """A time and its distance: `2026-11-23 06:00:00 UTC (in 3 h)`."""
    seconds = (moment - now).total_seconds()
    away = f"in {in_words(seconds)}" if seconds > 0 else f"{in_words(-seconds)} ago"
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC ({away})"
