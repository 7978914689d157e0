"""How the starts were spread over the workers of a soak."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

# A worker counts that could work for so long; below this share of the median's starts a minute it is starved.
LONG_SECONDS = 20.0
SHARE = 0.1


@dataclass
class Life:
    """One worker, from its start to its end (monotonic), and for how long it was stopped meanwhile."""

    name: str
    began: float
    ended: float | None = None
    stopped: float = 0.0


@dataclass
class Spread:
    """Starts a minute of the workers that could work long enough: the least, the median and the most."""

    least: float = 0.0
    median: float = 0.0
    most: float = 0.0
    workers: int = 0

    def __str__(self) -> str:
        return f"{self.least:.0f} / {self.median:.0f} / {self.most:.0f} of {self.workers}"


def spread(lives: list[Life], starts: list[tuple[float, str]]) -> tuple[Spread, list[str]]:
    """The spread, and a line for each worker that was starved.

    Args:
        lives: of the workers.
        starts: when a run began and under which worker; counted as long as nine in ten had not begun, so
            that there was work for all.
    """
    if not starts:
        return Spread(), []
    starts = sorted(starts)
    until = starts[len(starts) * 9 // 10][0]
    rates = {}
    for life in lives:
        seconds = min(life.ended or until, until) - life.began - life.stopped
        if seconds >= LONG_SECONDS:
            count = sum(1 for moment, name in starts if name == life.name and moment <= until)
            rates[life.name] = 60 * count / seconds
    if not rates:
        return Spread(), []
    median = statistics.median(rates.values())
    starved = [
        f"starved: {name} began {rate:.1f} runs a minute, the median is {median:.1f}"
        for name, rate in rates.items()
        if rate < SHARE * median
    ]
    return Spread(min(rates.values()), median, max(rates.values()), len(rates)), starved
