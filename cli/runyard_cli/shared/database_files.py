"""What backups and restores of the database print."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from runyard.base.quoting import PATH, quoted
from runyard.base.texts import counted

from runyard_cli.shared import output as out
from runyard_cli.shared import times

if TYPE_CHECKING:
    from runyard.store.database_backups import Backup
    from runyard.store.database_restores import RestorePlan


def tell_of_backup(made: Backup) -> None:
    """Say what was saved, what was not, and how to restore it."""
    out.done(f"Saved a backup to {made.database} ({made.size_bytes / 1e6:.1f} MB).")
    blocks = counted(made.secrets, "saved block")
    if made.key:
        out.done(f"Saved the key of its {blocks} to {made.key}; who has both files can read the secrets.")
    elif not made.readable:
        out.progress(f"Warning: its {blocks} cannot be decrypted with the present key ({made.key_place}).")
    elif made.key_place:
        out.progress(f"Not in the backup: the key of its {blocks}. Keep it too: {made.key_place}")
    size = f"{counted(made.result_files, 'large result')} ({made.result_bytes / 1e6:.1f} MB)"
    if made.results:
        out.done(f"Saved {size} to {made.results}.")
    elif made.result_files:
        out.progress(f"Not in the backup: {size} in {made.results_folder}; --results includes them.")
    out.hint(f"Restore it with: runyard database restore {quoted(made.database, PATH)}")


def show_plan(plan: RestorePlan) -> None:
    """Show what a restore will do."""
    key = plan.key if plan.secrets else "not needed: it has no saved blocks"
    out.facts(
        [
            ("Backup", plan.source),
            ("Last change", times.both(plan.newest)),
            ("Deployments", str(plan.deployments)),
            ("Flow runs", f"{plan.flow_runs:,}"),
            ("Saved blocks", str(plan.secrets)),
            ("Key", key or "not found: the saved blocks stay unreadable"),
            (
                "Large results",
                plan.results or f"none beside it ({os.path.basename(plan.source)}.results.tar)",
            ),
            ("Becomes", plan.target),
            ("Present database", f"moves to {plan.replaced}" if plan.replaced else None),
        ]
    )


def tell_of_restore(plan: RestorePlan, dry_run: bool) -> None:
    """Say what was restored, or would be, and what to do next."""
    if dry_run:
        out.say("The backup can be restored; nothing was changed.")
        return
    out.done(f"Restored {plan.target} from {plan.source}.")
    if plan.replaced:
        out.say(f"The database that was there is kept as {plan.replaced}.")
    if plan.secrets and plan.key is None:
        out.progress("Warning: its saved blocks cannot be decrypted; delete them: runyard block delete --all")
    out.hint("Check it with: runyard doctor")
