"""Flow runs that the command executes in its own process."""

from __future__ import annotations

from typing import Any

from runyard_cli.shared import output as out


def run_again_here(run: Any, entrypoint: str) -> int:
    """Run a run without a deployment again in this process; the exit code."""
    from runyard.deployments.loading.loading import load_flow
    from runyard.engine.entry import run_again

    return ended(run, run_again(load_flow(entrypoint), run.id, run.parameters))


def ended(run: Any, state: Any) -> int:
    """Say how a run of this process ended; the exit code."""
    if state.is_completed():
        out.done(f"Flow run '{run.name}' completed.")
        return 0
    if state.is_paused():
        out.done(f"Flow run '{run.name}' is suspended again.")
        return 0
    out.error_line(f"flow run '{run.name}' ended as {state!r}")
    return 1
