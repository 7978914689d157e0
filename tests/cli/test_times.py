"""The one rule for time: zones are printed, lists are relative, durations are true."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from runyard.base.errors import ScheduleError
from runyard_cli.shared import output, times
from runyard_cli.shared.lists import Column, Listing, View, cut, show_list

NOW = datetime(2026, 11, 29, 6, 0, 0, tzinfo=UTC)


@pytest.fixture(params=["Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu"])
def zone_of_user(request, monkeypatch):
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def test_a_moment_is_shown_in_the_zone_of_the_user(zone_of_user):
    expected = {
        "Europe/Berlin": "2026-11-29 07:00:00 CET",
        "America/Sao_Paulo": "2026-11-29 03:00:00 -03",
        "Asia/Kathmandu": "2026-11-29 11:45:00 +0545",
    }
    assert times.absolute(NOW) == expected[zone_of_user]
    assert times.user_zone_name() == zone_of_user


def test_a_moment_is_shown_in_a_given_zone_summer_and_winter():
    assert times.absolute(NOW, "Europe/Berlin") == "2026-11-29 07:00:00 CET"
    assert times.absolute(NOW.replace(month=7), "Europe/Berlin") == "2026-07-29 08:00:00 CEST"
    assert times.absolute(NOW, UTC) == "2026-11-29 06:00:00 UTC"
    assert times.absolute(NOW, timezone(timedelta(hours=2))) == "2026-11-29 08:00:00 UTC+02:00"
    assert times.absolute(NOW + timedelta(microseconds=1999), "UTC", precise=True).endswith("00.001 UTC")
    assert times.absolute(None) == ""
    with pytest.raises(ScheduleError, match="Europe/Berlin"):
        times.absolute(NOW, "Europe/Berlni")


def test_the_first_and_the_last_moment_are_shown_in_every_zone():
    assert times.absolute(datetime.max.replace(tzinfo=UTC), "Asia/Tokyo") == "9999-12-31 23:59:59 UTC"
    assert times.absolute(datetime.min.replace(tzinfo=UTC), "America/Lima") == "0001-01-01 00:00:00 UTC"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.4, "now"),
        (1, "1 second ago"),
        (59.4, "59 seconds ago"),
        (59.6, "1 minute ago"),
        (100, "2 minutes ago"),
        (3_569, "59 minutes ago"),
        (3_599, "1 hour ago"),
        (35 * 3_600, "35 hours ago"),
        (47 * 3_600, "2 days ago"),
        (400 * 86_400, "400 days ago"),
        (1100 * 86_400, "3 years ago"),
        (-7_199, "in 2 hours"),
        (-86_400, "in 24 hours"),
    ],
)
def test_relative_times_are_rounded_to_the_nearest(seconds, shown):
    assert times.relative(NOW - timedelta(seconds=seconds), NOW) == shown


def test_both_forms():
    due = NOW + timedelta(hours=2)
    assert times.both(due, "Europe/Berlin", NOW) == "2026-11-29 09:00:00 CET (in 2 hours)"
    assert times.both(None) == ""
    assert times.cell(None, wide=True) == ""
    assert times.cell(due, True, "Europe/Berlin") == "2026-11-29 09:00:00 CET"


def test_moments_in_texts_of_operations_are_shown_in_the_zone():
    text = "It was due at 2026-11-29 06:00:00 UTC (5 min ago), not 2026-13-29 06:00:00 UTC."
    shown = "It was due at 2026-11-29 07:00:00 CET (5 min ago), not 2026-13-29 06:00:00 UTC."
    assert times.texts_in_zone(text, "Europe/Berlin") == shown


def test_a_list_shows_times_in_the_zone_of_the_row(zone_of_user, capsys, monkeypatch):
    columns = [
        Column("Name", lambda row: row[0], "name"),
        Column("Next", lambda row: row[1], "time", zone=lambda row: row[2]),
        Column("Created", lambda row: row[1], "time"),
    ]
    rows = [("night", NOW, "Asia/Tokyo"), ("ended", None, "UTC")]
    listing = Listing("Schedules", columns, "none")
    offset = {"Europe/Berlin": "07:00:00+01:00", "America/Sao_Paulo": "03:00:00-03:00"}
    show_list(listing, lambda: cut(rows, 0), View())
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("night\t2026-11-29T15:00:00+09:00\t2026-11-29T")
    assert first.endswith(offset.get(zone_of_user, "11:45:00+05:45"))
    assert second == "ended\t\t"
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    show_list(listing, lambda: cut(rows, 0), View(output="wide"))
    shown = capsys.readouterr().out
    assert "2026-11-29 15:00:00 JST" in shown
    assert times.absolute(NOW) in shown
