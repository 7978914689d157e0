"""The table of soaks in benchmarks/README.md: one row for each store and number of workers."""

from __future__ import annotations

_BEGIN, _END = "<!-- soak -->", "<!-- end of soak -->"
_HEAD = (
    "| store | workers | runs | what happened meanwhile | time | starts a minute | stuck | lost "
    "| over a limit | attempts begun twice | over budget | slots left | starved | left behind | locked |"
)
_RULE = "|" + " --- |" * _HEAD.count(" | ") + " --- |"


def write(path: str, rows: list[str]) -> None:
    """Put rows into the table; those of other stores and numbers of workers stay."""
    with open(path, encoding="utf-8") as file:
        head, _, rest = file.read().partition(_BEGIN)
    table, _, tail = rest.partition(_END)
    lines = table.strip().splitlines()
    known = {_key(line): line for line in lines[2:]} if lines[:1] == [_HEAD] else {}
    known |= {_key(row): row for row in rows}
    text = "\n".join(["", _HEAD, _RULE, *known.values(), ""])
    with open(path, "w", encoding="utf-8") as file:
        file.write(head + _BEGIN + text + _END + tail)


def _key(row: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in row.split("|")[1:3])
