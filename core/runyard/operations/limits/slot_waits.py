"""Requests that wait for slots of limits, noted so that a user can see why a run does not go on.

A noted request is a row of `limit_slots` without slots: it expires, and ends with its run, as held slots do.
Without pydantic.
"""

from __future__ import annotations

import json
from typing import Any

from runyard.operations import lease_clock
from runyard.operations.limits.limit_slots import hold, named
from runyard.operations.operation import operation
from runyard.store.database import Transaction

PREFIX = "wait:"
_KEPT_US = 86_400 * 1_000_000


@operation("POST", "/runyard/concurrency_limits/waits", status=204, durable=False)
def note_slot_wait(tx: Transaction, body: dict[str, Any]) -> None:
    """Note that a request waits for slots. It is forgotten when its lease `wait:LEASE_ID` is released.

    Args:
        body: `lease_id` and `names` of the request, its `slots`, `holder` with `type` and `id`, and `run_id`,
            the run in whose process it is.
    """
    names, lease_id = body.get("names") or [], f"{PREFIX}{body.get('lease_id')}"
    holder = {**(body.get("holder") or {}), "slots": body.get("slots") or 1}
    now = lease_clock.now(tx)
    for limit in named(tx, [str(name) for name in names]) if names else []:
        noted = "SELECT 1 FROM limit_slots WHERE lease_id = :lease AND limit_id = :limit"
        if tx.value(noted, {"lease": lease_id, "limit": limit["id"]}) is None:
            run_id = body.get("run_id")
            hold(tx, lease_id, limit["id"], 0, json.dumps(holder), now + _KEPT_US, now, run_id)
