"""The schedules of all deployments in one list, and their next times in one order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from runyard.base.errors import InvalidInput
from runyard.client import LocalClient
from runyard.operations.deployments import deployments
from runyard.operations.schedules import all_schedules, schedules
from runyard.operations.schemas import Listing

AFTER = datetime(2026, 10, 24, 12, 0, tzinfo=UTC)


@pytest.fixture
def made(client):
    """Four deployments of two flows; by name."""
    declared = [
        {
            "flow_name": "etl",
            "name": "nightly",
            "tags": ["prod"],
            "schedules": [
                {"schedule": {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}, "slug": "night"},
                {"schedule": {"interval": 21600, "anchor_date": "2026-01-01T00:00:00Z"}, "slug": "often"},
            ],
        },
        {"flow_name": "etl", "name": "manual"},
        {
            "flow_name": "report",
            "name": "weekly",
            "tags": ["prod", "mail"],
            "schedules": [
                {"schedule": {"rrule": "FREQ=WEEKLY;BYDAY=MO;BYHOUR=7;BYMINUTE=0;BYSECOND=0"}},
                {"schedule": {"cron": "0 9 * * *"}, "slug": "off", "active": False},
            ],
        },
        {
            "flow_name": "report",
            "name": "paused",
            "paused": True,
            "schedules": [{"schedule": {"cron": "0 0 * * *"}, "slug": "asleep"}],
        },
    ]
    body = deployments.DeploymentsApply.model_validate({"owner": "project", "deployments": declared})
    return {
        each.deployment.name: each.deployment for each in client.call(deployments.apply_deployments, body)
    }


def times(client, **fields):
    body = all_schedules.NextTimesFilter.model_validate({"after": AFTER, **fields})
    return [
        (each.instant.strftime("%d %H:%M"), f"{each.flow_name}/{each.deployment_name}", each.slug)
        for each in client.call(all_schedules.next_times, body)
    ]


def test_next_times_of_all_deployments_are_in_one_order(client, made):
    assert times(client, until=AFTER + timedelta(days=2)) == [
        ("24 18:00", "etl/nightly", "often"),
        ("25 00:00", "etl/nightly", "often"),
        ("25 00:30", "etl/nightly", "night"),  # the first 02:30 of the night in which clocks go back
        ("25 06:00", "etl/nightly", "often"),
        ("25 12:00", "etl/nightly", "often"),
        ("25 18:00", "etl/nightly", "often"),
        ("26 00:00", "etl/nightly", "often"),
        ("26 01:30", "etl/nightly", "night"),
        ("26 06:00", "etl/nightly", "often"),
        ("26 07:00", "report/weekly", None),
    ]


def test_pages_of_next_times_fit_together(client, made):
    whole = times(client, limit=40)
    assert len(whole) == 40
    assert [each for at in (0, 15, 30) for each in times(client, limit=15, offset=at)][:40] == whole


def test_next_times_are_filtered_by_the_deployment_and_the_schedule(client, made):
    end = AFTER + timedelta(days=2)
    assert times(client, until=end, deployments={"tags": {"all_": ["mail"]}}) == [
        ("26 07:00", "report/weekly", None)
    ]
    assert times(client, until=end, flows={"name": {"any_": ["report"]}}) == [
        ("26 07:00", "report/weekly", None)
    ]
    assert times(client, until=end, schedules={"slug": {"any_": ["night"]}}) == [
        ("25 00:30", "etl/nightly", "night"),
        ("26 01:30", "etl/nightly", "night"),
    ]
    with pytest.raises(InvalidInput, match="slugs"):
        times(client, schedules={"slugs": {"any_": ["night"]}})


def test_paused_schedules_are_shown_on_demand(client, made):
    end = AFTER + timedelta(days=1)
    both = {"deployments": {"name": {"any_": ["weekly", "paused"]}}, "until": end}
    assert times(client, **both) == []
    assert times(client, paused=True, **both) == [
        ("25 00:00", "report/paused", "asleep"),
        ("25 09:00", "report/weekly", "off"),
    ]


def test_a_next_time_says_its_zone_and_what_the_clocks_do(client, made):
    body = all_schedules.NextTimesFilter.model_validate(
        {"after": AFTER, "limit": 1, "schedules": {"slug": {"any_": ["night"]}}}
    )
    (first,) = client.call(all_schedules.next_times, body)
    assert first.timezone == "Europe/Berlin"
    assert first.note == "the clocks go back: 02:30 comes twice, this is the first"
    assert first.schedule.cron == "30 2 * * *"
    assert first.deployment_id == made["nightly"].id
    assert first.paused is False


def test_the_next_time_from_now_on_is_what_is_stored(client, made):
    listed = client.call(all_schedules.filter_schedules, all_schedules.ScheduleListing())
    due = [each.next_due for each in listed if each.next_due]
    body = all_schedules.NextTimesFilter(limit=1)
    (first,) = client.call(all_schedules.next_times, body)
    assert first.instant == due[0] == min(due)


def test_past_times_are_found_too(client, made):
    early = datetime(2026, 2, 1, tzinfo=UTC)
    assert times(client, after=early, limit=2) == [
        ("01 01:30", "etl/nightly", "night"),
        ("01 06:00", "etl/nightly", "often"),
    ]


def test_schedules_are_listed_with_their_deployments(client, made):
    listing = all_schedules.ScheduleListing(sort="NAME_ASC")
    found = client.call(all_schedules.filter_schedules, listing)
    shown = [
        (f"{each.flow_name}/{each.deployment_name}", each.slug or "", each.active, each.deployment_paused)
        for each in found
    ]
    assert sorted(shown) == [
        ("etl/nightly", "night", True, False),
        ("etl/nightly", "often", True, False),
        ("report/paused", "asleep", True, True),
        ("report/weekly", "", True, False),
        ("report/weekly", "off", False, False),
    ]
    assert [name for name, *_ in shown] == sorted(name for name, *_ in shown)
    assert {each.slug for each in found if each.next_due is None} == {"asleep", "off"}


def test_schedules_are_filtered_counted_and_paged(client, made):
    inactive = {"schedules": {"active": {"eq_": False}}}
    filtered = client.call(all_schedules.filter_schedules, all_schedules.ScheduleListing(**inactive))
    assert [each.slug for each in filtered] == ["off"]
    count = all_schedules.count_schedules
    assert client.call(count, all_schedules.ScheduleFilter()) == 5
    assert client.call(count, all_schedules.ScheduleFilter(**inactive)) == 1
    pages = [
        client.call(all_schedules.filter_schedules, all_schedules.ScheduleListing(limit=2, offset=at))
        for at in (0, 2, 4, 6)
    ]
    assert [len(page) for page in pages] == [2, 2, 1, 0]
    assert len({each.id for page in pages for each in page}) == 5
    with pytest.raises(InvalidInput, match="NEXT_DUE_ASC"):
        client.call(all_schedules.filter_schedules, all_schedules.ScheduleListing(sort="SLUG"))


def test_deployments_are_sorted_by_their_flow_and_by_what_is_due_next(client, made):
    def names(**fields):
        listing = Listing.model_validate(fields)
        found = client.call(deployments.filter_deployments, listing)
        return [f"{each.flow_name}/{each.name}" for each in found]

    by_flow = ["etl/manual", "etl/nightly", "report/paused", "report/weekly"]
    assert names(sort="FLOW_NAME_ASC") == by_flow
    assert names(sort="FLOW_NAME_ASC", limit=2, offset=1) == by_flow[1:3]
    due = names(sort="NEXT_DUE_ASC")
    assert set(due[:2]) == {"etl/nightly", "report/weekly"}
    assert due[2:] == ["etl/manual", "report/paused"]


def test_a_schedule_that_cannot_be_read_hides_no_other(home):
    client = LocalClient()
    declared = {
        "flow_name": "etl",
        "name": "two",
        "schedules": [
            {"schedule": {"cron": "0 6 * * *"}},
            {"schedule": {"cron": "0 7 * * *"}, "slug": "bad"},
        ],
    }
    body = deployments.DeploymentsApply.model_validate({"owner": "project", "deployments": [declared]})
    (made,) = client.call(deployments.apply_deployments, body)
    bad = next(each for each in made.deployment.schedules if each.slug == "bad")
    with client.database.transaction(write=True) as tx:
        tx.execute(
            "UPDATE deployment_schedules SET spec = :spec WHERE id = :id",
            {"spec": '{"cron": "99 * * * *"}', "id": bad.id},
        )
    assert times(client, limit=2) == [("25 06:00", "etl/two", None), ("26 06:00", "etl/two", None)]
    assert len(client.call(schedules.read_deployment_schedules, made.deployment.id)) == 2
