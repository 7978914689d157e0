"""`runyard database prune`: delete old runs and logs now."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer
from runyard.domain.states import TERMINAL

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.coercion import one_of
from runyard_cli.shared.options import Output, Yes, many, option

if TYPE_CHECKING:
    from runyard.client import Client

# In the order in which they are listed; others follow.
_ORDER = ("flow_runs", "task_runs", "logs", "artifacts", "results")
# A file of which so much is free is worth a word.
_FREE_BYTES = 10 * 10**6


def age(text: str) -> float:
    """The seconds of a duration with its unit, longer than nothing."""
    from runyard.base.errors import InvalidInput

    from runyard_cli.shared import values

    if text.strip().replace(".", "").isdigit():
        raise typer.BadParameter(f"{text!r} has no unit; write {text.strip()}d for days.")
    try:
        seconds = values.duration(text).total_seconds()
    except InvalidInput as error:
        raise typer.BadParameter(str(error)) from None
    if seconds <= 0:
        raise typer.BadParameter(f"{text!r} is not longer than nothing.")
    return seconds


prune = App()


@prune.command(
    "prune",
    example="""runyard database prune --older-than 30d --dry-run
        runyard database prune --older-than 30d --state COMPLETED --yes
        runyard database prune""",
)
def _prune(
    states: Annotated[
        list[str],
        many(
            "--state",
            metavar="STATE",
            parser=one_of(sorted(TERMINAL)),
            help="Only runs that ended in this state; may be repeated.",
        ),
    ],
    older_than: Annotated[
        float | None,
        option(
            "--older-than",
            metavar="AGE",
            parser=age,
            help="Delete runs that ended so long ago: 30d, 12h, 2w.",
        ),
    ] = None,
    logs_older_than: Annotated[
        float | None,
        option(
            "--logs-older-than",
            metavar="AGE",
            parser=age,
            help="Delete log records of this age, also of runs that stay.",
        ),
    ] = None,
    dry_run: Annotated[bool, option("--dry-run", help="Only count what would be deleted.")] = False,
    yes: Yes = False,
    output: Output = None,
) -> None:
    """Delete old runs and logs.

    Task runs, logs, results, artifacts and inputs are deleted with their runs. A run is deleted together
    with all runs that it called, when all of them have ended and are old. Without --older-than and
    --logs-older-than, the settings decide (RUNYARD_RETENTION_RUNS_DAYS and so on), as for workers and
    servers, which do this by themselves. Rows are deleted in small parts, while the database is in use, and
    the command may be interrupted. With an API, the server does it.
    """
    from runyard.engine import retention_loop

    from runyard_cli.shared.client import connect

    if states and older_than is None:
        raise WrongUsage("--state needs --older-than.")
    wanted: dict[str, Any] = {}
    if older_than is not None or logs_older_than is not None:
        wanted = {"by_settings": False, "runs_seconds": older_than, "logs_seconds": logs_older_than}
        wanted["states"] = [state.upper() for state in states] or None
    client = connect()
    if dry_run or (not yes and out.at_keyboard()):
        with _Line("Counting") as line:
            found = +retention_loop.preview(client, wanted, line.show)
        if dry_run:
            _tell(found, "Would delete", output, dry_run=True)
            return
        if found:
            out.confirm(f"Delete {in_words(found)}?", yes)
    with _Line("Deleted") as line:
        done = retention_loop.remove(client, wanted, told=line.show)
    _check(done)
    _tell(+done.rows, "Deleted", output, dry_run=False)
    _tell_of_space(client)


def _check(done: Any) -> None:
    from runyard.base.errors import Conflict

    if done.held_by:
        raise Conflict(f"{done.held_by} is deleting old runs now; try again later")
    if done.on_hold:
        raise Conflict(
            "the clock leapt ahead by weeks, so nothing goes for an hour; see `date`, or say --older-than"
        )


def _tell(rows: Counter[str], verb: str, output: str | None, dry_run: bool) -> None:
    if output:
        out.print_data({"dry_run": dry_run, "removed": dict(_ordered(rows))}, output)
    elif rows:
        out.done(f"{verb} {in_words(rows)}.")
    else:
        out.say("Nothing is old enough to delete.")


def _tell_of_space(client: Client) -> None:
    """Say where the space of the deleted rows is."""
    from runyard.operations.retention.database_size import read_database_size

    size = client.call(read_database_size)
    free = size.free_bytes or 0
    if free >= _FREE_BYTES:
        out.progress(
            f"{free / 1e6:.0f} of the file's {size.size_bytes / 1e6:.0f} MB are free for new rows; "
            "to return them to the disk: runyard database vacuum"
        )


def in_words(rows: Counter[str]) -> str:
    """Counts by kind: `12 flow runs, 30 task runs and 5 logs`."""
    parts = [f"{count:,} {_name(table, count)}" for table, count in _ordered(rows)]
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


def _ordered(rows: Counter[str]) -> list[tuple[str, int]]:
    order = [*_ORDER, *sorted(set(rows) - set(_ORDER))]
    return [(table, rows[table]) for table in order if rows[table]]


def _name(table: str, count: int) -> str:
    name = table.replace("_", " ")
    return name.removesuffix("s") if count == 1 else name


class _Line:
    """One line about progress on a terminal, which is written over and over."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._width = 0

    def __enter__(self) -> _Line:
        return self

    def __exit__(self, *raised: object) -> None:
        if self._width:
            typer.echo(f"\r{' ' * self._width}\r", err=True, nl=False)

    def show(self, rows: Counter[str]) -> None:
        if not (rows and sys.stderr.isatty()):
            return
        main = Counter({table: rows[table] for table in _ORDER[:3]})
        text = f"{self._verb} {in_words(+main)} ..." if +main else f"{self._verb} ..."
        typer.echo(f"\r{text:{self._width}}", err=True, nl=False)
        self._width = len(text)
