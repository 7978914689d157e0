"""Schedules in words: what the words say is when the schedule is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from runyard.domain.schedules.instants import between
from runyard.domain.schedules.words import in_words, interval_in_words

FIRST = datetime(2026, 11, 30, tzinfo=UTC)  # a Monday


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 6 * * *", "every day at 06:00"),
        ("@daily", "every day at 00:00"),
        ("30 5,17 * * *", "every day at 05:30 and 17:30"),
        ("0 6 * * 1-5", "Monday to Friday at 06:00"),
        ("0 6 * * mon-fri", "Monday to Friday at 06:00"),
        ("0 6 * * 1", "every Monday at 06:00"),
        ("0 6 * * 7", "every Sunday at 06:00"),
        ("0 6 * * 0,6", "every Saturday and Sunday at 06:00"),
        ("0 6 * * MON,wed,5", "every Monday, Wednesday and Friday at 06:00"),
        ("0 6 1 * *", "on the 1st of each month at 06:00"),
        ("0 6 1,15,22,23 * *", "on the 1st, 15th, 22nd and 23rd of each month at 06:00"),
        ("0 6 11,12,13 * ?", "on the 11th, 12th and 13th of each month at 06:00"),
        ("0 6 L * *", "on the last day of each month at 06:00"),
        ("0 6 1 1,7 *", "on the 1st of each month at 06:00, in January and July"),
        ("0 6 * jan-mar *", "every day at 06:00, in January, February and March"),
        ("* * * * *", "every minute"),
        ("*/10 * * * *", "every 10 minutes"),
        ("*/10 * * * 1-5", "every 10 minutes, Monday to Friday"),
        ("5 * * * *", "every hour at minute 5"),
        ("@hourly", "every hour at minute 0"),
        ("0 */6 * * *", "every 6 hours at minute 0"),
        ("0 6 * * * 0", "every day at 06:00"),
        # What is not said in a few words stays an expression.
        ("*/7 * * * *", None),
        ("0 */5 * * *", None),
        ("0 6 1 * 1", None),
        ("0 6 * * 5L", None),
        ("0 6 * * fri#2", None),
        ("0 9-17 * * *", None),
        ("*/10 8-17 * * *", None),
        ("0 6 * * 1-7", None),
        ("0 6 1-31/2 * *", None),
        ("0 6 * * * 30", None),
        ("0 6 * * * 0 2027", None),
    ],
)
def test_a_cron_expression_in_words(cron, words):
    assert in_words({"cron": cron}) == words


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("FREQ=DAILY;BYHOUR=6", "every day at 06:00"),
        ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;BYHOUR=6;BYMINUTE=30", "Monday to Friday at 06:30"),
        ("RRULE:FREQ=WEEKLY;BYDAY=SU", "every Sunday at 00:00"),
        ("FREQ=MONTHLY;BYMONTHDAY=-1;BYHOUR=6", "on the last day of each month at 06:00"),
        ("FREQ=MONTHLY;BYMONTHDAY=2;BYHOUR=6", "on the 2nd of each month at 06:00"),
        ("FREQ=DAILY;INTERVAL=2", None),
        ("FREQ=DAILY;BYDAY=MO", None),
        ("FREQ=WEEKLY", None),
        ("FREQ=DAILY;COUNT=3000", None),
        ("FREQ=MONTHLY;BYDAY=2MO", None),
        ("FREQ=DAILY;BYSECOND=30", None),
        ("DTSTART:20260101T060000Z\nRRULE:FREQ=DAILY", None),
    ],
)
def test_a_recurrence_rule_in_words(rule, words):
    assert in_words({"rrule": rule}) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (60, "every minute"),
        (600, "every 10 minutes"),
        (3_600, "every hour"),
        (5_400, "every 1 hour 30 minutes"),
        (86_400, "every day"),
        (129_600, "every 1 day 12 hours"),
        (604_800, "every 7 days"),
        (90.5, "every 1 minute 30.5 seconds"),
        (1, "every second"),
        (1.5, "every 1.5 seconds"),
    ],
)
def test_an_interval_in_words(seconds, words):
    assert interval_in_words(seconds) == words
    assert in_words({"interval": seconds}) == words


def test_a_single_time_has_no_words():
    assert in_words({"at": "2027-01-01T00:00:00Z"}) is None


@pytest.mark.parametrize(
    ("spec", "days", "times"),
    [
        ({"cron": "30 5,17 * * *"}, {0, 1, 2, 3, 4, 5, 6}, {"05:30", "17:30"}),
        ({"cron": "0 6 * * 1-5"}, {0, 1, 2, 3, 4}, {"06:00"}),
        ({"cron": "0 6 * * 0,6"}, {5, 6}, {"06:00"}),
        ({"rrule": "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;BYHOUR=6;BYMINUTE=30"}, {0, 1, 2, 3, 4}, {"06:30"}),
        ({"rrule": "RRULE:FREQ=WEEKLY;BYDAY=SU"}, {6}, {"00:00"}),
        ({"cron": "0 */6 * * *"}, {0, 1, 2, 3, 4, 5, 6}, {"00:00", "06:00", "12:00", "18:00"}),
    ],
)
def test_the_words_say_when_the_schedule_is_due(spec, days, times):
    due = list(between(spec, FIRST, FIRST + timedelta(days=14)))
    assert {each.weekday() for each in due} == days
    assert {f"{each:%H:%M}" for each in due} == times
    assert len(due) == 2 * len(days) * len(times)
