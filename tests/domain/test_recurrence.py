"""Recurrence rules: the same times as dateutil's, in every zone, within a budget of steps."""

from __future__ import annotations

import warnings
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from runyard.base.errors import ScheduleError
from runyard.domain.schedules import instants, rrule_search, rrule_text

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Asia/Kolkata",
]
MOST = 60
DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


def some(values, most=3):
    return st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True)


def signed(high):
    return [number for number in range(-high, high + 1) if number]


@st.composite
def rules(draw):
    """A rule of every kind of parts, from a start, without the two in which dateutil is wrong."""
    freq = draw(st.sampled_from(rrule_search.FREQUENCIES))
    parts = [f"FREQ={freq}"]
    long = freq in ("YEARLY", "MONTHLY")
    choices = {
        "BYMONTH": some(list(range(1, 13))),
        "BYMONTHDAY": some(signed(31)),
        "BYHOUR": some(list(range(24))),
        "BYMINUTE": some(list(range(60))),
        "BYSECOND": some([0, 1, 30, 59]),
        "BYDAY": some([f"{number}{day}" for number in (1, 2, -1, 5) for day in DAYS] if long else DAYS),
    }
    if freq == "YEARLY":
        choices["BYYEARDAY"] = some(signed(366))
        choices["BYWEEKNO"] = some(list(range(2, 52)))
    for name in draw(st.lists(st.sampled_from(sorted(choices)), max_size=3, unique=True)):
        parts.append(f"{name}={','.join(map(str, draw(choices[name])))}")
    if draw(st.booleans()):
        parts.append(f"INTERVAL={draw(st.sampled_from([1, 2, 3, 5, 7, 13, 45, 90]))}")
    if draw(st.booleans()):
        parts.append(f"WKST={draw(st.sampled_from(DAYS))}")
    if freq != "WEEKLY" and len(parts) > 1 and draw(st.booleans()):
        positions = draw(some([1, 2, 3, -1, -2]))
        parts.append(f"BYSETPOS={','.join(map(str, positions))}")
    if draw(st.booleans()):
        parts.append(f"COUNT={draw(st.integers(1, 60))}")
    start = draw(st.datetimes(datetime(2019, 1, 1), datetime(2026, 1, 1)))
    return f"DTSTART:{start:%Y%m%dT%H%M%S}\nRRULE:{';'.join(parts)}", start


def theirs(text, end):
    """What dateutil finds up to a time; it looks for one more, however far away that is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(takewhile(lambda wall: wall <= end, islice(rrulestr(text), MOST)))


def ours(text, after, steps=rrule_search.MOST_STEPS):
    """The times of a rule; those found before the budget is used up."""
    rule = rrule_text.read(rrule_text.lines(text), ZoneInfo("UTC")).rules[0]
    with suppress(rrule_search.OutOfSteps):
        yield from rrule_search.occurrences(rule, after, rrule_search.Budget(steps=steps))


@given(rules())
@settings(deadline=None, max_examples=100)
def test_a_rule_has_the_times_of_dateutil(rule):
    text, _start = rule
    found = list(islice(ours(text, None, 3000), MOST + 1))
    if "COUNT" in text:
        assert len(found) <= int(text.partition("COUNT=")[2])
        text = text.partition(";COUNT")[0]
    # dateutil looks for a time that never comes until the year 9999.
    assume(len(found) > 1)
    assert theirs(text, found[-2])[: len(found) - 1] == found[:-1]


@given(rules(), st.integers(0, 400 * 86400))
@settings(deadline=None, max_examples=60)
def test_a_rule_has_the_same_times_wherever_the_search_begins(rule, seconds):
    text, start = rule
    after = start + timedelta(seconds=seconds)
    later = [wall for wall in islice(ours(text, None, 5000), 200) if wall > after]
    assert list(islice(ours(text, after), len(later))) == later


@given(
    st.sampled_from(
        ["FREQ=DAILY", "FREQ=WEEKLY;BYDAY=SU,MO", "FREQ=DAILY;BYHOUR=1,2,3", "FREQ=MONTHLY;BYDAY=-1SU"]
    ),
    st.integers(0, 59),
    st.sampled_from(ZONES),
    st.sampled_from([2018, 2019, 2026]),
)
@settings(deadline=None, max_examples=60)
def test_a_rule_that_names_its_hours_is_due_at_the_wall_times_of_dateutil(rule, minute, zone, year):
    text = f"DTSTART:20170101T02{minute:02}00\nRRULE:{rule}"
    place = ZoneInfo(zone)
    end = datetime(year + 1, 1, 1)
    expected = []
    for wall in rrulestr(text).between(datetime(year, 1, 1), end, inc=True):
        instant = wall.replace(tzinfo=place).astimezone(UTC)
        if instant.astimezone(place).replace(tzinfo=None) != wall:
            # Clocks skip it: due when the gap ends.
            while (
                instant.astimezone(place).utcoffset()
                == (instant - timedelta(seconds=1)).astimezone(place).utcoffset()
            ):
                instant -= timedelta(minutes=1)
            instant = instant.replace(second=0)
        expected.append(instant)
    after = (datetime(year, 1, 1, tzinfo=place) - timedelta(seconds=1)).astimezone(UTC)
    found = instants.next_instants({"rrule": text, "timezone": zone}, after, 2000)
    last = end.replace(tzinfo=place).astimezone(UTC)
    assert [moment for moment in found if moment <= last] == sorted(set(expected))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL=0 must be from 1"),
        ("FREQ=MONTHLY;INTERVAL=-1", "INTERVAL=-1 must be from 1"),
        ("FREQ=DAILY;COUNT=0", "COUNT=0 must be from 1"),
        ("FREQ=MINUTELY;BYHOUR=25", "25 is not in 0 to 23"),
        ("FREQ=HOURLY;BYMINUTE=-1", "-1 is not in 0 to 59"),
        ("FREQ=DAILY;BYMONTHDAY=0", "0 is not in 1 to 31 or -31 to -1"),
        ("FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=31", "no existing date"),
        ("FREQ=MINUTELY;INTERVAL=1440;BYHOUR=5", "no existing date"),
        ("FREQ=SECONDLY;BYSETPOS=2", "no existing date"),
        ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=9", "no existing date"),
        ("FREQ=YEARLY;BYDAY=54MO", "invalid day '54MO'"),
        ("RRULE:FREQ=DAILY\nEXRULE:FREQ=DAILY", "excludes all dates"),
        ("RRULE:FREQ=SECONDLY\nEXRULE:FREQ=SECONDLY", "excludes all dates"),
        ("RDATE:20260101T000000\nEXDATE;VALUE=DATE:20260101", "excludes all dates"),
        ("FREQ=MINUTELY;BYDAY=MO;COUNT=100000000", "give UNTIL"),
        ("FREQ=DAILY;UNTIL=20190101", "ends (UNTIL 2019-01-01 00:00) before it begins (2020-01-01 00:00)"),
        ("FREQ=DAILY;BYHOURS=9", "unknown part of a rule: BYHOURS"),
        ("FREQ=DAILY;BYHOUR=9;BYHOUR=10", "BYHOUR is given twice"),
        ("DTSTART:20260230T000000\nRRULE:FREQ=DAILY", "invalid time DTSTART '20260230T000000'"),
        ("DTSTART:20260101T090000\nRDATE;VALUE=DATE:20260103", "write 20260103T090000"),
        ("DTSTART:20260101T000000\nRDATE;VALUE=PERIOD:20260101T000000Z/PT1H", "VALUE=PERIOD"),
        ("BEGIN:VEVENT\nRRULE:FREQ=DAILY", "'BEGIN:VEVENT'"),
    ],
)
def test_a_rule_that_cannot_be_right_is_refused_with_the_reason(text, words):
    with pytest.raises(ScheduleError) as caught:
        instants.parse({"rrule": text})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def first(text, count=3, after=datetime(2020, 1, 1, tzinfo=UTC), **more):
    found = instants.next_instants({"rrule": text, **more}, after, count)
    return [f"{moment:%Y-%m-%d %H:%M}" for moment in found]


def test_a_rule_with_a_huge_count_is_not_counted_from_its_start():
    # Each has more times than there are steps in a budget.
    after = datetime(2026, 6, 1, tzinfo=UTC)
    for rule in ("FREQ=SECONDLY;COUNT=1000000000", "FREQ=DAILY;COUNT=1000000", "FREQ=WEEKLY;COUNT=300000"):
        assert len(first(rule, 2, after)) == 2


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;COUNT=3000000",
        "FREQ=DAILY;COUNT=100000000",
        "FREQ=WEEKLY;COUNT=1000000000",
        "FREQ=WEEKLY;BYDAY=MO,FR;COUNT=900000",
        "FREQ=HOURLY;COUNT=1000000000",
        "FREQ=DAILY;INTERVAL=400;COUNT=1000000",
        "FREQ=SECONDLY;INTERVAL=3000000;COUNT=1000000000",
    ],
)
def test_a_count_that_outlives_the_calendar_is_no_limit(rule):
    after = datetime(2026, 6, 1, tzinfo=UTC)
    assert first(rule, 3, after) == first(rule.partition(";COUNT")[0], 3, after)


def test_a_rule_with_huge_steps_has_the_times_that_there_are():
    assert first("FREQ=SECONDLY;INTERVAL=1000000000;COUNT=1000000000", 2) == [
        "2051-09-09 01:46",
        "2083-05-18 03:33",
    ]


def test_lines_may_be_folded():
    folded = "DTSTART:20261118T111500\r\nRRULE:FREQ=WEEKLY;BYDAY=MO,\r\n TU,WE;BYHOUR=9"
    assert first(folded) == ["2026-11-23 09:15", "2026-11-24 09:15", "2026-11-25 09:15"]
    assert first("  DTSTART:20261118T111500\n  RRULE:FREQ=DAILY", 1) == ["2026-11-18 11:15"]
    assert first(r"DTSTART:20261118T111500\nRRULE:FREQ=DAILY", 1) == ["2026-11-18 11:15"]


def test_a_zone_may_be_quoted():
    text = 'DTSTART;TZID="America/New_York":20261118T111500\nRRULE:FREQ=WEEKLY'
    assert first(text, 1) == ["2026-11-18 16:15"]
    with pytest.raises(ScheduleError, match="did you mean 'America/New_York'"):
        instants.parse({"rrule": 'DTSTART;TZID="America/NewYork":20261118T111500\nRRULE:FREQ=WEEKLY'})


@pytest.mark.parametrize("name", ["EXDATE;VALUE=DATE", "EXDATE"])
def test_an_excluded_day_is_left_out_whole(name):
    text = f"DTSTART;TZID=Europe/Amsterdam:20261118T111500\nRRULE:FREQ=DAILY\n{name}:20261119,20261121"
    assert first(text) == ["2026-11-18 10:15", "2026-11-20 10:15", "2026-11-22 10:15"]


def test_a_position_counts_from_the_beginning_of_the_week():
    # 10 November 2024 is a Sunday in the week that began on Wednesday the 6th.
    text = "DTSTART:20241110T000000\nRRULE:FREQ=WEEKLY;WKST=WE;BYSETPOS=1;BYDAY=MO,TU,WE"
    assert first(text, 2) == ["2024-11-13 00:00", "2024-11-20 00:00"]


def test_weekdays_with_and_without_a_number_are_alternatives():
    text = "DTSTART:20260601T000000\nRRULE:FREQ=MONTHLY;BYDAY=1TU,MO"
    assert first(text) == ["2026-06-01 00:00", "2026-06-02 00:00", "2026-06-08 00:00"]


def test_an_excluded_rule_and_further_times():
    text = (
        "DTSTART:20260601T090000\nRRULE:FREQ=DAILY\nEXRULE:FREQ=WEEKLY;BYDAY=SA,SU\n"
        "RDATE:20260606T120000,20260603T090000\nEXDATE:20260602T090000"
    )
    assert first(text, 5) == [
        "2026-06-01 09:00", "2026-06-03 09:00", "2026-06-04 09:00", "2026-06-05 09:00", "2026-06-06 12:00",
    ]  # fmt: skip
