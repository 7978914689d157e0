"""`runyard environment`: the virtual environments that runs have on this machine."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App
from runyard_cli.shared.lists import Column, Listing, Page, View, cut, show_list
from runyard_cli.shared.options import Columns, DryRun, Limit, ListOutput, Output, Sort, Watch, Yes, argument

if TYPE_CHECKING:
    from runyard.workers.environments.environment_store import Found

environment = App(
    "environment",
    "See and delete the virtual environments that runs have on this machine (job variable environment).",
    "runyard environment ls",
    aliases={"delete": "rm"},
)


ENVIRONMENTS = Listing(
    "Environments",
    (
        Column("Name", lambda each: each["name"], "name"),
        Column("Created from", lambda each: os.path.join(each["folder_of_files"] or "", each["file"] or "")),
        Column(
            "Size", lambda each: f"{each['size_bytes'] / 1e6:.0f} MB", order=lambda each: each["size_bytes"]
        ),
        Column("Used", lambda each: datetime.fromisoformat(each["used"]), "time"),
        Column("In use", lambda each: each["in_use"]),
        Column("Python", lambda each: each["python"], wide=True),
        Column("Folder", lambda each: each["folder"], wide=True),
    ),
    "No environments; a run with the job variable 'environment' creates one.",
)


@environment.command("ls", example="runyard environment ls")
def ls(
    limit: Limit = 0,
    sort: Sort = None,
    columns: Columns = None,
    watch: Watch = False,
    output: ListOutput = None,
) -> None:
    """List the environments, those used last first."""
    from runyard.workers.environments import environment_store

    def read() -> Page:
        return cut([_shown(each) for each in environment_store.listed()], limit)

    show_list(ENVIRONMENTS, read, View(output, columns, sort, watch))


@environment.command("rm", example="runyard environment rm 70d2ff15a7582545")
def rm(
    names: Annotated[list[str], argument("NAME")],
    dry_run: DryRun = False,
    yes: Yes = False,
    output: Output = None,
) -> None:
    """Delete environments; the next run that needs one creates it again, with the newest packages."""
    from runyard.base.errors import Conflict, NotFound
    from runyard.base.suggestions import did_you_mean
    from runyard.workers.environments import environment_store

    known = {each.key: each for each in environment_store.listed()}
    for name in names:
        if name not in known:
            hint = did_you_mean(name, list(known), "see: runyard environment ls")
            raise NotFound(f"environment {name!r} not found on this machine{hint}")
    found = [_shown(known[name]) for name in dict.fromkeys(names)]
    size = f"{sum(each['size_bytes'] for each in found) / 1e6:.0f} MB"
    if not dry_run:
        what = f"environment {names[0]}" if len(found) == 1 else f"{len(found)} environments"
        out.confirm(f"Delete {what} ({size})?", yes)
    for each in found:
        if not dry_run and not environment_store.remove(each["name"]):
            raise Conflict(f"environment {each['name']} is in use by a run; delete it when the run has ended")
        if not output:
            out.done(f"{'Would delete' if dry_run else 'Deleted'} environment {each['name']}.")
    if output:
        out.print_data(found, output)


@environment.command("prune", example="runyard environment prune")
def prune(output: Output = None) -> None:
    """Delete the environments that no run has used for RUNYARD_ENVIRONMENTS_KEEP_DAYS.

    Workers do the same every ten minutes.
    """
    from runyard.workers.environments import environment_store

    gone = environment_store.evict_old()
    if output:
        out.print_data({"deleted": gone}, output)
    else:
        out.done(f"Deleted {', '.join(gone)}." if gone else "No environment is old enough to delete.")


def _shown(found: Found) -> dict[str, Any]:
    return {
        "name": found.key,
        "file": found.facts.get("file"),
        "folder_of_files": found.facts.get("folder"),
        "python": found.facts.get("python"),
        "installer": found.facts.get("installer"),
        "made": found.facts.get("made"),
        "used": datetime.fromtimestamp(found.used, UTC).isoformat(),
        "in_use": found.in_use,
        "folder": found.folder,
        "size_bytes": _size(found.folder),
    }


def _size(top: str) -> int:
    total = 0
    for folder, _, names in os.walk(top):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except OSError:
                continue  # it is being removed
    return total
