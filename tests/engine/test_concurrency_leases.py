"""Slots under leases: killed and stopped holders, and slots that were lost while they were held."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time

import pytest
from _limits import Yard, settled
from runyard import flow
from runyard.engine.concurrency import ConcurrencyLeaseLost, slot_leases
from runyard.engine.concurrency.asyncio import concurrency as aconcurrency
from runyard.engine.concurrency.sync import AcquireConcurrencySlotTimeoutError, concurrency
from runyard.operations import lease_clock
from runyard.operations.limits import concurrency_limits as limits


@pytest.fixture
def yard(recorded):
    yield Yard(recorded.client)
    settled()


HOLDER = """
import sys, time
from runyard.engine.concurrency.sync import concurrency
with concurrency("db", lease_duration=2):
    print("held", flush=True)
    time.sleep(600)
"""


def start_holder():
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    return holder


def lease(yard):
    """When the only lease runs out, and what time it is by the same clock."""
    with yard.client.database.transaction(write=False) as tx:
        return tx.value("SELECT expires FROM limit_slots"), lease_clock.now(tx)


def test_a_killed_holder_frees_its_slots_within_the_lease(yard):
    yard.limit("db", 1)
    holder = start_holder()
    try:
        # While it lives its lease is renewed, never for longer than the lease.
        first, _ = lease(yard)
        yard.until(lambda: lease(yard)[0] > first)
        with pytest.raises(AcquireConcurrencySlotTimeoutError), concurrency("db", timeout_seconds=0.1):
            pass
        expires, now = lease(yard)
        assert expires - now <= 2_000_000
        holder.send_signal(signal.SIGKILL)
        with concurrency("db", timeout_seconds=60):
            pass
    finally:
        holder.kill()
        holder.communicate()


def test_who_was_stopped_for_long_keeps_slots_that_nobody_needed(yard):
    yard.limit("db", 1)
    holder = start_holder()
    try:
        holder.send_signal(signal.SIGSTOP)
        yard.until(lambda: yard.taken("db") == 0)
        holder.send_signal(signal.SIGCONT)
        yard.until(lambda: yard.taken("db") == 1)
    finally:
        holder.kill()
        holder.communicate()


def lose(yard, name):
    """Take the slots away from whoever holds them."""
    yard.client.call(limits.update_concurrency_limit, name, limits.ConcurrencyLimitUpdate(active_slots=0))


def test_slots_that_were_lost_interrupt_a_strict_block(yard):
    yard.limit("db", 1)

    @concurrency("db", lease_duration=1, strict=True)
    def work():
        lose(yard, "db")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            time.sleep(0.01)

    with pytest.raises(ConcurrencyLeaseLost, match="'db'"):
        work()


def test_slots_that_were_lost_interrupt_a_strict_async_block(yard):
    yard.limit("db", 1)

    async def main():
        async with aconcurrency("db", lease_duration=1, raise_on_lease_renewal_failure=True):
            lose(yard, "db")
            await asyncio.sleep(60)

    with pytest.raises(ConcurrencyLeaseLost, match="'db'"):
        asyncio.run(main())


def test_slots_that_were_lost_are_told_and_the_block_goes_on(recorded, yard):
    yard.limit("db", 1)

    @flow
    def holds():
        with concurrency("db", lease_duration=1):
            lose(yard, "db")
            yard.until(lambda: not slot_leases._held)

    holds()
    assert any("slots of 'db' were lost" in line for line in recorded.logs())
