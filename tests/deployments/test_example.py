"""The example in the root: it says everything that a prefect.yaml may say, and all of it is understood."""

from __future__ import annotations

from pathlib import Path

from runyard.deployments.project import plan
from runyard.deployments.project.project_shapes import (
    ConcurrencySpec,
    DeploymentSpec,
    ScheduleSpec,
    WorkPoolSpec,
)
from runyard.deployments.project.read_project import read_project

EXAMPLE = (Path(__file__).parents[2] / "prefect.yaml.example").read_text("utf-8")
# Accepted for older files, read by nobody, or said in another way in the example.
UNSAID = {"flow_name", "version_type", "is_schedule_active", "triggers", "sla", "push", "pull"}
UNSAID |= {"infra_overrides", "replaces", "max_scheduled_runs", "name"}


def test_the_example_deploys(write):
    write("prefect.yaml", EXAMPLE)
    write("flows/etl.py", "from prefect import flow\n\n@flow\ndef my_etl_flow(date: str = None):\n    pass\n")
    project = read_project()
    (warning,) = project.warnings
    assert "triggers are stored" in warning
    daily, hourly = plan.build(project, everything=True).body.deployments
    assert daily.version == "4f2d1c0"
    assert daily.job_variables["env"]["HOME_OF_DEPLOYER"] not in ("", None)
    assert [next(iter(item.schedule.model_dump(exclude_none=True))) for item in daily.schedules] == [
        "cron", "interval", "rrule", "at",
    ]  # fmt: skip
    assert (daily.schedules[0].catchup, daily.schedules[0].overlap) == ("latest", "skip")
    assert len(hourly.schedules) == 1


def test_the_example_says_every_key():
    keys = {
        key
        for shape in (DeploymentSpec, ScheduleSpec, ConcurrencySpec, WorkPoolSpec)
        for key in shape.model_fields
    }
    assert {key for key in keys - UNSAID if f"{key}:" not in EXAMPLE} == set()
