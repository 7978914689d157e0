"""Schedules that say what others mean by them: refused with what to write, or warned of."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from runyard.base.errors import ScheduleError
from runyard.domain.schedules import instants, schedule_warnings


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("@reboot", "names no time"),
        ("@every 5m", "interval: 300"),
        ("@every 1h30m", "interval: 5400"),
        ("@fortnightly", "@yearly"),
        ("0 0 L-3 * *", "BYMONTHDAY=-4"),
        ("0 0 LW * *", "BYSETPOS=-1"),
        ("CRON_TZ=Europe/Berlin 0 6 * * *", "timezone: Europe/Berlin"),
        ("0 6 * *", "it has 4 fields"),
        ("0 0 12 ? * MON-FRI", "perhaps you mean '0 12 ? * MON-FRI'"),
        ("5 30 9 * * 1", "perhaps you mean '30 9 * * 1 5'"),
    ],
)
def test_a_cron_of_another_kind_is_refused_with_what_to_write(cron, words):
    with pytest.raises(ScheduleError) as caught:
        instants.parse({"cron": cron})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cron", ["0 0 * * 5L", "0 0 * * friL", "0 0 * * L5"])
def test_the_last_weekday_of_the_month(cron):
    assert instants.next_instants({"cron": cron}, utc(2026, 11, 28), 2) == [
        utc(2026, 12, 25),
        utc(2027, 1, 29),
    ]


@pytest.mark.parametrize(
    ("ranges", "values"),
    [
        ("30-30 3-3 * * *", "30 3 * * *"),
        ("0 0 28-28 * *", "0 0 28 * *"),
        ("0 0 1 03-3/2 *", "0 0 1 3 *"),
        ("0 6 * * mon-MON,3-3", "0 6 * * 1,3"),
        ("0 6 * * sun-0", "0 6 * * 0"),
        ("0 6 * * 0-7", "0 6 * * *"),
        ("0 0 * * * 5-5", "0 0 * * * 5"),
    ],
)
def test_a_range_from_a_value_to_itself_is_that_value(ranges, values):
    after = utc(2026, 11, 28)
    expected = instants.next_instants({"cron": values}, after, 20)
    assert instants.next_instants({"cron": ranges}, after, 20) == expected


def test_a_cron_of_a_year_far_away():
    assert instants.next_instants({"cron": "0 9 1 1 * 0 2099"}, utc(2026, 1, 1), 2) == [utc(2099, 1, 1, 9)]


def said(spec, now=datetime(2026, 11, 28, tzinfo=UTC)):
    return " ".join(schedule_warnings.warnings(spec, now))


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        (
            "0 0 6 * * *",
            ["2026-12-06 00:00:00 and 2026-12-06 00:00:01", "2026-11-28 06:00:00", "'0 6 * * *'"],
        ),
        ("0 6 * * * *", ["'6 * * * *'"]),
        ("15 0 6 * * *", ["'0 6 * * * 15'"]),
        ("0 15 10 * * 0", ["'15 10 * * 0'"]),
        ("*/90 * * * *", ["*/90 in the minutes", "interval: 5400"]),
        ("0 */36 * * *", ["*/36 in the hours", "interval: 129600"]),
        ("30 3-3 * * *", ["3-3 means only 3", "write 3 or *"]),
    ],
)
def test_a_cron_that_reads_otherwise_than_it_looks_is_warned_of(cron, words):
    found = said({"cron": cron})
    assert all(word in found for word in words), found


@pytest.mark.parametrize(
    ("rrule", "days"),
    [
        ("FREQ=WEEKLY;BYDAY=2MO,TU,-1FR", ["2MO", "-1FR"]),
        ("FREQ=DAILY;BYWEEKDAY=MO(+2)", ["MO(+2)"]),
        ("DTSTART:20200101T000000\nRRULE:FREQ=DAILY\nEXRULE:FREQ=DAILY;BYDAY=1SU", ["1SU"]),
        ("FREQ=WEEKLY;BYDAY=MO", []),
        ("FREQ=MONTHLY;BYDAY=2MO", []),
        ("FREQ=YEARLY;BYDAY=-1FR", []),
    ],
)
def test_the_number_of_a_day_that_means_nothing_is_warned_of(rrule, days):
    found = schedule_warnings.warnings({"rrule": rrule}, datetime(2026, 11, 28, tzinfo=UTC))
    assert [line.split()[1] for line in found] == days


@pytest.mark.parametrize(
    "cron",
    [
        "0 6 * * *",
        "*/15 * * * *",
        "* * * * * *",
        "* * * * * */30",
        "0 6 * * * 30",
        "0 9 1 1 * 0 2099",
        "*/60 * * * *",
    ],
)
def test_a_cron_as_it_looks_is_not(cron):
    assert said({"cron": cron}) == ""


@pytest.mark.parametrize(
    "spec",
    [
        {"cron": "0 9 1 1 * 0 2020"},
        {"rrule": "FREQ=DAILY;UNTIL=20200601T000000"},
        {"rrule": "FREQ=HOURLY;COUNT=3"},
        {"rrule": "RDATE:20221012T134000Z"},
        {"at": "2020-01-01T00:00:00Z"},
    ],
)
def test_a_schedule_that_is_over_is_told(spec):
    assert "will not fire again" in said(spec)


def test_an_anchor_without_an_offset_is_of_the_zone():
    spec = {"interval": 86400, "anchor_date": "2026-01-01T04:00:00", "timezone": "America/New_York"}
    assert instants.next_instants(spec, utc(2026, 11, 28, 12), 1) == [utc(2026, 11, 29, 9)]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("GMT+2", "'Etc/GMT-2'"), ("utc-5", "'Etc/GMT+5'"), ("+03:00", "'Etc/GMT-3'"),
        ("Etc/GMT+02", "'Etc/GMT+2'"), ("UTC+0", "'UTC'"), ("UTC+05:30", "region"), ("GMT+15", "region"),
        ("CST", "'America/Chicago'"), ("PST", "'America/Los_Angeles'"), ("IST", "'Asia/Kolkata'"),
        ("XST", "IANA name"), ("Europe/Berln", "'Europe/Berlin'"), ("new york", "'America/New_York'"),
    ],
)  # fmt: skip
def test_a_hint_for_a_zone_never_changes_the_offset(name, words):
    with pytest.raises(ScheduleError) as caught:
        instants.parse({"cron": "0 6 * * *", "timezone": name})
    assert words in str(caught.value)
