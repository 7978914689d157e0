"""When schedules are due: cron, interval, rrule and one-off, through every change of the clocks."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from croniter import CroniterError, croniter
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from runyard.base.errors import ScheduleError
from runyard.domain.schedules import firing_policies
from runyard.domain.schedules import instants as schedules

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",  # changed at midnight until 2019
    "Australia/Lord_Howe",  # changes by half an hour
    "Pacific/Apia",  # left out 30 December 2011
    "Africa/Casablanca",  # goes back during Ramadan
    "Asia/Kolkata",
    "America/St_Johns",
    "Antarctica/Troll",  # changes by two hours
]
zones = st.sampled_from(ZONES)
# Around the changes of the clocks, and anywhere else.
moments = st.one_of(
    st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),
    st.sampled_from(
        [
            datetime(2026, 3, 29, 0, 0, tzinfo=UTC),
            datetime(2026, 10, 25, 0, 0, tzinfo=UTC),
            datetime(2026, 3, 8, 6, 0, tzinfo=UTC),
            datetime(2026, 11, 1, 5, 0, tzinfo=UTC),
            datetime(2018, 11, 4, 2, 0, tzinfo=UTC),
            datetime(2019, 2, 17, 1, 0, tzinfo=UTC),
            datetime(2026, 4, 4, 14, 0, tzinfo=UTC),
            datetime(2026, 10, 3, 15, 0, tzinfo=UTC),
            datetime(2011, 12, 30, 9, 0, tzinfo=UTC),
        ]
    ).flatmap(
        lambda moment: st.integers(-5 * 3600, 5 * 3600).map(
            lambda seconds: moment + timedelta(seconds=seconds)
        )
    ),
)
crons = st.builds(
    lambda minute, hour, day: f"{minute} {hour} {day} * *",
    st.sampled_from(["0", "30", "*/15", "*", "7,37", "59"]),
    st.sampled_from(["*", "0", "1", "2", "3", "2-3", "*/2", "0-23", "23", "1,2,14"]),
    st.sampled_from(["*", "*", "*/2", "1", "L"]),
)
specs = st.one_of(
    st.builds(lambda cron, zone: {"cron": cron, "timezone": zone}, crons, zones),
    st.builds(
        lambda seconds, anchor, zone: {"interval": seconds, "anchor_date": anchor, "timezone": zone},
        st.sampled_from([1, 45, 3600, 5400, 86400, 2 * 86400, 604800, 90000.5]),
        moments,
        zones,
    ),
    st.builds(
        lambda rule, zone: {"rrule": rule, "timezone": zone},
        st.sampled_from(
            [
                "FREQ=DAILY;BYHOUR=2;BYMINUTE=30",
                "FREQ=HOURLY",
                "FREQ=MINUTELY;INTERVAL=20",
                "FREQ=WEEKLY;BYDAY=SU;BYHOUR=0,2",
                "DTSTART:20100101T023000\nRRULE:FREQ=MONTHLY;BYMONTHDAY=-1",
                "DTSTART:19991231T000000Z\nRRULE:FREQ=DAILY;INTERVAL=3\nEXDATE:20260329T000000Z",
            ]
        ),
        zones,
    ),
)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def local(instants: list[datetime], zone: str) -> list[str]:
    return [f"{moment.astimezone(ZoneInfo(zone)):%d %H:%M %z}" for moment in instants]


@given(specs, moments)
@settings(deadline=None, max_examples=300)
def test_instants_are_later_and_strictly_increasing(spec, after):
    found = schedules.next_instants(spec, after, 40)
    assert found
    assert found[0] > after
    assert all(one < other for one, other in pairwise(found))
    assert all(moment.tzinfo is UTC for moment in found)


@given(specs, moments, st.integers(0, 20))
@settings(deadline=None, max_examples=300)
def test_going_on_from_any_instant_gives_the_same_instants(spec, after, cut):
    whole = schedules.next_instants(spec, after, 30)
    assert schedules.next_instants(spec, whole[cut], 30 - cut - 1) == whole[cut + 1 :]
    just_before = whole[cut] - timedelta(microseconds=1)
    if just_before > after:
        assert schedules.next_instant(spec, just_before) == whole[cut]


@given(specs, moments, st.integers(0, 48 * 3600))
@settings(deadline=None, max_examples=200)
def test_the_instants_do_not_depend_on_where_one_starts(spec, late, seconds):
    early = late - timedelta(seconds=seconds)
    walked = list(islice(schedules.instants(spec, early), 3000))
    assume(walked[-1] > late)
    later = [moment for moment in walked if moment > late][:20]
    assert later == schedules.next_instants(spec, late, len(later))


@given(zones, st.integers(0, 23), st.integers(0, 59), moments)
@settings(deadline=None, max_examples=300)
def test_a_daily_cron_fires_once_for_every_day_of_the_calendar(zone, hour, minute, after):
    spec = {"cron": f"{minute} {hour} * * *", "timezone": zone}
    place = ZoneInfo(zone)
    for moment in schedules.next_instants(spec, after, 40):
        wall = moment.astimezone(place)
        before = (moment - timedelta(seconds=1)).astimezone(place)
        skipped = wall.utcoffset() != before.utcoffset()
        assert (wall.hour, wall.minute) == (hour, minute) or skipped
        assert wall.fold == 0
    found = schedules.next_instants(spec, after, 40)
    gaps = [other - one for one, other in pairwise(found)]
    assert max(gaps) <= timedelta(hours=27)


@given(zones, moments)
@settings(deadline=None, max_examples=200)
def test_an_every_quarter_cron_keeps_its_rhythm_through_every_change(zone, after):
    found = schedules.next_instants({"cron": "*/15 * * * *", "timezone": zone}, after, 60)
    assert {other - one for one, other in pairwise(found)} == {timedelta(minutes=15)}


@given(zones, st.sampled_from([60, 3600, 6 * 3600, 12345]), moments, moments)
@settings(deadline=None, max_examples=200)
def test_an_interval_below_a_day_is_elapsed_time(zone, seconds, anchor, after):
    spec = {"interval": seconds, "anchor_date": anchor, "timezone": zone}
    for moment in schedules.next_instants(spec, after, 10):
        assert (moment - anchor) % timedelta(seconds=seconds) == timedelta(0)


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        # Forward: a time that does not exist fires when the gap ends.
        ("30 2 * * *", "Europe/Berlin", utc(2026, 3, 28, 12), ["29 03:00 +0200", "30 02:30 +0200"]),
        ("30 2 * * *", "America/New_York", utc(2026, 3, 7, 12), ["08 03:00 -0400", "09 02:30 -0400"]),
        ("0 0 * * *", "America/Sao_Paulo", utc(2018, 11, 3, 12), ["04 01:00 -0200", "05 00:00 -0200"]),
        ("15 2 * * *", "Australia/Lord_Howe", utc(2026, 10, 3, 12), ["04 02:30 +1100", "05 02:15 +1100"]),
        ("0 9 30 * *", "Pacific/Apia", utc(2011, 12, 29), ["31 00:00 +1400", "30 09:00 +1400"]),
        # ... once, however many of its times fell into the gap.
        ("*/10 2 * * *", "Europe/Berlin", utc(2026, 3, 28, 12), ["29 03:00 +0200", "30 02:00 +0200"]),
        # Back: a time shown twice fires the first time.
        ("30 2 * * *", "Europe/Berlin", utc(2026, 10, 24, 12), ["25 02:30 +0200", "26 02:30 +0100"]),
        ("30 1 * * *", "America/New_York", utc(2026, 10, 31, 12), ["01 01:30 -0400", "02 01:30 -0500"]),
        ("45 1 * * *", "Australia/Lord_Howe", utc(2026, 4, 4, 12), ["05 01:45 +1100", "06 01:45 +1030"]),
        ("30 23 * * *", "America/Sao_Paulo", utc(2019, 2, 16, 12), ["16 23:30 -0200", "17 23:30 -0300"]),
        # ... and again for one that runs every hour.
        ("30 * * * *", "Europe/Berlin", utc(2026, 10, 25, 0, 15), ["25 02:30 +0200", "25 02:30 +0100"]),
        ("30 * * * *", "Europe/Berlin", utc(2026, 3, 29, 0, 15), ["29 01:30 +0100", "29 03:30 +0200"]),
    ],
)
def test_cron_at_the_changes_of_the_clocks(cron, zone, after, expected):
    assert local(schedules.next_instants({"cron": cron, "timezone": zone}, after, 2), zone) == expected


def test_cron_started_within_a_repeated_hour_neither_repeats_nor_forgets():
    spec = {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}
    for minutes in (31, 60, 89, 91):
        after = utc(2026, 10, 25, 0, 0) + timedelta(minutes=minutes)
        assert local(schedules.next_instants(spec, after, 1), "Europe/Berlin") == ["26 02:30 +0100"]
    hourly = {"cron": "30 * * * *", "timezone": "Europe/Berlin"}
    after = utc(2026, 10, 25, 0, 45)
    assert schedules.next_instants(hourly, after, 2) == [utc(2026, 10, 25, 1, 30), utc(2026, 10, 25, 2, 30)]


def test_whole_days_keep_their_wall_time():
    spec = {"interval": 86400, "anchor_date": "2026-01-01T08:00:00Z", "timezone": "Europe/Berlin"}
    found = schedules.next_instants(spec, utc(2026, 3, 28), 3)
    assert local(found, "Europe/Berlin") == ["28 09:00 +0100", "29 09:00 +0200", "30 09:00 +0200"]


def test_day_or_decides_whether_day_and_weekday_must_both_fit():
    both = {"cron": "0 0 13 * 5", "day_or": False}
    assert schedules.next_instants(both, utc(2026, 1, 1), 2) == [utc(2026, 2, 13), utc(2026, 3, 13)]
    either = {"cron": "0 0 13 * 5"}
    assert schedules.next_instants(either, utc(2026, 1, 1), 2) == [utc(2026, 1, 2), utc(2026, 1, 9)]


def test_rrules():
    rule = {"rrule": "FREQ=WEEKLY;BYDAY=MO,WE;BYHOUR=9;COUNT=3", "timezone": "Europe/Berlin"}
    assert local(schedules.next_instants(rule, utc(2020, 1, 1), 9), "Europe/Berlin") == [
        "01 09:00 +0100", "06 09:00 +0100", "08 09:00 +0100",
    ]  # fmt: skip
    until = {
        "rrule": "DTSTART;TZID=America/New_York:20260701T090000\nRRULE:FREQ=DAILY;UNTIL=20260703T130000Z"
    }
    assert schedules.next_instants(until, utc(2026, 1, 1), 9) == [utc(2026, 7, day, 13) for day in (1, 2, 3)]
    as_json = {"rrule": '{"rrule": "FREQ=DAILY", "timezone": "Asia/Tokyo"}'}
    assert schedules.next_instants(as_json, utc(2026, 7, 1), 1) == [utc(2026, 7, 1, 15)]


def test_a_one_off_fires_once():
    assert schedules.next_instants({"at": "2026-05-01T12:00:00+02:00"}, utc(2026, 1, 1), 5) == [
        utc(2026, 5, 1, 10)
    ]
    assert schedules.next_instants({"at": "2026-05-01T10:00:00"}, utc(2026, 5, 1, 10), 5) == []


@pytest.mark.parametrize(
    "spec",
    [
        {"cron": "* * * * *", "timezone": "Europe/Berlin"},
        {"cron": "0 0 29 2 *"},
        {"interval": 1},
        {"interval": 86400, "timezone": "Europe/Berlin"},
        {"rrule": "FREQ=MINUTELY", "timezone": "America/New_York"},
        {"rrule": "FREQ=DAILY"},
    ],
)
def test_a_thousand_instants(spec):
    assert len(schedules.next_instants(spec, utc(2026, 3, 1), 1000)) == 1000


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"cron": "every day"}, "cron 'every day' is invalid"),
        ({"cron": "61 * * * *"}, "'61' in the minutes is invalid; valid are 0 to 59"),
        ({"cron": "0 0 5L * *"}, "'5L' in the days of the month"),
        ({"cron": "0 0 * * monday"}, "'monday' in the days of the week is invalid; valid are 0 to 7"),
        ({"cron": "0 0 30 2 *"}, "no existing date"),
        ({"cron": "R * * * *"}, "no fixed times"),
        ({"cron": 5}, "must be a text"),
        ({"cron": "* * * * *", "timezone": "Europe/Berln"}, "did you mean 'Europe/Berlin'"),
        ({"cron": "* * * * *", "timezone": "Pacific Standard Time"}, "Time'; use an IANA name"),
        ({"cron": "* * * * *", "timezone": "W. Europe Standard Time"}, "Time'; use an IANA name"),
        ({"cron": "* * * * *", "timezone": ""}, "unknown time zone timezone=''; omit it"),
        ({"cron": "* * * * *", "timezone": "new york"}, "did you mean 'America/New_York'"),
        ({"cron": "* * * * *", "timezone": "../../etc/passwd"}, "unknown time zone"),
        ({"interval": 0}, "at least 1 second"),
        ({"interval": -60}, "at least 1 second"),
        ({"interval": "often"}, "invalid duration"),
        ({"interval": float("nan")}, "invalid duration"),
        ({"interval": 60, "anchor_date": "soon"}, "anchor_date='soon'"),
        ({"rrule": "daily"}, "FREQ"),
        ({"rrule": "FREQ=SOMETIMES"}, "invalid rrule 'FREQ=SOMETIMES'"),
        ({"rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, "no existing date"),
        (
            {"rrule": "DTSTART;TZID=Asia/Tokyo:20260101T000000\nRRULE:FREQ=DAILY", "timezone": "UTC"},
            "one time zone",
        ),
        ({"at": "tomorrow"}, "at='tomorrow'"),
        ({}, "exactly one"),
        ({"cron": "* * * * *", "interval": 60}, "exactly one"),
        ({"cron": "* * * * *", "anchor_date": "2026-01-01"}, "'anchor_date' is not valid in"),
    ],
)
def test_a_wrong_schedule_is_refused_in_one_line(spec, words):
    with pytest.raises(ScheduleError) as caught:
        schedules.parse(spec)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=30))
@settings(deadline=None)
def test_any_text_is_a_cron_or_a_schedule_error(text):
    with suppress(ScheduleError):
        schedules.next_instants({"cron": text}, utc(2026, 1, 1), 3)


@pytest.mark.parametrize(
    "value",
    [
        5400,
        5400.0,
        "5400",
        "01:30:00",
        "1:30",
        "PT90M",
        "PT1H30M",
        "1h30m",
        "90 minutes",
        timedelta(minutes=90),
    ],
)
def test_forms_of_an_interval(value):
    assert schedules.canonical({"interval": value}) == schedules.canonical({"interval": 5400})


def test_what_means_the_same_is_the_same():
    assert schedules.canonical({"cron": "0  6 * * MON"}) == schedules.canonical(
        {"cron": "0 6 * * mon", "timezone": "UTC", "day_or": True}
    )
    assert schedules.canonical({"cron": "0 6 * * *"}) != schedules.canonical(
        {"cron": "0 6 * * *", "timezone": "Europe/Berlin"}
    )
    anchored = {"interval": 60, "anchor_date": "2026-01-01T00:00:00Z"}
    assert schedules.canonical(anchored) != schedules.canonical({"interval": 60})
    assert schedules.canonical(anchored, anchored=False) == schedules.canonical(
        {"interval": 60}, anchored=False
    )


@given(specs)
@settings(deadline=None)
def test_a_stored_schedule_means_the_same(spec):
    stored = schedules.to_spec(schedules.parse(spec))
    assert schedules.canonical(stored) == schedules.canonical(spec)
    assert schedules.to_spec(schedules.parse(stored)) == stored


@given(
    st.sampled_from(["skip", "latest", "all"]),
    st.integers(1, 50),
    st.sampled_from([7, 60, 900, 3600, 86400]),
    st.integers(0, 400 * 86400),
)
@settings(deadline=None, max_examples=150)
def test_after_an_outage_every_instant_is_fired_or_told(policy, limit, seconds, outage):
    now = utc(2026, 6, 1, 0, 0, 5)
    schedule = schedules.parse({"interval": seconds, "anchor_date": utc(2026, 1, 1)})
    due = schedules.next_instant(schedule, now - timedelta(seconds=outage + seconds))
    seen = firing_policies.backlog(schedule, due, now, limit)
    plan = firing_policies.decide_catchup(policy, limit, seen)
    everything = (now - due) // timedelta(seconds=seconds) + 1
    if seen.exact:
        assert len(plan.fire) + plan.skipped == everything
    else:
        assert len(plan.fire) + plan.skipped <= everything
    assert plan.fire == sorted(set(plan.fire))
    assert all(due <= moment <= now for moment in plan.fire)
    late = [moment for moment in plan.fire if moment < now - firing_policies.GRACE]
    assert len(late) <= {"skip": 0, "latest": 1, "all": limit}[policy]
    if policy != "skip":
        assert plan.fire, "something is made after an outage"
        assert plan.fire[-1] == due + (everything - 1) * timedelta(seconds=seconds)
    if plan.skipped:
        assert plan.first == due
        assert plan.first <= plan.last < (plan.fire[0] if plan.fire else now)


@pytest.mark.parametrize(
    ("policy", "open_runs", "expected"),
    [
        ("allow", 0, "create"), ("allow", 9, "create"),
        ("skip", 0, "create"), ("skip", 1, "skip"),
        ("queue", 0, "create"), ("queue", 1, "create"), ("queue", 2, "skip"),
        ("replace", 0, "create"), ("replace", 2, "replace"),
    ],
)  # fmt: skip
def test_overlap(policy, open_runs, expected):
    assert firing_policies.decide_overlap(policy, open_runs) == expected


@given(
    st.sampled_from(["0", "30", "*/15", "7,37", "5-9", "*"]),
    st.sampled_from(["*", "0", "2", "1-3", "*/6", "2,14"]),
    st.sampled_from(["*", "1", "L", "10-12", "*/7", "15W"]),
    st.sampled_from(["*", "1", "3,10", "jan-mar"]),
    st.sampled_from(["*", "mon", "1-5", "0", "fri#2", "L5", "7"]),
    st.booleans(),
    moments,
)
@settings(deadline=None, max_examples=100)
def test_a_cron_has_the_wall_times_of_croniter_where_clocks_never_change(
    minute, hour, day, month, weekday, either, after
):
    text = f"{minute} {hour} {day} {month} {weekday}"
    try:
        theirs = croniter(text, after.replace(microsecond=0), datetime, day_or=either)
        expected = [theirs.get_next() for _ in range(12)]
    except CroniterError:
        return
    found = schedules.next_instants({"cron": text, "day_or": either}, after, 12)
    assert found == [moment.replace(tzinfo=UTC) for moment in expected]


@given(st.sampled_from(["15 2 * * *", "0 0 * * 1-5", "30 1,2,3 * * *", "0 2 L * *"]), zones, moments)
@settings(deadline=None, max_examples=100)
def test_a_cron_that_names_its_hours_is_due_at_the_wall_times_of_croniter(text, zone, after):
    place = ZoneInfo(zone)
    for moment in schedules.next_instants({"cron": text, "timezone": zone}, after, 20):
        wall = moment.astimezone(place).replace(tzinfo=None)
        before = (moment - timedelta(seconds=1)).astimezone(place)
        # At the end of a gap it stands for a time that clocks skipped.
        skipped = moment.astimezone(place).utcoffset() != before.utcoffset()
        assert croniter.match(text, wall) or skipped


@given(specs, moments, st.integers(0, 40 * 86400))
@settings(deadline=None, max_examples=60)
def test_instants_backwards_are_those_forwards(spec, first, seconds):
    last = first + timedelta(seconds=seconds)
    forwards = list(islice(schedules.between(spec, first, last), 3000))
    assume(len(forwards) < 3000)
    assert list(schedules.between(spec, first, last, reverse=True)) == forwards[::-1]
