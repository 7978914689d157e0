"""Schedules in the cells of lists."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from runyard_cli.shared.schedule_texts import describe_schedule, next_due, summary

SOON, LATER = datetime(2026, 11, 30, 5, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)


def schedule(due, active=True, **spec):
    return SimpleNamespace(schedule=spec, active=active, next_due=due)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"cron": "0 6 * * 1-5", "timezone": "Europe/Berlin"}, "Monday to Friday at 06:00 (Europe/Berlin)"),
        ({"cron": "*/7 * * * *"}, "cron: */7 * * * * (UTC)"),
        ({"interval": 5400.0}, "every 1 hour 30 minutes (UTC)"),
        ({"rrule": "FREQ=DAILY;COUNT=9", "timezone": "UTC"}, "rrule: FREQ=DAILY;COUNT=9 (UTC)"),
        ({"cron": "99 * * * *"}, "cron: 99 * * * * (UTC)"),
    ],
)
def test_a_schedule_is_described_with_its_zone(spec, text):
    assert describe_schedule(spec) == text


def test_a_narrow_column_has_the_city_of_the_zone():
    spec = {"cron": "0 6 * * *", "timezone": "America/Argentina/Buenos_Aires"}
    assert describe_schedule(spec, short=True) == "every day at 06:00 (Buenos Aires)"
    assert describe_schedule({"interval": 60}, short=True) == "every minute (UTC)"
    assert summary([schedule(SOON, **spec)], short=True) == "every day at 06:00 (Buenos Aires)"


def test_a_single_time_is_shown_with_a_zone():
    assert describe_schedule({"at": "2099-01-01T12:00:00Z"}).startswith("once at 2099-01-01 ")


def test_a_cell_names_the_schedule_that_is_due_next():
    late, soon = schedule(LATER, cron="0 0 1 * *"), schedule(SOON, cron="0 5 * * *")
    off = schedule(None, active=False, interval=60)
    assert summary([]) == ""
    assert summary([late, soon, off]) == "every day at 05:00 (UTC) +2"
    assert summary([off]) == "every minute (UTC), paused"
    assert next_due([late, soon, off]) == SOON
    assert next_due([off]) is None
