"""Looking after runs whose executor is lost: asks for holders in doubt, and judges those that it can."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runyard.base import clock
from runyard.engine import death_proofs
from runyard.operations.lease_clock import takeover_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from runyard.client import Client
    from runyard.operations.flow_runs.renew_leases import HeldLease

# Of the time without renewal after which anybody takes over: so much earlier those on the same machine end
# what still executes, and later than a launcher does so by itself (`lease_clock.patience_seconds`).
_EARLY_SHARE = 0.1
# So much may the wall clock be slewed between two turns without having been set.
_SET_BACK_SECONDS = 1.0


class Recovery:
    """Brings runs whose executor is lost back to order, at each turn.

    Args:
        client: where.
        proof: of the caller's own death, when asked; None for one that executes nothing.
        again: whether its very first look counts as one after an outage.
    """

    def __init__(
        self, client: Client, proof: Callable[[], str | None] = lambda: None, again: bool = False
    ) -> None:
        self._client = client
        self._proof = proof
        self._again = again
        self.held: list[HeldLease] = []
        # The wall clock at the machine's start, as it seemed at the last turn.
        self._began: float | None = None

    def run(self) -> bool:
        """One turn; whether any run was lost. `held` is then what the database gave to the caller."""
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
        """Where the wall clock was set back, what waited already does not wait again; whether any did."""
        began = clock.now_us() / 1e6 - clock.boot_seconds()
        set_back = self._began is None or began < self._began - _SET_BACK_SECONDS
        if not set_back:
            self._began = began
            return False
        from runyard.operations.recovery.recover_flow_runs import redate_flow_runs

        redated = self._client.call(redate_flow_runs, {})["redated"]
        self._began = began
        return bool(redated)
