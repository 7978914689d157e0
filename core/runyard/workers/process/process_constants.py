"""Variables, arguments and exit codes between a worker and the process of a run."""

from __future__ import annotations

from runyard.domain.states import CANCELLED, CRASHED, FAILED

# The module that `python -m` runs for a run that is not forked.
RUN_MODULE = "runyard.workers.process.child"
# Its option for runs whose folder no worker has chosen.
ENTER = "--enter-project"
# The exit code of a run that could not start.
CANNOT_START = 126
# The worker's database or API, for the error message of a run that does not find itself there.
PLACE_VARIABLE = "RUNYARD__PLACE"
# Set in a process that only calls the hooks of the run's final state.
HOOKS_VARIABLE = "RUNYARD__CALL_HOOKS"
# The time limit of hooks, which occupy a slot of their worker.
HOOK_SECONDS = 300.0
# The final states that a worker reports; Failed is for runs that exceeded their time limit.
HOOKED = (CRASHED, CANCELLED, FAILED)
