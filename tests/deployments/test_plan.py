"""What deploy will apply: which deployments, with which flags, filled in and checked beforehand."""

from __future__ import annotations

import pytest
from runyard.base.errors import (
    EntrypointError,
    InvalidInput,
    NotFound,
    ParameterError,
    ProjectError,
    RunyardError,
)
from runyard.deployments.project import plan
from runyard.deployments.project.flag_overrides import Overrides
from runyard.deployments.project.read_project import read_project
from runyard.deployments.project.selection import select

ETL = '''\
from prefect import flow

@flow
def my_etl_flow(date: str = None):
    """Daily ETL flow"""

@flow(name="Second", version="2")
def second_flow(size: int, name: str = "x"):
    pass
'''


FIRST, SECOND = "flows/etl.py:my_etl_flow", "flows/etl.py:second_flow"


@pytest.fixture
def project(write):
    """Write a prefect.yaml beside flows/etl.py, and read it."""
    write("flows/etl.py", ETL)

    def read(text: str):
        write("prefect.yaml", text)
        return read_project()

    return read


def build(*arguments, **options):
    """The deployments that would be applied."""
    return plan.build(*arguments, **options).body


def entry(body: str = "", name: str = "daily", entrypoint: str = "flows/etl.py:my_etl_flow") -> str:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return f"  - name: {name}\n    entrypoint: {entrypoint}\n{lines}"


def declared(applied) -> dict:
    """The fields of the only deployment, those that nobody said left out."""
    (deployment,) = applied.deployments
    return deployment.model_dump(exclude_unset=True)


def test_the_tutorials_project_deploys_unchanged(project, project_folder):
    found = build(
        project(
            "name: my-project\nprefect-version: 2.14.0\n\ndeployments:\n"
            + entry(
                "work_pool:\n  name: default-agent-pool\nschedule:\n  cron: '0 6 * * *'\n"
                "parameters:\n  date: null\ntags:\n  - production\n  - etl",
                "daily-etl",
            )
        ),
        ["daily-etl"],
    )
    assert found.owner == "project my-project"
    fields = declared(found)
    assert (fields["name"], fields["flow_name"]) == ("daily-etl", "my-etl-flow")
    assert fields["work_pool_name"] == "default-agent-pool"
    assert fields["parameters"] == {"date": None}
    assert fields["tags"] == ["production", "etl"]
    assert fields["schedules"][0]["schedule"]["cron"] == "0 6 * * *"
    assert fields["description"] == "Daily ETL flow"
    assert (fields["path"], fields["pull_steps"]) == (str(project_folder), None)
    assert fields["entrypoint"] == "flows/etl.py:my_etl_flow"
    assert fields["parameter_openapi_schema"]["required"] == []


def test_what_is_not_said_is_not_declared(project):
    fields = declared(build(project("deployments:\n" + entry())))
    silent = {"paused", "tags", "parameters", "concurrency_limit", "job_variables", "work_pool_name"}
    assert not silent & set(fields)
    assert fields["schedules"] == []


def test_entrypoints_start_from_the_files_folder(project, project_folder, monkeypatch):
    project("deployments:\n" + entry())
    monkeypatch.chdir("/")
    found = build(read_project(str(project_folder / "prefect.yaml")))
    assert found.deployments[0].path == str(project_folder)


def test_an_entrypoint_without_a_file(write, project_folder):
    write("flows/etl.py", ETL)
    found = build(None, ["mine"], Overrides(entrypoint=FIRST, work_pool_name="p"))
    assert (found.owner, found.deployments[0].name) == ("cli", "mine")
    assert "schedules" not in declared(found)
    assert build(None, (), Overrides(entrypoint="flows/etl.py:my_etl_flow")).deployments[0].name == "default"


def test_flags_win_over_the_file(project):
    text = entry(
        "tags: [a]\nparameters: {date: x}\nversion: '1'\ndescription: file\n"
        "work_pool: {name: p, job_variables: {a: 1, b: 1}}\n"
        "schedule: {interval: 60}\nconcurrency_limit: {limit: 1, collision_strategy: CANCEL_NEW}"
    )
    flags = Overrides(
        tags=["b"], parameters={"date": "y"}, version="2", description="flag", work_pool_name="q",
        work_queue_name="urgent", job_variables={"b": 2}, concurrency_limit=5, paused=True,
        schedules=[{"cron": "@daily"}], timezone="Europe/Paris", anchor_date="2026-01-01T00:00:00Z",
        enforce_parameter_schema=False, crash_retries=2,
    )  # fmt: skip
    fields = declared(build(project("deployments:\n" + text), (), flags))
    assert (fields["tags"], fields["parameters"], fields["version"]) == (["b"], {"date": "y"}, "2")
    assert (fields["description"], fields["work_pool_name"]) == ("flag", "q")
    assert (fields["work_queue_name"], fields["job_variables"]) == ("urgent", {"a": 1, "b": 2})
    assert fields["concurrency_limit"] == 5
    assert fields["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert (fields["paused"], fields["crash_retries"]) == (True, 2)
    interval, cron = (item["schedule"] for item in fields["schedules"])
    assert (interval["interval"], interval["timezone"]) == (60, "Europe/Paris")
    assert interval["anchor_date"] is not None
    assert (cron["cron"], cron["timezone"]) == ("@daily", "Europe/Paris")


def test_flags_for_one_are_not_used_for_several_and_that_is_said(project):
    said: list[str] = []
    text = "deployments:\n" + entry() + entry(name="other")
    found = build(project(text), (), Overrides(tags=["b"]), everything=True, say=said.append)
    assert [item.tags for item in found.deployments] == [None, None]
    assert any("ignored: tags" in line for line in said)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["daily"], ["daily"]),
        (["my_etl_flow/daily"], ["daily"]),
        (["my-etl-flow/daily"], ["daily"]),
        (["dai*"], ["daily", "daily-two"]),
        (["*flow/*two"], ["daily-two"]),
        (["daily-two", "daily"], ["daily-two", "daily"]),
        (["daily", "d*"], ["daily", "daily-two"]),
    ],
)
def test_names_and_patterns(project, names, chosen):
    text = "deployments:\n" + entry() + entry(name="daily-two") + entry(name="x")
    assert [item.spec.name for item in select(project(text), names)] == chosen


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (["dayly"], NotFound, "has no deployment 'dayly'; did you mean 'daily'"),
        (["z*"], NotFound, "it has: daily, other"),
        ([], InvalidInput, "several deployments: daily, other; use --name NAME or --all"),
    ],
)
def test_what_is_not_clear_is_refused(project, names, error, message):
    with pytest.raises(error, match=message):
        select(project("deployments:\n" + entry() + entry(name="other")), names)


def test_a_deployment_without_a_name_takes_the_one_asked_for(project):
    found = project("deployments:\n  - entrypoint: flows/etl.py:my_etl_flow\n")
    assert build(found, ["given"]).deployments[0].name == "given"
    with pytest.raises(InvalidInput, match=r"prefect.yaml:2:5: .*--name"):
        build(found)


def test_all_skips_what_has_no_name_and_says_so(project):
    said: list[str] = []
    text = "deployments:\n" + entry() + "  - entrypoint: flows/etl.py:my_etl_flow\n"
    assert len(build(project(text), everything=True, say=said.append).deployments) == 1
    assert "skipped" in said[0]


@pytest.mark.parametrize(
    ("body", "entrypoint", "error", "message"),
    [
        ("", "flows/elt.py:f", EntrypointError, "did you mean 'etl.py'"),
        ("parameters: {dat: 1}", FIRST, ParameterError, "prefect.yaml:4:17: .*'date'"),
        ("parameters: {size: x}", SECOND, ParameterError, "parameter size"),
        ("schedule: {cron: '@daily'}", SECOND, ParameterError, "lack the parameter 'size'"),
        (
            "schedules:\n  - {cron: '@daily', parameters: {size: x}}",
            SECOND, ParameterError, "prefect.yaml:5:38: schedule of daily: parameter size",
        ),
        ("tags: ['{{ prefect.variables.x }}']", FIRST, ProjectError, "variable 'x' not found"),
    ],
)  # fmt: skip
def test_everything_is_checked_before_a_step_runs(project, project_folder, body, entrypoint, error, message):
    steps = "build:\n  - run_shell_script:\n      script: touch built\n"
    text = steps + "deployments:\n" + entry(body, "daily", entrypoint)
    shift = steps.count("\n")
    message = message.replace(":4:", f":{4 + shift}:").replace(":5:", f":{5 + shift}:")
    with pytest.raises(error, match=message):
        build(project(text))
    assert not (project_folder / "built").exists()


def test_build_and_push_outputs_fill_the_deployment_and_its_pull_steps(project, monkeypatch):
    monkeypatch.setenv("FROM_DEPLOYER", "here")
    text = (
        "build:\n  - prefect.deployments.steps.run_shell_script:\n      id: sha\n      script: echo abc\n"
        "push:\n  - run_shell_script:\n      id: pushed\n      script: echo 'to {{ sha.stdout }}'\n"
        "pull:\n  - my.step: {image: '{{ pushed.stdout }}', at: '{{ $FROM_DEPLOYER }}', "
        "key: '{{ prefect.blocks.secret.key }}'}\n"
        "deployments:\n"
        + entry(
            "version: '{{ sha.stdout }}'\ntags: ['{{ sha.stdout }}']\n"
            "work_pool: {job_variables: {image: 'x:{{ sha.stdout }}'}}"
        )
    )
    said: list[str] = []
    fields = declared(build(project(text), say=said.append))
    assert (fields["version"], fields["tags"], fields["job_variables"]) == (
        "abc",
        ["abc"],
        {"image": "x:abc"},
    )
    assert fields["pull_steps"] == [
        {"my.step": {"image": "to abc", "at": "here", "key": "{{ prefect.blocks.secret.key }}"}}
    ]
    assert fields["path"] is None
    assert said == ["Running prefect.deployments.steps.run_shell_script", "Running run_shell_script"]


def test_a_failing_step_stops_the_deploy(project):
    text = "build:\n  - run_shell_script:\n      script: 'false'\ndeployments:\n" + entry()
    with pytest.raises(RunyardError, match="step run_shell_script: 'false' ended with exit code 1"):
        build(project(text))


def test_a_pool_by_default(project, monkeypatch):
    monkeypatch.setenv("RUNYARD_DEFAULT_WORK_POOL_NAME", "usual")
    assert build(project("deployments:\n" + entry())).deployments[0].work_pool_name == "usual"
    said = project("deployments:\n" + entry("work_pool: {name: mine}"))
    assert build(said).deployments[0].work_pool_name == "mine"


def test_versions(project, write):
    text = "deployments:\n" + entry() + entry(name="b", entrypoint="flows/etl.py:second_flow")
    first, second = build(project(text), everything=True).deployments
    assert second.version == "2"
    assert len(first.version) == 12
    write("flows/etl.py", ETL + "\n# changed\n")
    assert build(read_project(), ["daily"]).deployments[0].version != first.version


def test_without_a_name_the_owner_is_the_file(project, project_folder):
    assert build(project("deployments:\n" + entry())).owner == f"file {project_folder / 'prefect.yaml'}"


def test_nothing_to_deploy(project_folder):
    with pytest.raises(InvalidInput, match="change the folder, or give an entrypoint"):
        build(None)
    with pytest.raises(InvalidInput, match="collision"):
        build(None, ["x"], Overrides(entrypoint="a.py:f", collision_strategy="ENQUEUE"))


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ("{env: {RUNYARD_HOME: /elsewhere}}", ["env.RUNYARD_HOME points its runs to another home"]),
        (
            "{env.PREFECT_API_URL: http://10.0.0.9:4200/api}",
            ["env.PREFECT_API_URL points its runs to another API"],
        ),
        (
            "{env: {PREFECT_SERVER_DATABASE_CONNECTION_URL: 'sqlite:///x.db', RUNYARD_API_URL: 'http://h/api'}}",
            [
                "env.PREFECT_SERVER_DATABASE_CONNECTION_URL points its runs to another database",
                "env.RUNYARD_API_URL points its runs to another API",
            ],
        ),
        ("{env: {RUNYARD_DATABASE_URL: '{{ $WHERE }}'}}", ["env.RUNYARD_DATABASE_URL points"]),
        ("{env: {RUNYARD_HOME: HERE, REGION: eu, PREFECT_LOGGING_LEVEL: DEBUG}}", []),
        ("{env: {RUNYARD_HOME: null}}", ["env.RUNYARD_HOME removes the worker's home from its runs"]),
        ("{env: {RUNYARD_API_URL: null}}", []),
    ],
)
def test_variables_that_lead_runs_away_from_their_database_are_told(
    project, monkeypatch, tmp_path, variables, says
):
    monkeypatch.setenv("RUNYARD_HOME", str(tmp_path))
    monkeypatch.setenv("WHERE", "sqlite:///there.db")
    pool = f"work_pool:\n  name: p\n  job_variables: {variables.replace('HERE', str(tmp_path))}"
    told: list[str] = []
    build(project("deployments:\n" + entry(pool)), say=told.append)
    assert len(told) == len(says), told
    for line, words in zip(told, says, strict=True):
        assert line.startswith("prefect.yaml:")
        assert "deployment daily" in line
        assert words in line


def test_the_mistakes_of_all_deployments_are_told_at_once(project, write):
    write("flows/broken.py", "def broken(:\n")
    text = "deployments:\n" + (
        entry("", "a", "flows/broken.py:f")
        + entry("", "b", "flows/nothing.py:f")
        + entry("", "c", "flows/etl.py:my_etl_flaw")
        + entry("parameters: {size: x}", "d", SECOND)
        + entry("", "e", "flows/broken.py:f")
        + entry("", "fine")
    )
    with pytest.raises(ProjectError) as caught:
        build(project(text), everything=True)
    told = str(caught.value)
    assert told.count("broken.py fails on import") == 1
    for place, words in (
        ("3:17", "flows/broken.py fails on import"),
        ("5:17", "not found"),
        ("7:17", "did you mean 'my_etl_flow'"),
        ("10:17", "deployment d: parameter size"),
    ):
        assert any(f"prefect.yaml:{place}: " in line and words in line for line in told.splitlines()), told


def test_placeholders_of_all_deployments_that_nothing_fills_are_told_at_once(project):
    text = "deployments:\n" + (
        entry("tags: ['{{ prefect.variables.x }}']", "a") + entry("tags: ['{{ prefect.variables.y }}']", "b")
    )
    with pytest.raises(ProjectError) as caught:
        build(project(text), everything=True)
    assert "variable 'x' not found" in str(caught.value)
    assert "variable 'y' not found" in str(caught.value)


def test_a_flow_that_cannot_be_loaded_is_told_with_its_place(project):
    with pytest.raises(EntrypointError, match=r"prefect\.yaml:3:17: file .*nothing\.py not found"):
        build(project("deployments:\n" + entry("", "a", "flows/nothing.py:f")))


NUMBERS = """\
from runyard import flow

@flow
def f(x: int, sizes: list[int] = (), on: bool = False, text: str = "", ratio: float | None = 1.5):
    pass
"""


def numbers(**parameters) -> str:
    import yaml

    # Two mappings, or else the second one is an alias of the first.
    schedule = {"interval": 60, "parameters": dict(parameters)}
    item = {"name": "d", "entrypoint": "numbers.py:f", "parameters": parameters, "schedules": [schedule]}
    return yaml.safe_dump({"deployments": [item]})


def test_the_environment_gives_what_a_parameter_takes(project, write, monkeypatch):
    write("numbers.py", NUMBERS)
    monkeypatch.setenv("NUM", "5")
    monkeypatch.setenv("ON", "True")
    monkeypatch.setenv("NO", "null")
    number = "{{ $NUM }}"
    text = numbers(x=number, sizes=[number, 2], on="{{ $ON }}", text=number, ratio="{{ $NO }}")
    wanted = {"x": 5, "sizes": [5, 2], "on": True, "text": "5", "ratio": None}
    for steps in (True, False):
        (found,) = build(project(text), ["d"], steps=steps).deployments
        assert found.parameters == wanted
        assert found.schedules[0].parameters == wanted


@pytest.mark.parametrize("value", ["{{ $NUM }}", "7", "1{{ $NUM }}"])
def test_a_text_for_a_number_is_refused_with_its_place(project, write, monkeypatch, value):
    write("numbers.py", NUMBERS)
    monkeypatch.setenv("NUM", "five" if value.startswith("{") else "5")
    with pytest.raises(ParameterError, match=r"prefect\.yaml:5:5: deployment d: .*x.*integer|whole number"):
        build(project(numbers(x=value)), ["d"])


def test_mistakes_of_the_file_hide_none_of_flows_parameters_and_placeholders(write, monkeypatch):
    write("flows/etl.py", ETL)
    monkeypatch.delenv("NOT_SET", raising=False)
    write(
        "prefect.yaml",
        "deployments:\n"
        + entry("paused: perhaps", "a")
        + entry("", "b", "flows/nope.py:f")
        + entry("parameters: {size: many, nmae: x}", "c", SECOND)
        + entry("description: '{{ $NOT_SET }}'", "d"),
    )
    project = read_project(refuse=False)
    with pytest.raises(ProjectError) as caught:
        build(project, everything=True)
    lines = str(caught.value).splitlines()
    told = ["deployments[0].paused", "nope.py", "parameter 'nmae'", "parameter size", "NOT_SET is not set"]
    assert all(any(words in line for line in lines) for words in told)
    assert len(lines) == len(told)
    with pytest.raises(ProjectError, match=r"deployments\[0\]\.paused"):
        build(project, ["a"])
