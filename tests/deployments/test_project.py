"""Reading a project file: what is accepted, and where each mistake is said to be."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runyard.base.errors import NotFound, ProjectError
from runyard.deployments.project.read_project import Project, parse_project, read_project

TUTORIAL = """\
name: my-project
prefect-version: 2.14.0

deployments:
  - name: daily-etl
    entrypoint: flows/etl.py:my_etl_flow
    work_pool:
      name: default-agent-pool
    schedule:
      cron: "0 6 * * *"
    parameters:
      date: null
    tags:
      - production
      - etl
"""


def read(text: str) -> Project:
    return parse_project(text, "/somewhere/prefect.yaml", "prefect.yaml")


def one(body: str) -> Project:
    """A file with one deployment; `body` stands at column 5 from line 3 on."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return read(f"deployments:\n  - name: x\n{lines}")


def test_all_keys_that_are_given_twice_are_said_at_once():
    with pytest.raises(ProjectError) as error:
        read("name: a\nname: b\ndeployments:\n  - name: x\n    name: y\n    tags: []\n    tags: []\n")
    assert str(error.value).splitlines() == [
        "prefect.yaml:2:1: duplicate key 'name'",
        "prefect.yaml:5:5: duplicate key 'name'",
        "prefect.yaml:7:5: duplicate key 'tags'",
    ]


TWO = """\
deployments:
  - {name: good, entrypoint: "f.py:f"}
  - {name: "bad-{{ $STAGE }}", entrypoint: "f.py:f", schedule: {cron: "99 * * * *"}}
  - {entrypoint: [3]}
"""


def test_what_is_wrong_with_deployments_that_are_not_meant_is_a_warning(monkeypatch):
    monkeypatch.setenv("STAGE", "one")
    project = parse_project(TWO, "/somewhere/prefect.yaml", "prefect.yaml", ["f/good"])
    assert [entry.spec.name for entry in project.entries] == ["good"]
    assert [warning.partition(": ")[0] for warning in project.warnings] == [
        "prefect.yaml:3:71",
        "prefect.yaml:4:18",
    ]
    for names in ([], ["bad-one"], ["*"], ["good", "bad*"]):
        with pytest.raises(ProjectError, match="cron '99"):
            parse_project(TWO, "/somewhere/prefect.yaml", "prefect.yaml", names)


def test_the_only_deployment_of_a_file_is_meant_by_every_name():
    with pytest.raises(ProjectError, match="cron '99"):
        parse_project(
            'deployments: [{schedule: {cron: "99 * * * *"}}]', "/somewhere/p.yaml", "p.yaml", ["new"]
        )


def test_a_file_of_prefect_2_reads_unchanged():
    project = read(TUTORIAL)
    spec = project.entries[0].spec
    assert (project.name, project.warnings) == ("my-project", [])
    assert spec.entrypoint == "flows/etl.py:my_etl_flow"
    assert spec.parameters == {"date": None}
    assert spec.tags == ["production", "etl"]
    assert [item.timing() for item in spec.all_schedules()] == [{"cron": "0 6 * * *"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("deployments:\n  - name: [x\n", "prefect.yaml:3:1: malformed YAML"),
        ("name: a\n\tb: c\n", "prefect.yaml:2:1: malformed YAML.*tabs"),
        ("name: a\nname: b\n", "prefect.yaml:2:1: duplicate key 'name'"),
        ("deployments:\n  - name: a\n    tags: &t [*t]\n", "prefect.yaml:3:11: an alias inside this node"),
        ("x: &x {a: [1, {b: *x}]}\n", "prefect.yaml:1:4: an alias inside this node"),
        ("- a\n", "prefect.yaml:1:1: a project file must be a mapping, not a list"),
        ("name: !!python/object:os.system x\n", "prefect.yaml:1:7: malformed YAML"),
        ("deployments: 3\n", "prefect.yaml:1:14: deployments: should be a list"),
        ("deployments:\n  - x\n", r"prefect.yaml:2:5: deployments\[0\]: a deployment must be a mapping"),
        ("deploments: []\n", "prefect.yaml:1:1: deploments: unknown key; did you mean 'deployments'"),
    ],
)
def test_mistakes_are_said_with_line_and_column(text, message):
    with pytest.raises(ProjectError, match=message):
        read(text)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("entrypont: a.py:f", r"prefect.yaml:3:5: deployments\[0\].entrypont: .* 'entrypoint'"),
        ("work_pool:\n  nane: p", r"4:7: deployments\[0\].work_pool.nane: unknown key; .* 'name'"),
        ("schedule:\n  cron: '61 * * * *'", r"prefect.yaml:4:13: deployments\[0\].schedule.cron: "),
        ("schedule:\n  cron: '* * * * *'\n  timezone: Mars/Olympus", "5:17: .*Mars/Olympus"),
        ("schedule:\n  interval: 0", "prefect.yaml:4:17: "),
        ("schedule:\n  interval: 1\n  cron: '* * * * *'", "exactly one of"),
        ("schedule:\n  cron: '* * * * *'\n  colour: red", r"5:7: .*colour: unknown key"),
        ("schedules:\n  - cron: '* * * * *'\n    overlap: never", r"5:18: .*schedules\[0\].overlap: .*never"),
        ("schedules:\n  cron: '* * * * *'", "is a list"),
        ("schedule: {cron: '* * * * *'}\nschedules:\n  - interval: 5", "3:5: .*not both"),
        ("paused: perhaps", r"3:13: deployments\[0\].paused: .*'perhaps'"),
        ("concurrency_limit: many", "3:24: .*concurrency_limit"),
        ("concurrency_limit:\n  limit: 1\n  collision_strategy: RUN", "5:27: .*collision_strategy"),
        ("parameters: [a]", r"3:17: deployments\[0\].parameters"),
        ("crash_retries: -1", "3:20: .*crash_retries"),
        ("pull:\n  - a: {}\n    b: {}", r"4:9: deployments\[0\].pull\[0\]: a step must be one name"),
        ("pull: 3", "3:11: .*pull: should be a list of steps"),
    ],
)
def test_mistakes_in_a_deployment_are_said_with_line_and_column(body, message):
    with pytest.raises(ProjectError, match=message):
        one(body)


@pytest.mark.parametrize("name", ["a/b", "50%", "''", "a>b"])
def test_names_that_a_reference_cannot_hold_are_refused(name):
    with pytest.raises(ProjectError, match=r"prefect.yaml:2:11: .*name"):
        read(f"deployments:\n  - name: {name}\n")


def test_an_unknown_key_that_resembles_none_is_a_warning():
    project = one("colour: red")
    assert project.warnings == ["prefect.yaml:3:5: deployments[0].colour: unknown key, ignored"]


def test_definitions_with_anchors_at_the_top_are_fine():
    project = read(
        "definitions:\n  common: &common\n    name: p\nx-more: 1\n"
        "deployments:\n  - name: x\n    work_pool:\n      <<: *common\n      work_queue_name: q\n"
    )
    assert project.warnings == []
    pool = project.entries[0].spec.work_pool
    assert (pool.name, pool.work_queue_name) == ("p", "q")


def test_aliases_that_stand_for_too_many_values_are_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]
    with pytest.raises(ProjectError, match=r"^prefect\.yaml:7:5: .* is more than 1,000,000 values$"):
        read("\n".join([*lines, "deployments: [{name: x, parameters: {a: *a19}}]"]))
    assert read("\n".join([*lines[:3], "deployments: [{name: x, parameters: {a: *a2}}]"]))


def test_another_key_at_the_top_is_a_warning():
    assert read("common: 1\n").warnings == ["prefect.yaml:1:1: common: unknown key, ignored"]


def test_an_error_behind_an_anchor_is_said_where_it_stands():
    with pytest.raises(ProjectError, match=r"prefect.yaml:2:9: .*schedule.cron"):
        read("s: &s\n  cron: nonsense\ndeployments:\n  - name: x\n    schedule: *s\n")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("schedule: {cron: '@daily', timezone: UTC}", [{"cron": "@daily", "timezone": "UTC"}]),
        ("schedule: {}", []),
        ("schedule:", []),
        ("schedules: []", []),
        (
            "schedules: [{interval: PT90S}, {interval: '0:01:30'}]",
            [{"interval": "PT90S"}, {"interval": "0:01:30"}],
        ),
        ("schedules: [{schedule: {interval: 60}, active: false, slug: s}]", [{"interval": 60}]),
        ("schedules: [{rrule: 'FREQ=DAILY'}]", [{"rrule": "FREQ=DAILY"}]),
        ("schedules: [{at: 2030-01-01T00:00:00Z}]", [{"at": "2030-01-01T00:00:00Z"}]),
    ],
)
def test_schedules_in_every_form(body, expected):
    assert [item.timing() for item in one(body).entries[0].spec.all_schedules()] == expected


def test_how_a_schedule_behaves_is_kept_apart_from_when_it_is_due():
    body = (
        "schedule: {cron: '@daily', catchup: all, catchup_limit: 5, overlap: queue, active: false, slug: s}"
    )
    (item,) = one(body).entries[0].spec.all_schedules()
    assert item.behaviour() == {
        "active": False, "slug": "s", "catchup": "all", "catchup_limit": 5, "overlap": "queue",
    }  # fmt: skip


def test_a_plain_text_is_one_tag_and_numbers_are_kept_as_written():
    spec = one("tags: hello\nversion: 1.10").entries[0].spec
    assert (spec.tags, spec.version) == (["hello"], "1.10")


def test_forms_of_prefect_2_are_understood():
    spec = one("is_schedule_active: false\nschedule: {interval: 5}\nwork_pool: {infra_overrides: {a: 1}}")
    spec = spec.entries[0].spec
    assert spec.work_pool.variables() == {"a": 1}
    assert spec.all_schedules()[0].active is False


def test_dates_in_parameters_stay_the_text_that_was_written():
    assert one("parameters: {day: 2026-01-31}").entries[0].spec.parameters == {"day": "2026-01-31"}


def test_environment_variables_may_stand_for_any_value(monkeypatch):
    monkeypatch.setenv("LIMIT", "3")
    monkeypatch.setenv("PAUSED", "true")
    spec = one("concurrency_limit: '{{ $LIMIT }}'\npaused: '{{ $PAUSED }}'").entries[0].spec
    assert (spec.concurrency_limit.limit, spec.paused) == (3, True)


def test_step_outputs_may_stand_for_any_value():
    project = one("concurrency_limit: '{{ sizes.limit }}'\nschedules: [{cron: '{{ when.stdout }}'}]")
    assert project.entries[0].spec.concurrency_limit is None


def test_the_steps_of_a_deployment_stand_in_place_of_the_files():
    project = read(
        "pull:\n  a.b: {x: 1}\n"
        "deployments:\n  - name: x\n  - name: y\n    pull: []\n  - name: z\n    pull: {c.d: }\n"
    )
    x, y, z = project.entries
    assert project.phase(x, "pull") == [{"a.b": {"x": 1}}]
    assert project.phase(y, "pull") == []
    assert project.phase(z, "pull") == [{"c.d": None}]


def test_two_deployments_of_one_name_are_refused():
    with pytest.raises(ProjectError, match=r"prefect.yaml:5:11: .*deployments\[0\]"):
        read(
            "deployments:\n  - name: x\n    entrypoint: a.py:f\n    paused: true\n"
            "  - name: x\n    entrypoint: a.py:f\n"
        )


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(NotFound, match="runyard init"):
        read_project(str(tmp_path))


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "prefect.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(ProjectError, match="UTF-8"):
        read_project(str(tmp_path))


def test_an_empty_file_is_a_project_without_deployments(tmp_path):
    (tmp_path / "prefect.yaml").write_text("# nothing yet\n")
    assert read_project(str(tmp_path)).entries == []


@given(st.text(alphabet=" \n\t-:[]{}&*!|>'\"#%@`abc1", max_size=60))
def test_no_text_raises_anything_but_a_project_error(text):
    with contextlib.suppress(ProjectError):
        read(text)


def triggers(text: str):
    return one(f"triggers: {text}").entries[0].spec.triggers


def test_triggers_are_checked_and_kept_with_their_type():
    assert triggers("[{expect: a, match: {x: [b, '!c*']}, parameters: {p: '{{ event.id }}'}}]") == [
        {
            "type": "event",
            "expect": ["a"],
            "match": {"x": ["b", "!c*"]},
            "parameters": {"p": "{{ event.id }}"},
        }
    ]
    assert triggers("[{triggers: [{expect: a}, {expect: b}], require: any, within: 60}]") == [
        {
            "type": "compound",
            "require": "any",
            "within": 60.0,
            "triggers": [{"type": "event", "expect": ["a"]}, {"type": "event", "expect": ["b"]}],
        }
    ]
    assert triggers("[{triggers: [{expect: a}]}]")[0]["type"] == "sequence"
    assert triggers("[{metric: {name: lateness, threshold: 3, operator: '>'}}]")[0]["type"] == "metric"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[{matchh: {}}]", r"triggers\[0\]\.matchh: unknown key; did you mean 'match'\?"),
        ("[{triggers: [{expect: a}, {expct: b}]}]", r"triggers\[0\]\.triggers\[1\]\.expct: .*'expect'"),
        ("[{posture: Proactive, within: 5}]", r"triggers\[0\]: within is at least 10 seconds"),
        ("[{threshold: many}]", r"triggers\[0\]\.threshold: .*given: 'many'"),
        ("[hello]", r"triggers\[0\]: should be a mapping, not text"),
        ("[{type: nonsense}]", r"triggers\[0\]"),
    ],
)
def test_wrong_triggers_are_said_with_their_place(text, message):
    with pytest.raises(ProjectError, match=r"prefect.yaml:\d+:\d+: deployments\[0\]\." + message):
        triggers(text)
