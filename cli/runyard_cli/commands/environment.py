"""`runyard environment`: the virtual environments that runs have on this machine."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App
from runyard_cli.shared.options import Output, Yes, argument

if TYPE_CHECKING:
    from runyard.workers.environments.environment_store import Found

environment = App(
    "environment",
    "See and delete the virtual environments that runs have on this machine (job variable environment).",
    "runyard environment ls",
)


@environment.command("ls", example="runyard environment ls")
def ls(output: Output = None) -> None:
    """List the environments, those used last first."""
    from runyard.workers.environments import environment_store

    found = [_shown(each) for each in environment_store.listed()]
    if output:
        out.print_data(found, output)
        return
    rows = [
        [
            each["name"],
            os.path.join(each["folder_of_files"] or "", each["file"] or ""),
            f"{each['size_bytes'] / 1e6:.0f} MB",
            "now" if each["in_use"] else out.ago(datetime.fromisoformat(each["used"])),
        ]
        for each in found
    ]
    out.table("Environments", ["Name", "Created from", "Size", "Used"], rows, "No environments.")


@environment.command("rm", example="runyard environment rm 70d2ff15a7582545")
def rm(names: Annotated[list[str], argument("NAME")], yes: Yes = False) -> None:
    """Delete environments; the next run that needs one creates it again, with the newest packages."""
    from runyard.base.errors import Conflict, NotFound
    from runyard.workers.environments import environment_store

    known = {each.key: each for each in environment_store.listed()}
    for name in names:
        if name not in known:
            raise NotFound(f"environment {name!r} not found on this machine; see: runyard environment ls")
    out.confirm(f"Delete {', '.join(names)}?", yes)
    for name in dict.fromkeys(names):
        if not environment_store.remove(name):
            raise Conflict(f"environment {name} is in use by a run; delete it when the run has ended")
        out.done(f"Deleted environment {name}.")


@environment.command("prune", example="runyard environment prune")
def prune() -> None:
    """Delete the environments that no run has used for RUNYARD_ENVIRONMENTS_KEEP_DAYS.

    Workers do the same every ten minutes.
    """
    from runyard.workers.environments import environment_store

    gone = environment_store.evict_old()
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
