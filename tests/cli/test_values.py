"""Reading what people type."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runyard.base.errors import InvalidInput
from runyard_cli.shared import values

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_a_parameter_takes_any_json(value):
    assert values.parameters((f"x={json.dumps(value)}",), None) == {"x": value}


@given(st.text(min_size=1))
def test_a_text_parameter_stays_as_typed(text):
    schema = {"properties": {"x": {"type": "string"}}}
    assert values.parameters((f"x={text}",), None, schema) == {"x": text}


def test_a_text_parameter_that_may_be_null():
    schema = {"properties": {"x": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}
    assert values.parameters(("x=20261122",), None, schema) == {"x": "20261122"}
    assert values.parameters(("x=null",), None, schema) == {"x": None}


def test_a_single_parameter_wins_over_the_object():
    assert values.parameters(("b=3",), '{"a": 1, "b": 2}') == {"a": 1, "b": 3}


@pytest.mark.parametrize("text", ["novalue", "=1", " =1"])
def test_what_is_no_pair_is_refused(text):
    with pytest.raises(InvalidInput, match="key=value"):
        values.parameters((text,), None)


@pytest.mark.parametrize("text", ["{", "[1]", "3"])
def test_what_is_no_object_is_refused(text):
    with pytest.raises(InvalidInput, match="--params"):
        values.parameters((), text)


def test_numbers_that_json_does_not_have_are_texts():
    assert [values.parse(text) for text in ("NaN", "-Infinity", "1e400", "1e4")] == [
        "NaN",
        "-Infinity",
        "1e400",
        1e4,
    ]
    assert values.job_variables(("x=NaN",)) == {"x": "NaN"}
    for text in ("[1, NaN]", '{"a": 1e400}'):
        with pytest.raises(InvalidInput, match="JSON has no number"):
            values.parse(text)


def test_job_variables_keep_what_json_would_change():
    given_ = ("stream_output=false", "tag=3.10", "big=1e3", "n=3", '{"env": {"A": "1"}}', "image=x:1")
    assert values.job_variables(given_) == {
        "stream_output": False,
        "tag": "3.10",
        "big": "1e3",
        "n": 3,
        "env": {"A": "1"},
        "image": "x:1",
    }


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("10m", 600),
        ("1h30m", 5400),
        ("PT90M", 5400),
        ("P1DT2H", 93600),
        ("01:30:00", 5400),
        ("in 2 hours", 7200),
        ("1 day and 1 minute", 86460),
        ("0.5s", 0.5),
        ("2 weeks", 1209600),
    ],
)
def test_durations(text, seconds):
    assert values.duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "soon", "10 parsecs", "h", "1h,x"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(InvalidInput, match=r"duration|unit"):
        values.duration(text)


def test_moments():
    assert values.moment("2026-11-22T06:00:00Z") == datetime(2026, 11, 22, 6, tzinfo=UTC)
    assert values.moment("2026-11-22T06:00:00+02:00") == datetime(2026, 11, 22, 4, tzinfo=UTC)


def test_moments_of_a_zone():
    tokyo, berlin = ZoneInfo("Asia/Tokyo"), ZoneInfo("Europe/Berlin")
    now = datetime(2026, 11, 28, 22, tzinfo=UTC)  # 07:00 of the 29th in Tokyo
    assert values.moment("06:00", now, tokyo) == datetime(2026, 11, 29, 21, tzinfo=UTC)
    assert values.moment("08:00", now, tokyo) == datetime(2026, 11, 28, 23, tzinfo=UTC)
    nine = values.moment("tomorrow 9am", zone=tokyo).astimezone(tokyo)
    assert (nine.hour, nine.minute) == (9, 0)
    # Clocks that skip a time show it when they went forward; of two the first counts.
    assert values.moment("2026-03-29T02:30", zone=berlin) == datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert values.moment("2026-10-25T02:30", zone=berlin) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "coming", "last"),
    [
        ("today", "11-29 00:00", "11-29 00:00"),
        ("Yesterday", "11-28 00:00", "11-28 00:00"),
        ("tomorrow", "11-30 00:00", "11-30 00:00"),
        ("yesterday 9am", "11-28 09:00", "11-28 09:00"),
        ("06:00", "11-29 06:00", "11-28 06:00"),
        ("monday", "11-30 00:00", "11-23 00:00"),
        ("monday 9am", "11-30 09:00", "11-23 09:00"),
        ("2026-11-20", "11-20 00:00", "11-20 00:00"),
    ],
)
def test_days_are_those_of_the_calendar_in_the_zone(text, coming, last):
    berlin = ZoneInfo("Europe/Berlin")
    now = datetime(2026, 11, 28, 23, 30, tzinfo=UTC)  # 00:30 of Sunday, the 29th, in Berlin
    assert f"{values.moment(text, now, berlin).astimezone(berlin):%m-%d %H:%M}" == coming
    assert f"{values.past(text, now, berlin).astimezone(berlin):%m-%d %H:%M}" == last


def test_a_day_whose_midnight_does_not_exist_starts_at_the_end_of_the_gap():
    cairo = ZoneInfo("Africa/Cairo")
    now = datetime(2026, 4, 23, 12, tzinfo=UTC)
    assert values.moment("tomorrow", now, cairo) == datetime(2026, 4, 23, 22, tzinfo=UTC)
    assert f"{values.moment('tomorrow', now, cairo).astimezone(cairo):%d %H:%M}" == "24 01:00"


def test_a_start_in_the_past_is_refused():
    now = datetime(2026, 11, 29, 12, 0, 30, tzinfo=UTC)
    for text in ("yesterday", "2026-11-29T11:59:00Z", "2 hours ago"):
        with pytest.raises(InvalidInput, match=r"--start-at .* is in the past \(2026-11-2\d .*\); omit"):
            values.start_time(text, "--start-at", now)
    assert values.start_time("now", "--start-at", now) == now
    assert values.start_time("2026-11-29T12:00:00Z", "--start-at", now) == now.replace(second=0)
    assert values.start_time("in 2 hours", "--start-at", now) == now.replace(hour=14)


def test_a_template_in_a_plain_parameter_is_refused():
    values.refuse_templates(("day=2026-11-29", "text={instance}"))
    with pytest.raises(InvalidInput, match=r"use --param-template 'day=\{instant:%Y-%m-%d\}'"):
        values.refuse_templates(("n=1", "day={instant:%Y-%m-%d}"))


@given(st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2040, 1, 1), timezones=st.just(UTC)))
def test_a_clock_time_is_the_next_such_time(now):
    found = values.moment("06:00", now)
    assert now < found <= now + timedelta(hours=26)


@pytest.mark.parametrize("text", ["whenever", "25:00", "2026-13-01", ""])
def test_what_is_no_moment_is_refused(text):
    with pytest.raises(InvalidInput, match="invalid time"):
        values.moment(text)


def test_a_json_text_that_is_nested_too_deep():
    with pytest.raises(InvalidInput, match="--params is nested too deep"):
        values.json_object('{"a":' * 100_000 + "1" + "}" * 100_000, "--params")


@pytest.mark.parametrize(
    "text", ["999999999999s", "99999999999h", "99999999d", "1" + "0" * 400 + "s", "999999999:00:00"]
)
def test_a_duration_beyond_the_calendar_is_refused_as_wrong_input(text):
    with pytest.raises(InvalidInput, match="duration"):
        values.later(text)
    with pytest.raises(InvalidInput):
        values.past(text)


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-10:00", "0001-01-01T00:00:00+10:00"])
def test_a_moment_beyond_the_calendar_is_refused_as_wrong_input(text):
    with pytest.raises(InvalidInput, match="years 1 to 9999"):
        values.moment(text)


def test_a_duration_from_now():
    assert values.later("90m", datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2026, 1, 1, 1, 30, tzinfo=UTC)
