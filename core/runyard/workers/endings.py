"""The ends of runs: settles those that did not report themselves, and has their hooks called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runyard.base.errors import ApiUnavailable, RunyardError, StoreError
from runyard.operations.flow_runs.report_exit import ExitReport, report_exit
from runyard.workers.process.run_environment import HOOKED

if TYPE_CHECKING:
    from collections.abc import Callable

    from runyard.client import Client
    from runyard.workers.process.supervised_process import RunProcess
    from runyard.workers.process.supervisor import Supervisor

OUTAGE = (StoreError, ApiUnavailable)
_UNWATCHED = (
    "The worker could not renew the run's lease for too long, so it stopped the run before others take over."
)


class Endings:
    """The ends of a worker's runs.

    Args:
        client: where the runs are.
        supervisor: their processes.
        say: prints one line to the user (level, text).
        on_end: gets each run whose end is told.
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
        """Report the ends that are not reported yet; whether there were any.

        Raises:
            StoreError, ApiUnavailable: what is left is reported by the next call.
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
                self._say("INFO", f"Flow run {process.name!r} finished")
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
            # Refused: the run is somebody else's or was deleted.
            self._say("WARNING", f"The end of flow run {process.name!r} was not taken: {error}")
            return
        how = f"; it is {outcome.state.name}" if outcome is not None and outcome.state is not None else ""
        reason = f": {process.failure}" if process.failure else ""
        self._say(
            "INFO" if process.cancelling or not code else "ERROR",
            f"Flow run {process.name!r} ended with exit code {code}{reason}{how}",
        )
        ended = None if outcome is None or outcome.state is None else outcome.state.type
        if ended in HOOKED and process.may_call_hooks():
            self._supervisor.launch(process.claimed, process.job, hooks=True)

    def _report_hooks(self, process: RunProcess) -> None:
        if process.exit_code:
            reason = process.failure or f"exit code {process.exit_code}"
            self._say(
                "ERROR", f"The hooks of flow run {process.name!r} were not called to their end: {reason}"
            )
