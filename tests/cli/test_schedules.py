"""`runyard schedule next`, `runyard deployment schedule`, and times in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runyard.base.errors import InvalidInput
from runyard_cli.shared import output, values

FLOW = "from prefect import flow\n\n@flow\ndef etl(date: str = None, n: int = 1):\n    print(date, n)\n"
PROJECT = """
name: mine
deployments:
  - name: nightly
    entrypoint: etl.py:etl
    work_pool: {name: pool}
    schedules:
      - {cron: "30 2 * * *", timezone: Europe/Berlin, slug: night}
"""


@pytest.fixture
def deployed(tmp_path, monkeypatch, runyard):
    (tmp_path / "etl.py").write_text(FLOW)
    (tmp_path / "prefect.yaml").write_text(PROJECT)
    monkeypatch.chdir(tmp_path)
    runyard("work-pool", "create", "pool", "--type", "process")
    runyard("deploy", "--all")


def schedules(runyard):
    return runyard("deployment", "schedule", "ls", "nightly", "-o", "json").json


def test_the_coming_instants_with_what_is_odd_about_them(runyard, deployed):
    found = runyard(
        "schedule", "next", "nightly", "--after", "2026-10-24T12:00Z", "--tz", "Europe/Berlin",
        "-n", "2", "-o", "json",
    ).json  # fmt: skip
    assert [each["local"] for each in found] == ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]
    assert found[0]["note"] == "the clocks go back: 02:30 comes twice, this is the first"
    assert (found[1]["utc"], found[1]["note"]) == ("2026-10-26T01:30:00Z", None)
    (gap,) = runyard(
        "deployment", "schedule", "next", "nightly", "--after", "2027-03-27T12:00Z", "-n", "1", "-o", "json"
    ).json
    assert gap["utc"] == "2027-03-28T01:00:00Z"
    assert gap["note"] == "the clocks go forward: 02:00 to 03:00 does not exist"


def test_a_deployment_without_schedules_is_said_to_have_none(runyard, deployed):
    assert "unknown time zone 'X/Y'" in runyard("schedule", "next", "nightly", "--tz", "X/Y", code=1).err
    runyard("deployment", "schedule", "clear", "nightly", "-y")
    shown = runyard("schedule", "next", "nightly")
    assert "has no schedule" in shown.err
    assert "any more" not in shown.out + shown.err
    assert "unknown time zone 'X/Y'" in runyard("schedule", "next", "nightly", "--tz", "X/Y", code=1).err


def test_a_schedule_given_by_flags(runyard, home):
    shown = runyard("schedule", "next", "--cron", "0 6 * * *", "--tz", "UTC", "-n", "3")
    assert len(shown.out.splitlines()) == 3
    twice = runyard(
        "schedule", "next", "--cron", "30 * * * *", "--timezone", "Europe/Berlin",
        "--after", "2026-10-24T23:50Z", "-n", "3", "-o", "json",
    ).json  # fmt: skip
    assert [each["note"] and each["note"].rpartition(" ")[2] for each in twice] == ["first", "second", None]
    assert runyard("schedule", "next", "--interval", "90m", "-n", "2", "-o", "json").json
    assert "cron" in runyard("schedule", "next", "--cron", "61 * * * *", code=1).err
    assert "No schedules" in runyard("schedule", "next").err
    runyard("schedule", "next", "x", "--cron", "* * * * *", code=2)


def test_several_schedules_are_merged_and_paused_ones_left_out(runyard, deployed):
    runyard("deployment", "schedule", "create", "nightly", "--interval", "1h", "--slug", "hourly")
    found = runyard("schedule", "next", "nightly", "-n", "40", "-o", "json").json
    assert {each["schedule"] for each in found} == {"hourly", "night"}
    instants = [each["utc"] for each in found]
    assert instants == sorted(instants)
    runyard("deployment", "schedule", "pause", "nightly", "hourly")
    found = runyard("schedule", "next", "nightly", "-n", "5", "-o", "json").json
    assert {each["schedule"] for each in found} == {"night"}
    runyard("deployment", "schedule", "pause", "nightly", "--all")
    assert "--all" in runyard("schedule", "next", "nightly").err


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.sampled_from(["30 2 * * *", "0 3 * * *", "15 * * * *", "0 0 * * 0", "*/20 1-3 * * *"]),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
    st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1)),
)
def test_next_never_goes_back_and_marks_only_changes_of_clocks(runyard, cron, zone, after):
    found = runyard(
        "schedule", "next", "--cron", cron, "--timezone", zone, "--tz", zone,
        "--after", after.replace(tzinfo=UTC).isoformat(), "-n", "20", "-o", "json",
    ).json  # fmt: skip
    instants = [datetime.fromisoformat(each["utc"]) for each in found]
    assert all(first < second for first, second in pairwise(instants))
    assert instants[0] > after.replace(tzinfo=UTC)
    for each, instant in zip(found, instants, strict=True):
        local = datetime.fromisoformat(each["local"])
        around = [(instant + timedelta(hours=hours)).astimezone(local.tzinfo) for hours in (-3, 3)]
        assert all(moment is not None for moment in around)
        if zone == "Asia/Kolkata":
            assert each["note"] is None


def test_schedules_are_created_inspected_and_deleted(runyard, deployed):
    made = runyard(
        "deployment", "schedule", "create", "nightly", "--cron", "0 6 * * *", "--timezone", "UTC",
        "--slug", "day", "--overlap", "skip", "--param", "n=3", "--no-active", "-o", "json",
    ).json  # fmt: skip
    assert (made["slug"], made["active"], made["overlap"]) == ("day", False, "skip")
    assert made["parameters"] == {"n": 3}
    shown = runyard("deployment", "schedule", "inspect", "nightly", "day", "-o", "json").json
    assert shown["id"] == made["id"]
    assert "0 6 * * *" in runyard("deployment", "schedule", "inspect", "nightly", made["id"][:20]).out
    runyard("deploy", "--all")
    assert {each["slug"] for each in schedules(runyard)} == {"night", "day"}
    runyard("deployment", "schedule", "delete", "nightly", "day", "-y")
    assert [each["slug"] for each in schedules(runyard)] == ["night"]
    assert "creates it again" in runyard("deployment", "schedule", "clear", "nightly", "-y").err
    assert schedules(runyard) == []
    runyard("deployment", "schedule", "clear", "nightly")


def test_create_replaces_on_demand_and_takes_every_kind(runyard, deployed):
    runyard("deployment", "schedule", "create", "nightly", "--rrule", "FREQ=DAILY", "--replace", "-y")
    (one,) = schedules(runyard)
    assert "FREQ=DAILY" in one["schedule"]["rrule"]
    flags = ("--cron", "@daily", "--slug", "mine", "--replace", "-y")
    runyard("deployment", "schedule", "create", "nightly", *flags)
    runyard("deployment", "schedule", "create", "nightly", *flags)
    assert [each["slug"] for each in schedules(runyard)] == ["mine"]
    runyard("deployment", "schedule", "create", "nightly", "--rrule", '{"rrule": "FREQ=WEEKLY"}')
    runyard("deployment", "schedule", "create", "nightly", "--at", "2099-01-01T00:00Z")
    runyard(
        "deployment",
        "schedule",
        "create",
        "nightly",
        "--interval",
        "2h",
        "--anchor-date",
        "2026-01-01T00:00Z",
    )
    assert len(schedules(runyard)) == 4


@pytest.mark.parametrize(
    "flags",
    [
        (), ("--cron", "* * * * *", "--interval", "3"), ("--cron", "61 * * * *"), ("--interval", "0"),
        ("--rrule", "nonsense"), ("--cron", "@daily", "--anchor-date", "2026-01-01"),
        ("--cron", "@daily", "--timezone", "Nowhere/City"), ("--cron", "@daily", "--slug", "night"),
        ("--cron", "@daily", "--param", "nosuch=1", "--replace", "-y"),
    ],
)  # fmt: skip
def test_a_wrong_schedule_changes_nothing(runyard, deployed, flags):
    before = schedules(runyard)
    with pytest.raises(AssertionError, match=r"exit [12]"):
        runyard("deployment", "schedule", "create", "nightly", *flags)
    assert schedules(runyard) == before


NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["tomorrow 9am", "in 2 hours", "next friday 18:00", "june 1st 2099", "on monday at 7:30"]
)
def test_times_in_words_are_in_the_future(text):
    assert values.moment(text) > datetime.now(UTC)


def test_tomorrow_is_tomorrow():
    before = datetime.now().astimezone()
    found = values.moment("tomorrow 9am").astimezone()
    after = datetime.now().astimezone()  # another day, at midnight
    assert (found - timedelta(days=1)).date() in (before.date(), after.date())
    assert (found.hour, found.minute) == (9, 0)


def test_what_is_no_time_is_refused():
    for text in ("whenever", "25:99", "the day after"):
        with pytest.raises(InvalidInput, match="invalid time"):
            values.moment(text)
    assert values.past("2h", NOW) == NOW - timedelta(hours=2)
    assert values.past("2026-01-01T00:00Z", NOW) == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_run_starts_at_a_time_in_words(runyard, deployed):
    made = runyard("deployment", "run", "nightly", "--start-at", "tomorrow 9am", "-o", "json").json
    due = datetime.fromisoformat(made["expected_start_time"])
    assert timedelta(0) < due - datetime.now(UTC) <= timedelta(days=2)
    assert "invalid time" in runyard("deployment", "run", "nightly", "--start-at", "whenever", code=1).err


TWO = """
name: mine
deployments:
  - name: nightly
    entrypoint: etl.py:etl
    tags: [prod]
    work_pool: {name: pool}
    schedules:
      - {cron: "30 2 * * *", timezone: Europe/Berlin, slug: night}
      - {cron: "0 4 * * *", timezone: America/New_York, slug: early}
  - name: weekly
    entrypoint: etl.py:etl
    work_pool: {name: pool}
    schedules:
      - {cron: "0 12 * * 1", slug: monday}
"""


@pytest.fixture
def two(tmp_path, deployed, runyard):
    (tmp_path / "prefect.yaml").write_text(TWO)
    runyard("deploy", "--all")


def test_what_is_due_next_of_all_deployments_in_the_zone_of_each(runyard, two):
    options = ("--after", "2026-11-30T00:00Z", "--until", "2026-12-01T00:00Z")
    shown = [line.split("\t") for line in runyard("schedule", "next", *options).out.splitlines()]
    assert [(line[0], line[2], line[3]) for line in shown] == [
        ("2026-11-30T02:30:00+01:00", "etl/nightly", "night"),
        ("2026-11-30T04:00:00-05:00", "etl/nightly", "early"),
        ("2026-11-30T12:00:00+00:00", "etl/weekly", "monday"),
    ]
    found = runyard("schedule", "next", *options, "-o", "json").json
    assert [each["deployment"] for each in found] == ["etl/nightly", "etl/nightly", "etl/weekly"]
    assert found[0]["utc"] == "2026-11-30T01:30:00Z"
    tagged = runyard("schedule", "next", *options, "--tag", "prod", "-o", "json").json
    assert {each["schedule"] for each in tagged} == {"night", "early"}
    runyard("work-pool", "create", "other", "--type", "process")
    assert runyard("schedule", "next", *options, "--pool", "other", "-o", "json").json == []
    assert "'othr'" in runyard("schedule", "next", "--pool", "othr", code=1).err.replace('"', "'")
    shown = runyard("schedule", "next", "-n", "1", *options)
    assert "1 shown and there are more" in shown.err
    assert len(shown.out.splitlines()) == 1
    assert len(runyard("schedule", "next", "-n", "1200", "-o", "json").json) == 1200


def test_what_is_due_next_says_why_nothing_is(runyard, two):
    runyard("deployment", "pause", "nightly", "weekly")
    assert "see all 3 schedules: runyard schedule ls" in runyard("schedule", "next").err
    assert "paused" in runyard("schedule", "next", "nightly").err
    assert runyard("schedule", "next", "--all", "-n", "1", "-o", "json").json[0]["paused"] is True
    runyard("deployment", "delete", "--all", "-y")
    assert "runyard deployment schedule create" in runyard("schedule", "next").err
    assert "must be later than now" in runyard("schedule", "next", "--until", "yesterday", code=1).err
    assert "--cron" in runyard("schedule", "next", "--timezone", "UTC", code=2).err
    unquoted = runyard("schedule", "next", "--cron", "0", "6", "a.py", code=2).err
    assert "one word" in unquoted
    assert "--cron" in runyard("schedule", "next", "--tag", "x", "--cron", "@daily", code=2).err


def test_the_only_schedule_is_paused(runyard, two):
    runyard("deployment", "delete", "nightly", "-y")
    runyard("schedule", "pause", "--all")
    assert runyard("schedule", "next").err == "Nothing is due; see the only schedule: runyard schedule ls\n"


def test_all_schedules_are_listed(runyard, two):
    lines = [line.split("\t") for line in runyard("schedule", "ls", "--sort", "deployment").out.splitlines()]
    assert {(line[0], line[1], line[3], line[4]) for line in lines} == {
        ("etl/nightly", "every day at 02:30 (Europe/Berlin)", "Active", "night"),
        ("etl/nightly", "every day at 04:00 (America/New_York)", "Active", "early"),
        ("etl/weekly", "every Monday at 12:00 (UTC)", "Active", "monday"),
    }
    assert "T02:30:00+0" in next(line[2] for line in lines if line[4] == "night")
    assert (
        runyard("schedule", "ls", "--tag", "prod", "--sort", "slug", "--columns", "slug").out
        == "early\nnight\n"
    )
    part = runyard("schedule", "ls", "--limit", "1")
    assert "1 of 3 shown" in part.err
    runyard("schedule", "pause", "weekly", "monday")
    assert len(runyard("schedule", "ls", "--paused", "-o", "json").json) == 1
    assert len(runyard("deployment", "schedule", "ls", "weekly", "nightly", "-o", "yaml").out) > 100


def test_schedules_are_paused_and_resumed_in_bulk(runyard, two):
    def active():
        return {each["slug"] for each in runyard("schedule", "ls", "--active", "-o", "json").json}

    plan = runyard("schedule", "pause", "--all", "--dry-run").out
    assert plan == "Would pause 3 schedules of 2 deployments: etl/nightly, etl/weekly.\n"
    assert active() == {"night", "early", "monday"}
    changed = runyard("schedule", "pause", "--tag", "prod", "-o", "json").json
    assert {each["slug"]: each["active"] for each in changed} == {"night": False, "early": False}
    assert active() == {"monday"}
    shown = runyard("schedule", "resume", "nightly", "night")
    assert "It is due next at 20" in shown.out
    assert " 02:30:00 CE" in shown.out
    assert "Resumed 1 schedule of 1 deployment" in runyard("schedule", "resume", "--all").out
    assert "already active" in runyard("schedule", "resume", "--all").out
    assert active() == {"night", "early", "monday"}
    assert "2 schedules: " in runyard("schedule", "pause", "nightly", code=2).err
    runyard("schedule", "pause", "nightly", "--all")
    assert active() == {"monday"}
    assert "--all" in runyard("schedule", "pause", code=2).err
    runyard("schedule", "pause", "nightly", "night", "--all", code=2)
    runyard("deployment", "pause", "weekly")
    runyard("schedule", "pause", "weekly")
    assert "deployment resume etl/weekly" in runyard("schedule", "resume", "weekly", "monday").err
    again = runyard("schedule", "resume", "weekly", "monday")
    assert "already active" in again.out
    assert "deployment resume etl/weekly" in again.err
    runyard("schedule", "pause", "nightly", "night")
    shown = runyard("schedule", "ls", "--sort", "slug", "--columns", "slug,state,paused-by").out
    assert shown == "early\tPaused\tschedule\nmonday\tPaused\tdeployment\nnight\tPaused\tschedule\n"


def test_a_schedule_is_inspected_in_its_zone(runyard, two):
    shown = runyard("schedule", "inspect", "nightly", "early").out
    assert "every day at 04:00 (America/New_York)" in shown
    assert shown.count(" 04:00:00 E") == 5
    assert "cron: 0 4 * * *" in shown
    assert "file" in shown or "project mine" in shown


def test_schedules_are_deleted_after_a_look(runyard, two):
    assert (
        "Would delete schedule 'night'" in runyard("schedule", "delete", "nightly", "night", "--dry-run").out
    )
    assert len(schedules(runyard)) == 2
    gone = runyard("schedule", "delete", "nightly", "night", "night", "-o", "json").json
    assert [each["slug"] for each in gone] == ["night"]
    assert [each["slug"] for each in schedules(runyard)] == ["early"]
    assert runyard("schedule", "clear", "nightly", "-o", "json").json[0]["slug"] == "early"
    assert "has no schedules" in runyard("schedule", "clear", "nightly").out


def test_a_terminal_shows_what_is_not_clear_from_the_command(runyard, two, monkeypatch):
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")

    def heads(*options):
        shown = runyard("schedule", "next", "-n", "1", *options).out
        assert max(map(len, shown.splitlines())) <= 80
        return [word for word in ("Deployment", "Schedule", "Note") if word in shown]

    assert heads() == ["Deployment", "Schedule"]
    assert heads("nightly") == ["Schedule"]
    assert heads("weekly") == []
    assert heads("weekly", "nightly") == ["Deployment", "Schedule"]
    assert heads("--cron", "0 6 * * *") == []
    change = ("--after", "2026-10-24T12:00Z")
    assert heads("--cron", "30 2 * * *", "--timezone", "Europe/Berlin", *change) == ["Note"]
