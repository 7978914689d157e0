"""How a row is measured: processes timed in turn with a bare Python, medians, and the limits."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from products import Product


class Skipped(Exception):
    """A row cannot be measured on this machine; says why."""


@dataclass(frozen=True)
class Figure:
    """What was measured.

    Args:
        value: in the row's unit.
        baseline: what the limit's ratio refers to, measured in turn with it, in the same unit.
    """

    value: float
    baseline: float | None = None

    @property
    def ratio(self) -> float | None:
        """The value in baselines."""
        return self.value / self.baseline if self.baseline else None


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        name: for `--only`.
        what: for people.
        unit: `ms`, `/s`, `%` or `MB`.
        measure: takes the product.
        at_most: the greatest value, or the greatest ratio where `of` names a baseline.
        at_least: the least value, or the least ratio where `of` names a baseline.
        more_than: a ratio to stay above, where `of` names a baseline.
        of: what the ratio refers to.
        prefect_factor: how many times Prefect's figure it shall be.
        prefect: whether Prefect has the like.
    """

    name: str
    what: str
    unit: str
    measure: Callable[[Product], Figure]
    at_most: float | None = None
    at_least: float | None = None
    more_than: float | None = None
    of: str = ""
    prefect_factor: float | None = None
    prefect: bool = True

    @property
    def limit(self) -> str:
        """The limit in words."""
        parts = []
        if self.at_most is not None:
            bound = f"{self.at_most:g} times {self.of}" if self.of else f"{self.at_most:g} {self.unit}"
            parts.append(f"at most {bound}")
        if self.at_least is not None:
            bound = f"{self.at_least:g} times {self.of}" if self.of else f"{self.at_least:,.0f} {self.unit}"
            parts.append(f"at least {bound}")
        if self.more_than is not None:
            parts.append(f"more than {self.more_than:g} times {self.of}")
        if self.prefect_factor is not None:
            parts.append(f"{self.prefect_factor:g} times Prefect")
        return ", ".join(parts)

    def passes(self, ours: Figure, theirs: Figure | None) -> bool:
        """Whether the limits are kept, as far as they could be measured."""
        value = ours.ratio if self.of and ours.ratio is not None else ours.value
        return (
            (self.at_most is None or value <= self.at_most)
            and (self.at_least is None or value >= self.at_least)
            and (self.more_than is None or value > self.more_than)
            and (
                self.prefect_factor is None
                or theirs is None
                or ours.value >= self.prefect_factor * theirs.value
            )
        )


def process_times(
    product: Product, *arguments: str, repetitions: int = 15, before: Callable[[], None] | None = None
) -> Figure:
    """Milliseconds of a whole process, in turn with `python -c pass`: medians of both.

    Args:
        before: called before each repetition, untimed.
    """
    ours, bare = [], []
    for turn in range(repetitions + 1):
        if before:
            before()
        empty = _milliseconds(product, (product.python, "-c", "pass"))
        mine = _milliseconds(product, arguments)
        if turn:  # the first reads the files into the page cache
            bare.append(empty)
            ours.append(mine)
    return Figure(statistics.median(ours), statistics.median(bare))


def _milliseconds(product: Product, arguments: tuple[str, ...]) -> float:
    began = time.perf_counter()
    done = subprocess.run(
        arguments,
        env=product.environment,
        cwd=product.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    took = (time.perf_counter() - began) * 1000
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stderr.decode()[-2000:]}")
    return took


def wait_until(reached: Callable[[], bool], seconds: float, what: str) -> None:
    """Look every 20 ms.

    Raises:
        TimeoutError: not within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(0.02)


def descendants(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
            for child in file.read().split():
                found += descendants(int(child))
    return found
