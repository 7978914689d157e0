"""The clock of leases: whatever happens to other clocks and to the database, no lease runs out too early."""

from __future__ import annotations

import pytest
from runyard.base import clock
from runyard.operations import lease_clock

SECOND = 1_000_000


@pytest.fixture
def clocks(home, database, monkeypatch):
    """Clocks that the test turns: of the machine's start, or of PostgreSQL's server."""
    return Clocks(database, monkeypatch)


class Clocks:
    def __init__(self, database, monkeypatch):
        self.database, self.raw, self.boot = database, 1_000 * SECOND, "one"
        monkeypatch.setattr(lease_clock, "_raw", lambda tx: (self.raw, self.boot))
        monkeypatch.setenv("RUNYARD_TAKEOVER_AFTER_SECONDS", "120")

    def tick(self, again=False):
        with self.database.transaction() as tx:
            return lease_clock.tick(tx, again)

    def now(self):
        with self.database.transaction(write=False) as tx:
            return lease_clock.now(tx)

    def lease(self, seconds):
        with self.database.transaction() as tx:
            tx.execute(
                """INSERT INTO leases (flow_run_id, attempt, owner, acquired, expires)
                   VALUES ('run', 1, 'w', 0, :expires)""",
                {"expires": lease_clock.tick(tx) + seconds * SECOND},
            )

    def left(self):
        with self.database.transaction(write=False) as tx:
            return (tx.value("SELECT expires FROM leases") - lease_clock.now(tx)) / SECOND


def test_it_goes_on_with_the_time(clocks):
    began = clocks.tick()
    for _ in range(10):
        clocks.raw += 5 * SECOND
        clocks.tick()
    assert clocks.now() == began + 50 * SECOND


@pytest.mark.parametrize("jump", [3600, 10 * 24 * 3600, -3600])
def test_a_jump_or_an_outage_brings_a_step_at_most(clocks, jump):
    clocks.lease(120)
    clocks.raw += jump * SECOND
    assert 120 - 30 <= clocks.left() <= 120
    clocks.tick()
    assert 120 - 30 <= clocks.left() <= 120
    clocks.raw += 5 * SECOND
    assert 120 - 35 <= clocks.left() <= 115


def test_after_an_outage_everybody_gets_the_whole_time_again(clocks):
    clocks.lease(5)
    clocks.raw += 600 * SECOND
    clocks.tick(again=True)
    assert clocks.left() == 120
    # Not where somebody else went on looking.
    for _ in range(4):
        clocks.raw += 5 * SECOND
        clocks.tick(again=True)
    assert clocks.left() == 100


def test_a_new_boot_takes_nothing(clocks):
    clocks.lease(120)
    clocks.raw, clocks.boot = 5 * SECOND, "two"
    assert clocks.left() == 120
    clocks.tick()
    clocks.raw += 5 * SECOND
    assert clocks.left() == 115


def test_looking_often_writes_seldom(clocks):
    clocks.tick()
    before = clocks.database.changes()
    clocks.raw += SECOND // 10
    clocks.tick()
    assert clocks.database.changes() == before


def test_the_wall_clock_of_a_worker_does_not_count(clocks, monkeypatch):
    clocks.lease(120)
    monkeypatch.setattr(clock, "now_us", lambda: 4_000_000_000 * SECOND)
    assert clocks.left() == 120
    if clocks.database.dialect == "postgresql":
        with clocks.database.transaction(write=False) as tx:
            assert lease_clock.wall(tx) < clock.now_us()
