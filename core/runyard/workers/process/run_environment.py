"""Variables, arguments and exit codes between a worker and the process of a run."""

from __future__ import annotations

from runyard.domain.states import CANCELLED, CRASHED, FAILED

# The program of a run that is not forked: `python -m` this.
RUN_MODULE = "runyard.workers.process.child"
# To that program, where no worker has chosen a folder.
ENTER = "--enter-project"
# The exit code of a run that could not start.
CANNOT_START = 126
# Where the worker looks for runs, for the message of one that its own process does not find.
PLACE_VARIABLE = "RUNYARD__PLACE"
# Set where the process calls the hooks of the run's final state instead of running the flow.
HOOKS_VARIABLE = "RUNYARD__CALL_HOOKS"
# How long hooks may take: they hold a place of their worker.
HOOK_SECONDS = 300.0
# The states that a worker reports of a run; Failed is that of a run that exceeded its time limit.
HOOKED = (CRASHED, CANCELLED, FAILED)
