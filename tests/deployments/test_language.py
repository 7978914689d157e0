"""The language of prefect.yaml, all of it: what its schema allows deploys, what is broken is refused with
its place."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runyard.base.errors import ProjectError, RunyardError
from runyard.client import LocalClient
from runyard.deployments.project import plan
from runyard.deployments.project.project_schema import json_schema, markdown, steps_markdown
from runyard.deployments.project.project_shapes import (
    ConcurrencySpec,
    DeploymentSpec,
    ProjectSpec,
    ScheduleSpec,
    WorkPoolSpec,
)
from runyard.deployments.project.read_project import parse_project, read_project
from runyard.deployments.project.yaml_places import load
from runyard.operations.deployments.deployment_apply import apply_deployments
from runyard.operations.work_pools import work_pools

SCHEMA = jsonschema.Draft202012Validator(json_schema())
PLACE = re.compile(r"prefect\.yaml:\d+:\d+: ")

_words = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
_texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="{}"))
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | _words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_words, inner, max_size=2),
    max_leaves=5,
)
_times = st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1)).map(
    lambda moment: moment.isoformat(timespec="seconds")
)
_timings = st.one_of(
    st.fixed_dictionaries(
        {"cron": st.sampled_from(["0 6 * * *", "*/5 * * * 1-5", "@hourly", "30 2 1,15 * *"])},
        optional={"day_or": st.booleans()},
    ),
    st.fixed_dictionaries(
        {"interval": st.integers(1, 10**6) | st.sampled_from(["PT90S", "0:01:30", "01:00:00"])},
        optional={"anchor_date": _times},
    ),
    st.fixed_dictionaries({"rrule": st.sampled_from(["FREQ=DAILY", "FREQ=MONTHLY;BYDAY=-1FR"])}),
)
_behaviours = st.fixed_dictionaries(
    {},
    optional={
        "timezone": st.sampled_from(["Europe/Berlin", "UTC", "America/New_York"]),
        "active": st.booleans(),
        "parameters": st.fixed_dictionaries({}, optional={"size": st.integers()}),
        "max_scheduled_runs": st.integers(1, 50),
        "catchup": st.sampled_from(["skip", "latest", "all"]),
        "catchup_limit": st.integers(1, 1000),
        "overlap": st.sampled_from(["allow", "skip", "queue", "replace"]),
    },
)
_schedules = st.builds(lambda timing, behaviour: {**timing, **behaviour}, _timings, _behaviours)
_lists = st.lists(_schedules, max_size=3).map(
    lambda found: [{**each, "slug": f"s{number}"} for number, each in enumerate(found)]
)
_limits = st.integers(0, 9) | st.fixed_dictionaries(
    {"limit": st.integers(0, 9)},
    optional={
        "collision_strategy": st.sampled_from(["ENQUEUE", "CANCEL_NEW"]),
        "grace_period_seconds": st.integers(60, 600),
    },
)
_triggers = st.lists(
    st.fixed_dictionaries(
        {"expect": _words | st.lists(_words, min_size=1)},
        optional={"within": st.integers(10, 60), "threshold": st.integers(1, 3), "enabled": st.booleans()},
    ),
    max_size=2,
)
_deployments = st.fixed_dictionaries(
    {"entrypoint": st.just("flows/etl.py:etl")},
    optional={
        "version": _words | st.integers(0, 99) | st.floats(0, 9, allow_nan=False),
        "description": _texts,
        "tags": _words | st.lists(_words, max_size=3),
        "parameters": st.fixed_dictionaries({}, optional={"size": st.integers(), "more": _json}),
        "enforce_parameter_schema": st.booleans(),
        "paused": st.booleans(),
        "concurrency_limit": _limits,
        "crash_retries": st.integers(0, 3),
        "triggers": _triggers,
        "pull": st.just([]) | st.none() | st.just([{"a.b": {"id": "x"}}]),
        "work_pool": st.fixed_dictionaries(
            {"name": st.just("pool")},
            optional={
                "work_queue_name": _words,
                "job_variables": st.fixed_dictionaries({"env": st.dictionaries(_words, _words, max_size=2)}),
            },
        ),
    },
)


@st.composite
def _entries(draw):
    entry = dict(draw(_deployments))
    form = draw(st.sampled_from(["none", "one", "many", "empty"]))
    if form == "one":
        entry["schedule"] = draw(_schedules)
    elif form == "many":
        entry["schedules"] = draw(_lists)
    elif form == "empty":
        entry["schedule"] = {}
    return entry


_files = st.builds(
    lambda entries, more: {
        **more,
        "deployments": [{"name": f"d{number}", **entry} for number, entry in enumerate(entries)],
    },
    st.lists(_entries(), min_size=1, max_size=3),
    st.fixed_dictionaries({}, optional={"name": _words, "prefect-version": _words, "definitions": _json}),
)


@pytest.fixture
def store(project_folder, write):
    """A client on an empty database with a work pool, and a flow to deploy."""
    write("flows/etl.py", "from prefect import flow\n\n@flow\ndef etl(size: int = 1, more=None):\n    pass\n")
    client = LocalClient()
    client.call(work_pools.create_work_pool, body=work_pools.WorkPoolCreate(name="pool", type="process"))
    return client


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(_files)
def test_every_valid_file_deploys_and_says_the_same_again(store, project_folder, content):
    SCHEMA.validate(content)
    (project_folder / "prefect.yaml").write_text(yaml.safe_dump(content, allow_unicode=True), "utf-8")
    applied = _deploy(store)
    assert {each.deployment.name for each in applied} == {each["name"] for each in content["deployments"]}
    for each, said in zip(applied, content["deployments"], strict=True):
        _is_stored_as_said(each.deployment, said)
    assert {each.action for each in _deploy(store)} == {"unchanged"}


def _deploy(store):
    body = plan.build(read_project(), everything=True).body.model_copy(update={"prune": True})
    return [each for each in store.call(apply_deployments, body=body) if each.action != "deleted"]


def _is_stored_as_said(stored, said):
    for key in ("paused", "enforce_parameter_schema", "crash_retries", "parameters"):
        if key in said:
            assert getattr(stored, key) == said[key], key
    if "tags" in said:
        assert stored.tags == ([said["tags"]] if isinstance(said["tags"], str) else said["tags"])
    if said.get("description"):
        assert stored.description == said["description"]
    if "concurrency_limit" in said:
        limit = said["concurrency_limit"]
        assert stored.concurrency_limit == (limit["limit"] if isinstance(limit, dict) else limit)
    if "schedules" in said or "schedule" in said:
        schedules = said.get("schedules") or ([said["schedule"]] if said.get("schedule") else [])
        assert len(stored.schedules) == len(schedules)
        for one in schedules:
            if "slug" in one:
                (found,) = [each for each in stored.schedules if each.slug == one["slug"]]
                # What a file does not say keeps its value: an earlier file may have said it.
                for key in ("parameters", "overlap", "catchup", "catchup_limit", "active"):
                    assert key not in one or getattr(found, key) == one[key], key
    pool = said.get("work_pool")
    if pool:
        assert stored.work_pool_name == "pool"
        assert stored.work_queue_name == pool.get("work_queue_name", "default")


_BREAKS = {
    "name": [["a"], {"a": 1}, "a/b", "100%", ""],
    "entrypoint": [["a"], {"a": 1}],
    "version": [["a"]],
    "tags": [{"a": 1}, [[{"a": 1}]], 3],
    "parameters": ["text", ["a"], 3],
    "enforce_parameter_schema": ["maybe", [True]],
    "paused": ["maybe", 7],
    "concurrency_limit": [
        "many", -1, [1], {"limit": 1, "collision_strategy": "X"},
    ],
    "schedule": [
        "daily", {"cron": "61 * * * *"}, {"cron": "* * * * *", "interval": 3}, {"corn": "* * * * *"},
    ],
    "schedules": [{"cron": "* * * * *"}, [3], [{"interval": 0}], [{"interval": -5}], [{"timezone": "UTC"}]],
    "work_pool": ["pool", {"nam": "pool"}, {"job_variables": "x"}],
    "crash_retries": [-1, "often"],
    "triggers": [[{"threshold": "x"}], [3], {"expect": "a"}],
    "build": ["text", [3], [{"a": {}, "b": {}}], [{"a.b": "text"}]],
    "pull": [7, [["a"]]],
}  # fmt: skip


@given(_entries(), st.data())
def test_every_broken_file_is_refused_with_its_place(entry, data):
    key = data.draw(st.sampled_from(sorted(_BREAKS)))
    if key in ("schedule", "schedules"):
        entry.pop("schedule", None)
        entry.pop("schedules", None)
    broken = {"name": "d", **entry, key: data.draw(st.sampled_from(_BREAKS[key]))}
    with pytest.raises(ProjectError) as refused:
        parse_project(yaml.safe_dump({"deployments": [broken]}), "prefect.yaml")
    # One mistake may be told with what else is wrong: each has a line and a place of its own.
    mistakes = str(refused.value).splitlines()
    assert all(PLACE.match(mistake.strip()) for mistake in mistakes), refused.value
    assert any(f"deployments[0].{key}" in mistake for mistake in mistakes)


_keys = st.sampled_from([name for name in DeploymentSpec.model_fields if len(name) > 4])
_schedule_keys = st.sampled_from([name for name in ScheduleSpec.model_fields if len(name) > 4])


def _misspell(draw, key):
    """A key with two letters swapped, one doubled or one lost."""
    position = draw(st.integers(0, len(key) - 2))
    how = draw(st.sampled_from(["swap", "double", "lose"]))
    if how == "swap":
        return key[:position] + key[position + 1] + key[position] + key[position + 2 :]
    if how == "double":
        return key[: position + 1] + key[position:]
    return key[:position] + key[position + 1 :]


@given(st.data())
def test_a_misspelt_key_is_refused_and_the_right_one_named(data):
    in_schedule = data.draw(st.booleans())
    key = data.draw(_schedule_keys if in_schedule else _keys)
    wrong = _misspell(data.draw, key)
    known = ScheduleSpec.model_fields if in_schedule else DeploymentSpec.model_fields
    if wrong in known:
        return
    part = {"schedule": {"cron": "@daily", wrong: 1}} if in_schedule else {wrong: 1}
    with pytest.raises(ProjectError, match=rf"{wrong}: unknown key; did you mean '\w+'") as refused:
        parse_project(yaml.safe_dump({"deployments": [{"name": "d", **part}]}), "prefect.yaml")
    assert PLACE.match(str(refused.value))


@given(_files, st.integers(0, 10**6), st.text(max_size=3))
def test_a_file_damaged_anywhere_is_read_or_refused_with_its_place(content, where, damage):
    text = yaml.safe_dump(content, allow_unicode=True)
    at = where % (len(text) + 1)
    said = None
    try:
        parse_project(text[:at] + damage + text[at:], "prefect.yaml")
    except RunyardError as refused:
        said = refused
    assert said is None or (isinstance(said, ProjectError) and str(said).startswith("prefect.yaml:"))


def test_the_page_of_the_documentation_says_every_key():
    page = (Path(__file__).parents[2] / "docs" / "prefect-yaml.md").read_text("utf-8")
    tables = page.partition("markdown() -->\n")[2].partition("<!-- end -->")[0]
    assert tables == markdown(), (
        "put what runyard.deployments.project.project_schema.markdown() gives between the marks"
    )


def test_the_page_of_steps_says_every_input():
    page = (Path(__file__).parents[2] / "docs" / "steps.md").read_text("utf-8")
    assert steps_markdown() in page, "it belongs what project_schema.steps_markdown() gives"


def test_the_example_says_the_whole_language():
    text = (Path(__file__).parents[2] / "prefect.yaml.example").read_text("utf-8")
    SCHEMA.validate(load(text, "prefect.yaml")[0])
    parse_project(text, "prefect.yaml")
    unsaid = {"infra_overrides", "is_schedule_active", "flow_name", "sla", "replaces", "prefect_version"}
    for shape in (ProjectSpec, DeploymentSpec, ScheduleSpec, ConcurrencySpec, WorkPoolSpec):
        for key in set(shape.model_fields) - unsaid:
            assert re.search(rf"\b{key}:", text), f"the example does not say {key}"
