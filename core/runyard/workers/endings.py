"""Ended runs: the worker reports exits that runs did not report themselves, and starts hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runyard.base.errors import ApiUnavailable, RunyardError, StoreError
from runyard.operations.flow_runs.report_exit import ExitReport, report_exit
from runyard.workers.process.process_constants import HOOKED

if TYPE_CHECKING:
    from collections.abc import Callable

    from runyard.client import Client
    from runyard.workers.process.supervised_process import RunProcess
    from runyard.workers.process.supervisor import Supervisor

OUTAGE = (StoreError, ApiUnavailable)
_UNWATCHED = (
    "The worker could not renew the lease in time, so it stopped the run before another worker takes it over."
)


class Endings:
    """Reports the ends of a worker's runs.

    Args:
        client: the API or database of the runs.
        supervisor: the processes of the runs.
        say: prints one line to the user (level, text).
        on_end: called with each run whose end was reported.
    """

    def __init__(
        self,
        client: Client,
        supervisor: Supervisor,
        say: Callable[[str, str], None],
        on_end: Callable[[RunProcess], None],
    ) -> None:
        self._client = client
        self._supervisor = supervisor
        self._say = say
        self._on_end = on_end

    def report(self) -> bool:
        """Report the ends that are not reported yet; return whether any were found.

        Raises:
            StoreError, ApiUnavailable: the next call reports the rest.
        """
        ended = self._supervisor.ended
        if not ended:
            return False
        self._supervisor.logs.flush()
        while ended:
            process = ended[0]
            if process.hooks:
                self._report_hooks(process)
            elif not process.reported and not process.lost:
                self._report_exit(process)
            elif process.reported:
                how = f": {process.state_name}" if process.state_name else ""
                self._say("INFO", f"Flow run {process.name!r} finished{how}")
            self._on_end(process)
            self._supervisor.forget(ended.pop(0))
        return True

    def _report_exit(self, process: RunProcess) -> None:
        code = process.exit_code or 0
        body = ExitReport(
            flow_run_id=process.flow_run_id,
            attempt=process.attempt,
            exit_code=code,
            message=process.failure or (_UNWATCHED if process.unwatched else None),
            lost=process.unwatched,
        )
        try:
            outcome = self._client.call(report_exit, body)
        except OUTAGE:
            raise
        except RunyardError as error:
            # Refused: another worker owns the run, or the run was deleted.
            self._say("WARNING", f"The end of flow run {process.name!r} was not recorded: {error}")
            return
        state = None if outcome is None else outcome.state
        if state is not None:
            process.state_type, process.state_name = state.type, state.name
        how = "" if state is None else f"; it is {state.name}"
        reason = f": {process.failure}" if process.failure else ""
        self._say(
            "INFO" if process.cancelling or not code else "ERROR",
            f"Flow run {process.name!r} ended with exit code {code}{reason}{how}",
        )
        if state is not None and state.type in HOOKED and process.may_call_hooks():
            self._supervisor.launch(process.claimed, process.job, hooks=True)

    def _report_hooks(self, process: RunProcess) -> None:
        if process.exit_code:
            reason = process.failure or f"exit code {process.exit_code}"
            self._say("ERROR", f"The hooks of flow run {process.name!r} did not finish: {reason}")
