"""Showing log records, once or as they come."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from runyard.base.texts import visible

from runyard_cli.shared import output as out
from runyard_cli.shared.app import WrongUsage
from runyard_cli.shared.client import listed
from runyard_cli.shared.coercion import one_of
from runyard_cli.shared.options import option, whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runyard.client import Client

_LEVELS = {10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"}
_COLOURS = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "bright_red", "DEBUG": "bright_black"}

# Several processes write a run's records (the run itself, its worker), each a little late; a record
# may so appear this much after one that is younger.
_LATENESS = timedelta(seconds=5)

# How many task runs to ask for in one filter.
_AT_ONCE = 200


Level = Annotated[
    str | None,
    option(
        "--level",
        metavar="LEVEL",
        parser=one_of([name for _, name in sorted(_LEVELS.items())]),
        help="Only records of this level or above.",
    ),
]
Reverse = Annotated[bool, option("-r", "--reverse", help="The newest first.")]
NumLogs = Annotated[
    int | None, whole("-n", "--num-logs", least=1, help="How many; 20 with --head or --tail.")
]
Tail = Annotated[bool, option("-t", "--tail", help="Only the last ones.")]
Head = Annotated[bool, option("--head", help="Only the first ones.")]


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
    """The log records that the options of `logs` ask for.

    Args:
        whose: a log filter, by the API's names.
        head, tail, num_logs, reverse, level: the options.

    Raises:
        WrongUsage: both ends were asked for.
    """
    from runyard.operations.records import logs

    if head and tail:
        raise WrongUsage("--head and --tail exclude each other.")
    criteria = {**whose, "level": {"ge_": _number(level)}} if level else whose
    limit = num_logs or (20 if head or tail else None)
    backwards = tail or (reverse and not head)
    sort = "TIMESTAMP_DESC" if backwards else "TIMESTAMP_ASC"
    records = list(listed(client, logs.filter_logs, logs=criteria, sort=sort, limit=limit))
    return records if backwards == reverse else records[::-1]


def _number(level: str) -> int:
    return next(number for number, name in _LEVELS.items() if name == level.upper())


def log_line(record: Any, name: str) -> str:
    """A record as people read it: local time, level, which run, message."""
    level = _LEVELS.get(record.level, str(record.level))
    message = visible(record.message, colours=True)
    line = f"{out.local(record.timestamp)} | {level:<7} | {visible(name)} - {message}"
    return typer.style(line, fg=_COLOURS[level]) if level in _COLOURS else line


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
        from runyard.operations.records import logs

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


class RunNames:
    """The words for the runs that the records of a flow run belong to.

    Args:
        client: where the names of its task runs are.
        flow_run: the run.
    """

    def __init__(self, client: Client, flow_run: Any) -> None:
        self._client = client
        self._own = f"Flow run '{flow_run.name}'"
        self._tasks: dict[str, str] = {}

    def lines(self, records: Sequence[Any]) -> Iterator[str]:
        """The records as people read them."""
        self._learn({record.task_run_id for record in records if record.task_run_id})
        for record in records:
            yield log_line(record, self._of(record.task_run_id))

    def _of(self, task_run_id: str | None) -> str:
        if not task_run_id:
            return self._own
        name = self._tasks.get(task_run_id)
        # What a run records comes a moment after its first lines.
        return f"Task run '{name}'" if name else f"Task run {task_run_id[-8:]}"

    def _learn(self, ids: set[str]) -> None:
        from runyard.operations.task_runs import task_runs

        unknown = sorted(ids - self._tasks.keys())
        for at in range(0, len(unknown), _AT_ONCE):
            wanted = {"id": {"any_": unknown[at : at + _AT_ONCE]}}
            for run in listed(self._client, task_runs.filter_task_runs, task_runs=wanted):
                self._tasks[run.id] = run.name
