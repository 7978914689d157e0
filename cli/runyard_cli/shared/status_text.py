"""The overview as lines of text: what `runyard` and `runyard status` print for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from runyard.base.texts import counted, visible

from runyard_cli.shared import times

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

# Parts of a line: a text and its colour, or None.
Part = tuple[str, str | None]
Line = list[Part]

_MOST_COUNTED = 10_000
_STATUS = {"READY": ("✓", "green"), "NOT_READY": ("✗", "red"), "PAUSED": ("‖", "magenta")}
_MARGIN = "  "
_SHORT = 40
_MOST_POOLS = 12
_RAISED = "Flow run encountered an exception: "


def lines(found: dict[str, Any], where: str, since: str) -> list[Line]:
    """The lines of an overview.

    Args:
        found: as `read_overview` returns it.
        where: the database or the API.
        since: the time from which ended runs count, in words, such as `yesterday`.
    """
    now = _moment(found["now"])
    sections = [
        ("Work pools", list(_pools(found, now))),
        ("Flow runs", list(_runs(found, now, since))),
        ("Next", list(_next(found, now))),
        ("Paused", list(_paused(found["paused"]))),
        ("What to do", list(_steps(found["steps"]))),
    ]
    shown: list[Line] = [[("Runyard", "bold"), (f"  {where}", None)]]
    for title, rows in sections:
        if rows:
            shown += [[], [(title, "bold")], *rows]
    return shown


def show(rows: Iterable[Line], width: int | None) -> None:
    """Print lines.

    Args:
        rows: the lines.
        width: where they are cut; None: nowhere, as in a pipe.
    """
    for row in rows:
        typer.echo("".join(_styled(text, colour) for text, colour in _cut(row, width)))


def _styled(text: str, colour: str | None) -> str:
    if colour == "bold":
        return typer.style(text, bold=True)
    return typer.style(text, fg=colour) if colour else text


def _cut(row: Line, width: int | None) -> Line:
    """A line without what does not fit; a command is never cut, because people copy it."""
    row = [(visible(text).replace("\n", " "), colour) for text, colour in row]
    if width is None or any(colour == "cyan" for _, colour in row):
        return row
    found: Line = []
    left = width
    for text, colour in row:
        size = _cells(text)
        if size > left:
            while text and _cells(text) > left - 1:
                text = text[:-1]
            return [*found, (f"{text}…", colour)] if left else found
        found.append((text, colour))
        left -= size
    return found


def _cells(text: str) -> int:
    """How many columns a terminal needs for a text."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def _padded(text: str, size: int) -> str:
    return text + " " * (size - _cells(text))


def _moment(text: str) -> datetime:
    from runyard.base import clock

    return clock.parse_time(text)


def _number(count: int) -> str:
    return f"{count:,}" if count < _MOST_COUNTED else f"{_MOST_COUNTED:,} or more"


def _pools(found: dict[str, Any], now: datetime) -> Iterator[Line]:
    pools = found["pools"]
    if len(pools) > _MOST_POOLS:  # those with problems first
        pools = sorted(pools, key=lambda pool: (pool["status"] == "READY", not pool["due"]))[:_MOST_POOLS]
    longest = max((_cells(_name(pool["name"])) for pool in pools), default=0)
    for pool in pools:
        sign, colour = _STATUS[pool["status"]]
        facts = ["paused"] if pool["status"] == "PAUSED" else []
        online = pool["workers_online"]
        facts.append(f"{counted(online, 'worker')} online" if online else "no worker online")
        if pool["active_slots"]:
            limit = pool["concurrency_limit"]
            facts.append(f"{pool['active_slots']}{f' of {limit}' if limit is not None else ''} running")
        if pool["due"]:
            facts.append(f"{_number(pool['due'])} waiting")
        if pool["next_due"]:
            facts.append(f"next {times.relative(_moment(pool['next_due']), now)}")
        yield [
            (f"{_MARGIN}{sign} ", colour),
            (_padded(_name(pool["name"]), longest), None),
            (f"  {', '.join(facts)}", None),
        ]
    more = found["pool_count"] - len(pools)
    if more > 0:
        yield [(f"{_MARGIN}  and {more:,} more: ", None), ("runyard work-pool ls", "cyan")]


def _name(text: str) -> str:
    text = visible(text)
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"


def _runs(found: dict[str, Any], now: datetime, since: str) -> Iterator[Line]:
    if not found["has_runs"]:
        return
    if found["running"]:
        yield from _kind("●", "blue", found["running"], "running", found["running_runs"], "start_time", now)
    if found["pending"]:
        yield from _kind("◌", "yellow", found["pending"], "starting", [], "", now)
    waiting = found["due"]
    if waiting:
        late = f", {_number(found['late'])} late" if found["late"] else ""
        yield from _kind("◌", "yellow", waiting, f"waiting for a slot or a worker{late}", [], "", now)
    if found["waiting"]:
        yield from _kind("‖", "magenta", found["waiting"], "paused", found["waiting_runs"], "", now)
    if found["failed"]:
        word = f"failed since {since}"
        yield from _kind("✗", "red", found["failed"], word, found["failed_runs"], "end_time", now)
    well = found["ended"] - found["failed"]
    if found["ended"] >= _MOST_COUNTED:
        yield [(f"{_MARGIN}✓ ", "green"), (f"{_number(found['ended'])} ended since {since}", None)]
    elif well > 0 or not found["failed"]:
        word = f"other{'' if well == 1 else 's'} ended" if found["failed"] else "ended"
        yield [(f"{_MARGIN}✓ ", "green"), (f"{well or 'none'} {word} since {since}", None)]


def _kind(
    sign: str, colour: str, count: int, word: str, runs: list[dict[str, Any]], time: str, now: datetime
) -> Iterator[Line]:
    """The number of runs of a kind, and some of them."""
    yield [(f"{_MARGIN}{sign} ", colour), (f"{_number(count)} {word}", None)]
    for run in runs:
        flow = "/".join(filter(None, (run["flow_name"], run["deployment_name"])))
        parts = [f"{_MARGIN * 2}{run['name']}"]
        parts += [f"of {flow}"] if flow else []
        moment = run.get(time)
        if moment and time == "start_time":
            parts.append(f"for {times.rough(max(1.0, (now - _moment(moment)).total_seconds()))}")
        elif moment:
            parts.append(times.relative(_moment(moment), now))
        line: Line = [(" ".join(parts), None)]
        message = " ".join((run["message"] or "").strip().partition("\n")[0].split()).removeprefix(_RAISED)
        if message and time == "end_time":
            line.append((f": {message}", "red"))
        yield line
    if runs and count > len(runs):
        yield [(f"{_MARGIN * 2}and {_number(count - len(runs))} more", None)]


def _next(found: dict[str, Any], now: datetime) -> Iterator[Line]:
    rows = []
    for each in found["next"]:
        due = _moment(each["due"])
        what = "/".join(filter(None, (each["flow_name"], each["deployment_name"])))
        if each.get("id"):
            what = f"{each['name']} of {what}" if what else str(each["name"])
        elif each.get("slug"):
            what = f"{what} ({each['slug']})"
        rows.append((times.relative(due, now), what, times.absolute(due, each.get("timezone"))))
    width = max((_cells(row[0]) for row in rows), default=0)
    longest = max((_cells(visible(row[1])) for row in rows), default=0)
    for relative, what, absolute in rows:
        yield [
            (f"{_MARGIN}{_padded(relative, width)}  ", None),
            (_padded(visible(what), longest), None),
            (f"  {absolute}", "bright_black"),
        ]


def _paused(paused: dict[str, Any]) -> Iterator[Line]:
    kinds = {
        "pool": ("work pool", paused["pools"]),
        "queue": ("work queue", [f"{each['queue']} of {each['pool']}" for each in paused["queues"]]),
        "deployment": ("deployment", paused["deployments"]),
        "schedule": (
            "schedule",
            [f"{each['slug'] or each['id'][:8]} of {each['deployment']}" for each in paused["schedules"]],
        ),
    }
    for kind, (word, names) in kinds.items():
        count = paused[f"{kind}_count"]
        if count:
            more = f" and {_number(count - len(names))} more" if count > len(names) else ""
            text = f"{counted(count, word)}: {', '.join(names)}{more}" if names else counted(count, word)
            yield [(f"{_MARGIN}‖ ", "magenta"), (text, None)]


def _steps(steps: list[dict[str, str]]) -> Iterator[Line]:
    for step in steps:
        yield [(f"{_MARGIN}{step['text']}", None)]
        yield [(f"{_MARGIN * 2}{step['command']}", "cyan")]
