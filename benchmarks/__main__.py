"""Measure Runyard: `python benchmarks [--only NAME] [--prefect PYTHON] [--base COMMIT] [--write] ...`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import claiming
import comparing
import containers
import deploying
import fleet
import looking
import running
import sdk
import starting
import working
from measure import Figure, Row, Skipped
from products import Prefect, Product, runyard

ROWS: list[Row] = [
    *starting.ROWS, *deploying.ROWS, *running.ROWS, *sdk.ROWS, *working.ROWS, *fleet.ROWS, *claiming.ROWS,
    *looking.ROWS, *containers.ROWS,
]  # fmt: skip
_README = os.path.join(os.path.dirname(os.path.abspath(__file__)), "README.md")
_BEGIN, _END = "<!-- figures -->", "<!-- end of figures -->"


def main() -> int:
    """Measure the rows asked for and print the table; 1 when a limit is broken."""
    options = _options()
    rows = [row for row in ROWS if not options.only or row.name in options.only]
    if options.base:
        return 0 if comparing.compare(rows, options.base, options.turns) else 1
    if options.dbos:
        rows.append(sdk.dbos_row(os.path.abspath(options.dbos)))
    with _started(runyard()) as ours, _other(options.prefect) as theirs:
        results = [_measure(row, ours, theirs) for row in rows]
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"machine": machine(), "rows": results}, file, indent=2)
    if options.write:
        _write(results, whole=not options.only)
    return 0 if all(result["passed"] for result in results) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python benchmarks", description="Measure Runyard.")
    names = [row.name for row in ROWS]
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--prefect", metavar="PYTHON", help="an interpreter with Prefect, for comparison")
    parser.add_argument("--dbos", metavar="PYTHON", help="an interpreter with DBOS, for comparison")
    parser.add_argument("--base", metavar="COMMIT", help="measure that commit too, in turn, and compare")
    parser.add_argument("--turns", type=int, default=3, help="with --base, how often each row (3)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well")
    parser.add_argument(
        "--write", action="store_true", help="write the table into benchmarks/README.md, or rows of it"
    )
    return parser.parse_args()


@contextmanager
def _started(product: Product) -> Iterator[Product]:
    try:
        product.start()
        yield product
    finally:
        product.stop()


@contextmanager
def _other(python: str | None) -> Iterator[Product | None]:
    if not python:
        yield None
        return
    with _started(Prefect("prefect", os.path.abspath(python))) as product:
        yield product


def _measure(row: Row, ours: Product, theirs: Product | None) -> dict[str, Any]:
    try:
        mine = row.measure(ours)
        other = row.measure(theirs) if theirs and row.prefect else None
    except Skipped as reason:
        print(f"skip {row.name:12} {reason}", flush=True)
        return {"name": row.name, "what": row.what, "limit": row.limit, "figure": f"skipped: {reason}",
                "prefect": "", "passed": True}  # fmt: skip
    except Exception as error:
        traceback.print_exc()
        return {"name": row.name, "what": row.what, "limit": row.limit, "figure": f"failed: {error}",
                "prefect": "", "passed": False}  # fmt: skip
    result = {
        "name": row.name,
        "what": row.what,
        "limit": row.limit,
        "figure": _shown(row, mine),
        "prefect": _compared(row, mine, other),
        "passed": row.passes(mine, other),
        "value": mine.value,
        "ratio": mine.ratio,
        "prefect_value": other.value if other else None,
    }
    mark = "ok  " if result["passed"] else "MISS"
    print(f"{mark} {row.name:12} {result['figure']:32} {row.limit}  {result['prefect']}", flush=True)
    return result


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def _shown(row: Row, figure: Figure) -> str:
    value = f"{_number(figure.value)} {row.unit}"
    if figure.ratio is None:
        return value
    return f"{figure.ratio:.1f} times ({value} to {_number(figure.baseline or 0)} {row.unit})"


def _compared(row: Row, ours: Figure, theirs: Figure | None) -> str:
    if theirs is None:
        return ""
    if not ours.value or not theirs.value:  # less than the clock can tell, as of an idle process
        return f"{_number(theirs.value)} {row.unit}"
    better = ours.value / theirs.value if row.at_least is not None else theirs.value / ours.value
    verdict = f"{_number(better)} times better" if better >= 1 else f"{_number(1 / better)} times worse"
    return f"{_number(theirs.value)} {row.unit}; ours {verdict}"


def machine() -> str:
    """The machine, its system and the versions in one line."""
    from importlib.metadata import version

    model = platform.processor() or platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{model}, {len(os.sched_getaffinity(0))} cores, {gigabytes:.0f} GB, Linux {platform.release()}, "
        f"Python {platform.python_version()}, Runyard {version('runyard')}"
    )


def _write(results: list[dict[str, Any]], whole: bool) -> None:
    """Write the table; if not the whole, the others of its rows stay, and these tell their day."""
    with open(_README, encoding="utf-8") as file:
        head, _, rest = file.read().partition(_BEGIN)
        table, _, tail = rest.partition(_END)
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    lines = [
        "",
        f"{today}: {machine()}.",
        "",
        "| what | limit | Runyard | Prefect | |",
        "| --- | --- | --- | --- | --- |",
    ]
    before = table.splitlines()
    if not whole:
        lines[1] = next(line for line in before if line)
    rows = {} if whole else {_what(line): line for line in before if line.startswith("| ")}
    for heading in ("what", "---"):
        rows.pop(heading, None)
    for result in results:
        verdict = "kept" if result["passed"] else "**missed**"
        rows[result["what"]] = (
            f"| {result['what']} | {result['limit']} | {result['figure']} | {result['prefect'] or '-'} "
            f"| {verdict if whole else f'{verdict}, {today}'} |"
        )
    order = {row.what: at for at, row in enumerate(ROWS)}
    lines += [rows[what] for what in sorted(rows, key=lambda what: order.get(what, len(order)))]
    with open(_README, "w", encoding="utf-8") as file:
        file.write(head + _BEGIN + "\n".join(lines) + "\n\n" + _END + tail)


def _what(line: str) -> str:
    return line.split(" | ")[0].removeprefix("| ")


if __name__ == "__main__":
    sys.exit(main())
