"""Showing log records, once or as they come."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from runyard_cli import output as out
from runyard_cli.api import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runyard.client import Client

_LEVELS = {10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"}
_COLOURS = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "bright_red", "DEBUG": "bright_black"}

# Several processes write a run's records (the run itself, its worker), each a little late; a record
# may so appear this much after one that is younger.
_LATENESS = timedelta(seconds=5)


def log_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--head`, `--tail`, `--num-logs`, `--reverse` and `--level`."""
    names = click.Choice([name for _, name in sorted(_LEVELS.items())], case_sensitive=False)
    for option in (
        click.option("--level", type=names, help="Only records of this level or above."),
        click.option("-r", "--reverse", is_flag=True, help="The newest first."),
        click.option("-n", "--num-logs", type=click.IntRange(1), help="How many; 20 with --head or --tail."),
        click.option("-t", "--tail", is_flag=True, help="Only the last ones."),
        click.option("--head", is_flag=True, help="Only the first ones."),
    ):
        function = option(function)
    return function


def select(
    client: Client,
    whose: dict[str, Any],
    *,
    head: bool,
    tail: bool,
    num_logs: int | None,
    reverse: bool,
    level: str | None,
) -> list[Any]:
    """The log records that `log_options` ask for.

    Args:
        whose: a log filter, by the API's names.
        head, tail, num_logs, reverse, level: the options.

    Raises:
        click.UsageError: both ends were asked for.
    """
    from runyard.operations import logs

    if head and tail:
        raise click.UsageError("--head and --tail exclude each other.")
    criteria = {**whose, "level": {"ge_": _number(level)}} if level else whose
    limit = num_logs or (20 if head or tail else None)
    backwards = tail or (reverse and not head)
    sort = "TIMESTAMP_DESC" if backwards else "TIMESTAMP_ASC"
    records = list(listed(client, logs.filter_logs, logs=criteria, sort=sort, limit=limit))
    return records if backwards == reverse else records[::-1]


def _number(level: str) -> int:
    return next(number for number, name in _LEVELS.items() if name == level.upper())


def print_logs(records: Iterable[Any], names: Callable[[Any], str]) -> None:
    """One line a record: local time, level, which run, message.

    Args:
        names: gives the words for the run a record belongs to.
    """
    for record in records:
        level = _LEVELS.get(record.level, str(record.level))
        line = f"{out.local(record.timestamp)} | {level:<7} | {names(record)} - {record.message}"
        click.echo(click.style(line, fg=_COLOURS[level]) if level in _COLOURS else line)


class LogTail:
    """The records of a flow run that were not seen yet.

    Args:
        client: where to look.
        flow_run_id: whose.
        level: only records of this level or above.
    """

    def __init__(self, client: Client, flow_run_id: str, level: str | None = None) -> None:
        self._client = client
        self._least = {"level": {"ge_": _number(level)}} if level else {}
        self._flow_run_id = flow_run_id
        self._newest: Any = None
        self._seen: dict[str, Any] = {}

    def fresh(self) -> list[Any]:
        """All that came since the last call, the oldest first."""
        from runyard.operations import logs

        criteria: dict[str, Any] = {"flow_run_id": {"any_": [self._flow_run_id]}, **self._least}
        if self._newest is not None:
            criteria["timestamp"] = {"after_": self._newest - _LATENESS}
        found = [
            record
            for record in listed(self._client, logs.filter_logs, logs=criteria, sort="TIMESTAMP_ASC")
            if record.id not in self._seen
        ]
        for record in found:
            self._seen[record.id] = record.timestamp
        if found:
            self._newest = max(self._seen.values())
            keep = self._newest - _LATENESS
            self._seen = {key: when for key, when in self._seen.items() if when >= keep}
        return found


def run_names(flow_run: Any) -> Callable[[Any], str]:
    """The words for the run a record of `flow_run` belongs to."""
    own = f"Flow run '{flow_run.name}'"
    return lambda record: own if not record.task_run_id else f"Task run {record.task_run_id[-8:]}"
