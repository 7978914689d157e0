"""Recovers runs whose executor is lost: asks for doubtful lease holders, and judges the local ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runyard.base import clock
from runyard.engine import death_proofs
from runyard.operations.lease_clock import takeover_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from runyard.client import Client
    from runyard.operations.flow_runs.renew_leases import HeldLease

# A share of the time without renewal after which any process may take over a run. This much earlier,
# processes on the same machine kill what still executes; a launcher does so by itself even earlier
# (`lease_clock.patience_seconds`).
_EARLY_SHARE = 0.1
# A smaller change of the wall clock between two turns counts as slewing, not as setting the clock.
_SET_BACK_SECONDS = 1.0


class Recovery:
    """Recovers runs whose executor is lost, at each turn.

    Args:
        client: sends the requests.
        proof: returns the proof of the caller's own death; None for a caller that executes nothing.
        again: whether the first turn counts as one after an outage.
    """

    def __init__(
        self, client: Client, proof: Callable[[], str | None] = lambda: None, again: bool = False
    ) -> None:
        self._client = client
        self._proof = proof
        self._again = again
        self.held: list[HeldLease] = []
        # The machine's boot time by the wall clock, as computed at the last turn.
        self._began: float | None = None

    def run(self) -> bool:
        """Run one turn; returns whether any run was lost. Sets `held` to the leases the caller holds."""
        # 0.1 s with pydantic; not before something is looked for.
        from runyard.operations.recovery.recover_flow_runs import RecoverRequest, recover

        body = RecoverRequest(
            places=death_proofs.places(),
            proof=self._proof(),
            early_seconds=takeover_seconds() * _EARLY_SHARE,
            again=self._again,
        )
        report = self._client.call(recover, body)
        self._again = True
        redated = self._look_at_clock()
        self.held = report.held
        found = bool(redated or report.rescheduled or report.crashed or report.cancelled)
        dead = [doubt.proof for doubt in report.doubts if death_proofs.is_dead(doubt.proof, doubt.overdue)]
        if dead:
            report = self._client.call(recover, RecoverRequest(dead=dead))
            found = found or bool(report.rescheduled or report.crashed or report.cancelled)
        return found

    def _look_at_clock(self) -> bool:
        """If the wall clock was set back, redate scheduled runs so that they do not wait twice.

        Returns:
            Whether any run was redated.
        """
        began = clock.now_us() / 1e6 - clock.boot_seconds()
        set_back = self._began is None or began < self._began - _SET_BACK_SECONDS
        if not set_back:
            self._began = began
            return False
        from runyard.operations.recovery.recover_flow_runs import redate_flow_runs

        redated = self._client.call(redate_flow_runs, {})["redated"]
        self._began = began
        return bool(redated)
