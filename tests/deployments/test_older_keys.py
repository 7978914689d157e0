"""What files of older versions say, keys in the wrong place, and all mistakes of a file at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, TypedDict

import pytest
from runyard.base.errors import ProjectError
from runyard.deployments.project.read_project import parse_project
from runyard.deployments.signature_schema import parameter_schema


def read(lines):
    text = "deployments:\n- name: a\n  entrypoint: a.py:f\n" + "".join(f"  {line}\n" for line in lines)
    project = parse_project(text, "/somewhere/prefect.yaml", "prefect.yaml")
    return project.entries[0].spec, project.warnings


def test_keys_that_prefect_wrote_into_every_schedule_are_read():
    spec, warnings = read(["schedules:", "- cron: 0 6 * * *", "  max_active_runs:", "  catchup: false"])
    assert spec.schedules[0].catchup == "skip"
    assert warnings == []
    _, warnings = read(["schedules:", "- cron: 0 6 * * *", "  max_active_runs: 1"])
    (warning,) = warnings
    assert warning.startswith("prefect.yaml:6:5: deployments[0].schedules[0].max_active_runs: is ignored")
    assert "concurrency_limit" in warning


def test_a_limit_without_a_number_is_none_and_told():
    spec, (warning,) = read(["concurrency_limit:", "  collision_strategy: CANCEL_NEW"])
    assert spec.concurrency_limit is None
    assert warning.startswith("prefect.yaml:5:5: ")
    assert "write limit" in warning


def test_lists_within_tags_are_flattened():
    spec, _ = read(["tags: [[a, b], c]"])
    assert spec.tags == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("job_variables: {env: {A: '{{ prefect.blocks.secret.nope }}'}}", "into work_pool, as job_variables"),
        ("job_variabels: {env: {A: b}}", "into work_pool, as job_variables"),
        ("cron: 0 6 * * *", "into each of schedules, as cron"),
        ("infra_overrides: {env: {A: b}}", "into work_pool, as job_variables"),
        ("work_pool_name: p", "write work_pool: {name: ...}"),
        ("collision_strategy: ENQUEUE", "into concurrency_limit, as collision_strategy"),
    ],
)
def test_a_misplaced_key_is_told_with_where_it_belongs(line, words):
    _, (warning,) = read([line])
    assert warning.startswith("prefect.yaml:4:3: ")
    assert words in warning


def test_the_older_name_of_a_step_is_the_step():
    spec, _ = read(
        ["pull:", "- prefect.projects.steps.git_clone_project: {repository: 'https://example.org/a.git'}"]
    )
    assert spec.pull


def test_all_mistakes_of_a_file_are_told_at_once():
    text = (
        "deployments:\n- name: a\n  entrypoint: a.py:f\n  tgas: [x]\n  paused: perhaps\n"
        "  schedules:\n  - {cron: 0 6 * * *, overlap: never}\n  - {cron: 0 6 * * *, nothing: 1}\n"
        "- name: b\n  crash_retries: -1\n"
    )
    with pytest.raises(ProjectError) as caught:
        parse_project(text, "/somewhere/prefect.yaml", "prefect.yaml")
    places = [line.partition(": ")[0] for line in str(caught.value).splitlines()]
    assert places == [f"prefect.yaml:{place}" for place in ("4:3", "8:23", "5:11", "7:32", "10:18")]


def test_an_older_key_beside_a_wrong_one_is_read():
    text = "deployments:\n- name: a\n  schedules:\n  - {cron: 0 6 * * *, catchup: true, nothing: 1}\n"
    with pytest.raises(ProjectError) as caught:
        parse_project(text, "/somewhere/prefect.yaml", "prefect.yaml")
    (line,) = str(caught.value).splitlines()
    assert line.startswith("prefect.yaml:4:38: deployments[0].schedules[0].nothing: unknown key")


def test_a_wrong_zone_hides_no_other_mistake_of_its_schedule():
    text = (
        "deployments:\n- name: a\n  schedules:\n  - {cron: 61 * * * *, timezone: Mars/North}\n"
        "  - {cron: 0 6 * * *, timezone: ''}\n"
    )
    with pytest.raises(ProjectError) as caught:
        parse_project(text, "/somewhere/prefect.yaml", "prefect.yaml")
    zone, cron, empty = str(caught.value).splitlines()
    assert zone.startswith("prefect.yaml:4:34: deployments[0].schedules[0].timezone: unknown time zone")
    assert cron.startswith("prefect.yaml:4:12: deployments[0].schedules[0].cron: cron '61 * * * *' is wrong")
    assert empty.startswith("prefect.yaml:5:33: deployments[0].schedules[1].timezone: unknown time zone")


def test_many_mistakes_are_told_whole():
    text = "deployments:\n" + "".join(f"- {{name: d{at}, pauzed: true}}\n" for at in range(200))
    with pytest.raises(ProjectError) as caught:
        parse_project(text, "/somewhere/prefect.yaml", "prefect.yaml")
    lines = str(caught.value).splitlines()
    assert [line.partition(":")[2].partition(":")[0] for line in lines] == [str(at + 2) for at in range(200)]


def test_a_mistake_hides_no_other_of_its_deployment():
    text = (
        "deployments:\n- name: a/b\n  entrypoint: a.py:f\n  tgas: [x]\n  pauzed: true\n  tags: {a: 1}\n"
        "  work_pool: {job_varables: {}}\n  build: [{git_clon: {}}, {nope.step: {}}, {git_clonx: {}}]\n"
        "  schedules:\n  - {cron: 61 * * * *}\n  - {interval: -5}\n  - {cron: 0 6 * * *, overlap: never}\n"
        "  - {at: soon}\n"
    )
    with pytest.raises(ProjectError) as caught:
        parse_project(text, "/somewhere/prefect.yaml", "prefect.yaml")
    places = [line.partition(": ")[0] for line in str(caught.value).splitlines()]
    lines = sorted(int(place.split(":")[1]) for place in places)
    assert lines == [2, 4, 5, 6, 7, 8, 8, 10, 11, 12, 13]


@dataclass
class Place:
    host: str
    port: int = 5432


class Options(TypedDict):
    deep: bool
    name: Optional[str]  # noqa: UP045  # as older code has it


def test_dataclasses_and_typed_dicts_have_a_schema():
    def flow(place: Place, options: Options, more: list[Options] | None = None): ...

    schema = parameter_schema(flow)
    definitions = schema["definitions"]
    assert definitions["Place"]["properties"]["port"] == {"default": 5432, "title": "Port", "type": "integer"}
    assert definitions["Options"]["required"] == ["deep", "name"]
    assert "$ref" in str(schema["properties"]["place"])
    assert "$ref" in str(schema["properties"]["more"])


def test_keys_in_work_pool_that_belong_to_its_job_variables_are_told():
    text = "deployments:\n  - name: a\n    work_pool:\n      name: p\n      env: {A: '1'}\n"
    project = parse_project(text, "/somewhere/prefect.yaml", "prefect.yaml")
    assert project.warnings == [
        "prefect.yaml:5:7: deployments[0].work_pool.env: unknown key, ignored; "
        "it belongs into job_variables, as env, if workers are to take it"
    ]
