"""Showing log records, once or as they come."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer
from runyard.base.texts import visible

from runyard_cli.shared import times, values
from runyard_cli.shared.app import WrongUsage
from runyard_cli.shared.client import listed
from runyard_cli.shared.coercion import one_of
from runyard_cli.shared.options import option, whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runyard.client import Client

_LEVELS = {10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"}
_COLOURS = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "bright_red", "DEBUG": "bright_black"}

# Several processes write a run's records (the run itself, its worker), each a little late; a record
# may so appear this much after one that is younger.
_LATENESS = timedelta(seconds=5)

# How many task runs to ask for in one filter, and how many records --head and --tail show.
_AT_ONCE, _FEW = 200, 20


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
Grep = Annotated[
    str | None,
    option("--grep", metavar="PATTERN", help="Only records whose text has this regular expression."),
]
SinceTime = Annotated[
    str | None, option("--since", metavar="TIME", help="Only records after this time: 10m, 06:00, yesterday.")
]


@dataclass
class Selection:
    """Which log records are wanted: the options of `logs`.

    Args:
        head, tail: only the first or the last ones.
        num_logs: how many.
        reverse: the newest first.
        level: the least level.
        grep: a regular expression.
        since: a time as it was typed.
    """

    head: bool = False
    tail: bool = False
    num_logs: int | None = None
    reverse: bool = False
    level: str | None = None
    grep: str | None = None
    since: str | None = None
    _pattern: re.Pattern[str] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        """Check what was typed.

        Raises:
            WrongUsage: both ends are wanted, or the pattern is invalid.
        """
        if self.head and self.tail:
            raise WrongUsage("--head and --tail exclude each other.")
        if self.grep is not None:
            try:
                self._pattern = re.compile(self.grep, re.IGNORECASE)
            except re.error as error:
                raise WrongUsage(f"--grep {self.grep!r} is no regular expression: {error}.") from None

    def criteria(self, whose: dict[str, Any]) -> dict[str, Any]:
        """The log filter of the API.

        Args:
            whose: the filter of the run.

        Raises:
            InvalidInput: the time is invalid.
        """
        found = dict(whose)
        if self.level:
            found["level"] = {"ge_": _number(self.level)}
        if self.since:
            found["timestamp"] = {"after_": values.past(self.since).isoformat()}
        return found

    def matches(self, record: Any) -> bool:
        """Whether the text of a record is wanted."""
        return self._pattern is None or self._pattern.search(record.message) is not None


def select(client: Client, whose: dict[str, Any], wanted: Selection) -> list[Any]:
    """The log records that the options of `logs` ask for.

    Args:
        client: where they are.
        whose: a log filter, by the API's names.
        wanted: the options.
    """
    from runyard.operations.records import logs

    limit = wanted.num_logs or (_FEW if wanted.head or wanted.tail else None)
    backwards = wanted.tail or (wanted.reverse and not wanted.head)
    sort = "TIMESTAMP_DESC" if backwards else "TIMESTAMP_ASC"
    read = None if wanted.grep else limit
    found = listed(client, logs.filter_logs, logs=wanted.criteria(whose), sort=sort, limit=read)
    records = list(islice(filter(wanted.matches, found), limit))
    return records if backwards == wanted.reverse else records[::-1]


def _number(level: str) -> int:
    return next(number for number, name in _LEVELS.items() if name == level.upper())


def log_line(record: Any, name: str, message: str | None = None) -> str:
    """A record as people read it: time in the user's zone, level, which run, message.

    Args:
        record: the record.
        name: words for its run.
        message: another text instead of its own.
    """
    level = _LEVELS.get(record.level, str(record.level))
    text = visible(record.message if message is None else message, colours=True)
    moment = times.absolute(record.timestamp, precise=True)
    line = f"{moment} | {level:<7} | {visible(name)} - {text}"
    return typer.style(line, fg=_COLOURS[level]) if level in _COLOURS else line


class LogTail:
    """The records of a flow run that were not seen yet.

    Args:
        client: where to look.
        whose: a log filter, by the API's names.
        wanted: which of them.
    """

    def __init__(self, client: Client, whose: dict[str, Any], wanted: Selection | None = None) -> None:
        self._client = client
        self._wanted = wanted or Selection()
        self._criteria = self._wanted.criteria(whose)
        self._newest: Any = None
        self._seen: dict[str, Any] = {}

    def fresh(self) -> list[Any]:
        """All that came since the last call, the oldest first. With --tail first the last ones."""
        from runyard.operations.records import logs

        criteria, first = dict(self._criteria), self._newest is None
        if not first:
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
        shown = [record for record in found if self._wanted.matches(record)]
        if first and self._wanted.tail:
            shown = shown[-(self._wanted.num_logs or _FEW) :]
        return shown


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

    def lines(self, records: Iterable[Any]) -> Iterator[str]:
        """The records as people read them."""
        known = list(records)
        self.learn({record.task_run_id for record in known if record.task_run_id})
        for record in known:
            yield log_line(record, self.of(record.task_run_id))

    def of(self, task_run_id: str | None) -> str:
        """The words for the run of a record."""
        if not task_run_id:
            return self._own
        name = self._tasks.get(task_run_id)
        # What a run records comes a moment after its first lines.
        return f"Task run '{name}'" if name else f"Task run {task_run_id[-8:]}"

    def learn(self, ids: set[str]) -> None:
        """Read the names of task runs that are not known yet."""
        from runyard.operations.task_runs import task_runs

        unknown = sorted(ids - self._tasks.keys())
        for at in range(0, len(unknown), _AT_ONCE):
            wanted = {"id": {"any_": unknown[at : at + _AT_ONCE]}}
            for run in listed(self._client, task_runs.filter_task_runs, task_runs=wanted):
                self._tasks[run.id] = run.name


def task_run_ids(client: Client, flow_run: Any, task: str) -> list[str]:
    """The ids of the task runs of a flow run that a word means: a task's name, a run's name or its id.

    Raises:
        NotFound: there is none.
    """
    from runyard.base.errors import NotFound
    from runyard.base.suggestions import did_you_mean
    from runyard.operations.task_runs import task_runs

    names: dict[str, None] = {}
    found = []
    for run in listed(client, task_runs.filter_task_runs, task_runs={"flow_run_id": {"any_": [flow_run.id]}}):
        function = run.task_key.rpartition(".")[2].partition("-")[0]
        names.update({run.name: None, function: None})
        if task in (run.name, function, run.id) or run.name.rpartition("-")[0] == task:
            found.append(run.id)
    if not found:
        see = f"see: runyard task-run ls {flow_run.id}"
        raise NotFound(
            f"flow run '{flow_run.name}' has no task run '{task}'{did_you_mean(task, list(names), see)}"
        )
    return found


def of_run(flow_run: Any, ids: list[str] | None = None) -> dict[str, Any]:
    """The log filter for the records of a flow run, or of some of its task runs."""
    if ids is not None:
        return {"task_run_id": {"any_": ids}}
    return {"flow_run_id": {"any_": [flow_run.id]}}


def print_line(line: str, aside: bool = False) -> None:
    """Print a line, on standard error if standard output is kept for data."""
    typer.echo(line, err=aside)
