"""The arithmetic of slots: decay never gives more than there is, and waits end when they say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from runyard.domain import slots

limits = some.integers(1, 1000)
rates = some.floats(0.001, 1000)
times = some.integers(0, 10**15)
spans = some.integers(0, 10**12)


@given(taken=some.floats(0, 1000), at=times, one=spans, other=spans, rate=rates)
def test_decay_only_ever_gives_back(taken, at, one, other, rate):
    sooner, later = sorted((at + one, at + other))
    first = slots.decayed(taken, at, sooner, rate)
    second = slots.decayed(taken, at, later, rate)
    assert 0 <= second <= first <= taken
    assert slots.decayed(taken, at, at - one, rate) == taken  # a clock that went back


@given(taken=some.floats(0, 1000), at=times, one=spans, other=spans, rate=rates)
def test_decay_in_two_steps_is_decay_in_one(taken, at, one, other, rate):
    middle = slots.decayed(taken, at, at + one, rate)
    twice = slots.decayed(middle, at + one, at + one + other, rate)
    assert abs(twice - slots.decayed(taken, at, at + one + other, rate)) < 1e-6


@given(data=some.data(), limit=limits, rate=rates, at=some.just(0))
def test_after_the_wait_the_slots_are_free_and_not_long_before(data, limit, rate, at):
    used = data.draw(some.floats(0, limit))
    wanted = data.draw(some.integers(1, limit))
    wait = slots.seconds_until_decayed(limit, used, wanted, rate)
    # A microsecond is the finest that the clock tells.
    then = at + int(wait * 1e6) + 1
    assert slots.fits(limit, slots.decayed(used, at, then, rate), wanted)
    if wait > 0.01:
        before = at + int(wait * 0.5e6)
        missing = used + wanted - limit
        assert missing < 1e-5 or not slots.fits(limit, slots.decayed(used, at, before, rate), wanted)


@given(limit=some.integers(1, 20), rate=some.floats(0.1, 100), steps=some.lists(some.integers(0, 10**6)))
def test_no_stretch_of_time_sees_more_than_the_limit_and_what_decayed(limit, rate, steps):
    taken, taken_at, now, granted = 0.0, 0, 0, []
    for step in steps:
        now += step
        used = slots.decayed(taken, taken_at, now, rate)
        if slots.fits(limit, used, 1):
            taken, taken_at = used + 1, now
            granted.append(now)
    for first in range(len(granted)):
        seconds = (granted[-1] - granted[first]) / 1e6
        assert len(granted) - first <= limit + seconds * rate + 1e-3


leases = some.lists(some.tuples(some.integers(1, 5), some.none() | some.integers(0, 10**9)), max_size=8)


@given(limit=some.integers(0, 20), wanted=some.integers(1, 5), held=leases, now=some.integers(0, 10**9))
def test_when_the_wait_for_leases_is_over_enough_have_run_out(limit, wanted, held, now):
    wait = slots.seconds_until_expired(limit, wanted, held, now)
    for_ever = sum(count for count, expires in held if expires is None)
    if wait is None:
        assert for_ever + wanted > limit
        return
    then = now + round(wait * 1e6)
    left = sum(count for count, expires in held if expires is None or expires > then)
    assert slots.fits(limit, left, wanted)


@given(since=some.lists(times), now=times)
def test_a_guess_is_neither_endless_nor_nothing(since, now):
    guess = slots.seconds_until_returned(since, now)
    assert slots.SHORTEST_WAIT_SECONDS <= guess <= slots.LONGEST_WAIT_SECONDS
