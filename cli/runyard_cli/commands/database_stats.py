"""`runyard database stats`: what the database holds, and what retention deletes next."""

from __future__ import annotations

from typing import Any

import typer
from runyard.base.texts import counted

from runyard_cli.shared import output as out
from runyard_cli.shared import times
from runyard_cli.shared.app import App
from runyard_cli.shared.options import Output

stats = App()


@stats.command("stats", example="runyard database stats")
def _stats(output: Output = None) -> None:
    """Count what the database holds.

    Also shows what retention deletes next. The bytes include indexes, where the database can tell. All rows
    are counted, which takes long in a large database.
    """
    from runyard.operations.retention.database_size import read_database_stats

    from runyard_cli.shared.client import connect

    found = connect().call(read_database_stats)
    if output:
        out.print_data(found, output)
        return
    rows = [
        [table, f"{count:,}", f"{found.bytes[table] / 1e6:.1f} MB" if table in found.bytes else ""]
        for table, count in found.rows.items()
    ]
    out.table("Database", ["Table", "Rows", "Size"], rows, "")
    typer.echo()
    free = found.free_bytes
    out.facts(
        [
            ("Size", f"{found.size_bytes / 1e6:.1f} MB"),
            ("Free in the file", None if free is None else f"{free / 1e6:.1f} MB, reused by new rows"),
            ("Kept", kept(found)),
            ("Oldest finished run", times.both(found.oldest_finished)),
            ("Deleted next", removed_next(found)),
            ("Steps of an upgrade to do", steps_to_do(found.steps_to_do)),
        ]
    )


def steps_to_do(steps: list[str]) -> str | None:
    """What an upgrade has still to make, in words."""
    return f"{len(steps)}, by a worker or a server; at once by: runyard database upgrade" if steps else None


def kept(found: Any) -> str:
    """How long runs and logs are kept, in words."""
    runs = f"runs {found.runs_days:g} days" if found.runs_days else "runs for ever"
    return (
        f"{runs}, logs {found.logs_days:g} days" if found.logs_days else f"{runs}, logs as long as their runs"
    )


def removed_next(found: Any) -> str:
    """What retention removes next, in words."""
    if found.old_flow_runs or found.old_logs:
        runs, logs = counted(found.old_flow_runs, "flow run"), counted(found.old_logs, "log record")
        return f"{runs} and {logs}, by the next worker or server"
    if found.next_removal is None:
        return "nothing"
    return f"nothing yet; the oldest finished run {times.relative(found.next_removal)}"
