"""`runyard deploy --plan`, `--prune`, `--watch`, `--schema` and `--trigger`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading

import jsonschema
import pytest
import yaml

pytestmark = pytest.mark.usefixtures("git")

DEADLINE_SECONDS = 60.0


def names(runyard):
    return sorted(each["name"] for each in runyard("deployment", "ls", "-o", "json").json)


def test_a_plan_changes_nothing_and_says_what_would(runyard, project):
    project({"name": "a"}, {"name": "b", "parameters": {"size": 1}})
    planned = runyard("deploy", "--all", "--plan", code=2)
    lines = planned.out.splitlines()
    assert [line for line in lines if line[0] == "+"] == ["+ my-etl-flow/a", "+ my-etl-flow/b"]
    second = lines[lines.index("+ my-etl-flow/b") :]
    assert '    parameters: {"size": 1}' in second
    assert "    work_pool: pool" in second
    assert "    entrypoint: flows/etl.py:my_etl_flow" in second
    assert names(runyard) == []
    runyard("deploy", "--all")
    assert "0 to create, 0 to update, 0 to delete, 2 unchanged." in runyard("deploy", "--all", "--plan").out
    project({"name": "a"}, {"name": "b", "parameters": {"size": 2}})
    planned = runyard("deploy", "--all", "--plan", code=2)
    assert '~ my-etl-flow/b\n    parameters: {"size": 1} -> {"size": 2}' in planned.out
    assert runyard("deployment", "inspect", "b", "-o", "json").json["parameters"] == {"size": 1}
    found = runyard("deploy", "--all", "--plan", "-o", "json", code=2).json
    assert [(each["name"], each["action"]) for each in found] == [
        ("my-etl-flow/a", "unchanged"),
        ("my-etl-flow/b", "updated"),
    ]
    assert found[1]["changes"] == [{"field": "parameters", "before": {"size": 1}, "after": {"size": 2}}]


def test_a_plan_runs_no_step_and_says_what_it_cannot_know(runyard, project):
    step = {"prefect.deployments.steps.run_shell_script": {"id": "sha", "script": "touch made"}}
    project({"name": "a", "tags": ["v-{{ sha.stdout }}"], "parameters": {"size": 3}}, build=[step])
    planned = runyard("deploy", "--plan", code=2)
    assert 'tags: known after the steps have run (["v-{{ sha.stdout }}"])' in planned.out
    assert not (project.folder / "made").exists()
    runyard("deploy")
    assert (project.folder / "made").exists()
    assert runyard("deploy", "--plan").code == 0


def test_a_plan_with_a_missing_pool_fails_as_the_deploy_would(runyard, project):
    project({"name": "a", "work_pool": {"name": "none"}})
    assert "work-pool create none" in runyard("deploy", "--plan", code=1).err
    assert names(runyard) == []


def test_prune_deletes_what_left_the_file_and_nothing_else(runyard, project):
    project({"name": "a"}, {"name": "b"})
    runyard("deploy", "--all")
    project({"name": "other"}, file="staging.yaml")
    runyard("deploy", "--prefect-file", "staging.yaml")
    runyard(
        "deploy", "flows/etl.py:my_etl_flow", "-n", "by-hand", "-p", "pool", "--prefect-file", "none.yaml"
    )
    project({"name": "a"})
    told = runyard("deploy", "--all").err
    assert "1 left the file: my-etl-flow/b. Delete with: --prune" in told
    assert "1 left the file: my-etl-flow/b" in runyard("deploy", "--all", "--plan").err
    assert "left the file" not in runyard("deploy", "--name", "a").err
    assert names(runyard) == ["a", "b", "by-hand", "other"]
    planned = runyard("deploy", "--prune", "--plan", code=2)
    assert planned.out.splitlines()[0] == "- my-etl-flow/b"
    done = runyard("deploy", "--prune")
    assert "'my-etl-flow/b' is no longer in the file" in done.err
    assert names(runyard) == ["a", "by-hand", "other"]
    project()
    runyard("deploy", "--prune")
    assert names(runyard) == ["by-hand", "other"]


def test_a_renamed_project_still_speaks_for_its_schedules(runyard, project):
    both = [{"cron": "0 1 * * *"}, {"cron": "0 2 * * *"}]
    project({"name": "a", "schedules": both}, name="first")
    runyard("deploy")
    kept = runyard("deployment", "schedule", "ls", "a", "-o", "json").json[0]["id"]
    project({"name": "a", "schedules": both}, name="second")
    runyard("deploy")
    project({"name": "a", "schedules": both[:1]}, name="third")
    runyard("deploy")
    (left,) = runyard("deployment", "schedule", "ls", "a", "-o", "json").json
    assert left["id"] == kept


def test_prune_is_all_or_nothing(runyard, project):
    project({"name": "a"}, {"name": "b"})
    runyard("deploy", "--all")
    project({"name": "a", "parameters": {"size": 2}}, {"name": "c", "work_pool": {"name": "none"}})
    runyard("deploy", "--prune", code=1)
    assert names(runyard) == ["a", "b"]
    assert runyard("deployment", "inspect", "a", "-o", "json").json["parameters"] == {}


def test_flags_that_contradict_each_other(runyard, project):
    project({"name": "a"})
    assert "--name" in runyard("deploy", "--prune", "-n", "a", code=2).err
    assert "--watch" in runyard("deploy", "--plan", "--watch", code=2).err
    assert "Cloud" in runyard("deploy", "--sla", "{}", code=2).err


def test_without_upload_the_push_steps_do_not_run(runyard, project):
    def step(name):
        return {"prefect.deployments.steps.run_shell_script": {"id": name, "script": f"touch {name}"}}

    project({"name": "a"}, build=[step("built")], push=[step("pushed")])
    runyard("deploy", "--no-upload")
    assert (project.folder / "built").exists()
    assert not (project.folder / "pushed").exists()
    project({"name": "a", "tags": ["{{ pushed.stdout }}x"]}, push=[step("pushed")])
    assert "no earlier step has this output" in runyard("deploy", "--no-upload", code=1).err


def test_a_new_deployments_schedules_are_in_words(runyard, project):
    given = [{"cron": "0 6 * * *", "timezone": "Europe/Berlin"}, {"interval": 3600, "active": False}]
    project({"name": "a", "schedules": given, "description": "two\nlines"})
    lines = runyard("deploy", "--plan", code=2).out.splitlines()
    assert "    schedule: every day at 06:00 (Europe/Berlin)" in lines
    assert "    schedule: every hour (UTC), paused" in lines
    assert '    description: "two\\nlines"' in lines
    assert sum("schedule" in line for line in lines) == 2


def test_what_would_be_refused_is_said_before_the_first_step(runyard, project):
    step = {"prefect.deployments.steps.run_shell_script": {"id": "sha", "script": "touch made"}}
    project(
        {"name": "a", "work_pool": {"name": "Pol"}},
        {"name": "b", "tags": ["{{ sha.stdout }}"], "work_pool": {"name": "elsewhere"}},
        build=[step],
    )
    told = runyard("deploy", "--all", code=1).err
    assert (
        "work pool 'Pol' not found; did you mean 'pool'? To create 'Pol': runyard work-pool create Pol"
        in told
    )
    assert "work pool 'elsewhere' not found; there are: pool. To create it: runyard work-pool create" in told
    assert not (project.folder / "made").exists()
    runyard("deploy", "--name", "a", "--pool", "pool")
    assert (project.folder / "made").exists()


def test_equal_steps_of_one_deploy_run_once(runyard, project):
    script = (
        "import pathlib; p = pathlib.Path('count'); p.write_text((p.read_text() if p.exists() else '') + 'x')"
    )
    step = {"prefect.deployments.steps.run_shell_script": {"script": f'{sys.executable} -c "{script}"'}}
    project({"name": "a"}, {"name": "b"}, {"name": "c"}, build=[step])
    runyard("deploy", "--all")
    assert (project.folder / "count").read_text() == "x"


@pytest.mark.parametrize(
    ("entry", "place", "words"),
    [
        ({"tags": ["{{ sha.out }}"]}, r"deployments\[0\]\.tags\[0\]", "'sha' has the outputs stderr, stdout"),
        ({"description": "{{ $RUNYARD_NO_SUCH }}"}, r"deployments\[0\]\.description", "is not set"),
        (
            {"pull": [{"prefect.deployments.steps.git_clone": {"repository": "{{ bild.url }}"}}]},
            r"deployments\[0\]\.pull\[0\]\.prefect\.deployments\.steps\.git_clone\.repository",
            "no earlier step has this output",
        ),
    ],
)
def test_placeholders_of_nothing_are_refused_with_their_place(runyard, project, entry, place, words):
    step = {"prefect.deployments.steps.run_shell_script": {"id": "sha", "script": "touch made"}}
    project({"name": "a", **entry}, build=[step])
    error = runyard("deploy", code=1).err
    assert re.search(rf"prefect\.yaml:\d+:\d+: {place}: .*{words}", error), error
    assert not (project.folder / "made").exists()
    assert names(runyard) == []


def test_what_deploys_machine_does_not_know_is_left_to_the_worker(runyard, project, monkeypatch):
    monkeypatch.setenv("IMAGE", "img:1")
    monkeypatch.setenv("DB_PASSWORD", "hunter2")
    variables = {"env": {"I": "{{ $IMAGE }}", "P": "{{ $DB_PASSWORD }}", "U": "{{ $RUNYARD_NO_SUCH }}"}}
    step = {"prefect.deployments.steps.git_clone": {"repository": "r", "access_token": "{{ $DB_PASSWORD }}"}}
    project({"name": "a", "work_pool": {"name": "pool", "job_variables": variables}, "pull": [step]})
    runyard("deploy")
    stored = runyard("deployment", "inspect", "a", "-o", "json")
    assert stored.json["job_variables"]["env"] == {
        "I": "img:1", "P": "{{ $DB_PASSWORD }}", "U": "{{ $RUNYARD_NO_SUCH }}",
    }  # fmt: skip
    assert "hunter2" not in stored.out


def test_triggers_are_kept_and_flags_replace_them(runyard, project):
    project({"name": "a", "triggers": [{"expect": "x", "parameters": {"date": "{{ event.id }}"}}]})
    runyard("deploy")
    stored = runyard("deployment", "inspect", "a", "-o", "json").json["triggers"]
    assert stored == [{"type": "event", "expect": ["x"], "parameters": {"date": "{{ event.id }}"}}]
    (project.folder / "t.yaml").write_text("triggers:\n- expect: [y]\n")
    runyard("deploy", "--trigger", '{"match": {"a": "b"}}', "--trigger", "t.yaml")
    stored = runyard("deployment", "inspect", "a", "-o", "json").json["triggers"]
    assert stored == [{"type": "event", "match": {"a": "b"}}, {"type": "event", "expect": ["y"]}]
    assert "--trigger" in runyard("deploy", "--trigger", "no.yaml", code=1).err
    assert "threshold" in runyard("deploy", "--trigger", '{"threshold": "x"}', code=1).err


def test_the_schema_accepts_what_deploys(runyard, project):
    schema = runyard("deploy", "--schema").json
    jsonschema.Draft202012Validator.check_schema(schema)
    project({"name": "a", "schedule": {"cron": "0 6 * * *"}, "tags": "one", "concurrency_limit": 3})
    runyard("deploy")
    jsonschema.validate(yaml.safe_load((project.folder / "prefect.yaml").read_text()), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"deployments": [{"schedule": {"corn": "0 6 * * *"}}]}, schema)


def test_watch_deploys_again_on_save(runyard, project, home):
    project({"name": "a"})
    (project.folder / "inspect.py").write_text("raise SystemExit('not the standard library')\n")
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "runyard_cli.main", "deploy", "--all", "--watch"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    # Reading its lines would otherwise wait for good where one does not come.
    late = threading.Timer(DEADLINE_SECONDS, process.kill)
    late.start()
    try:
        assert "Created deployment" in _line(process, "deployment")
        _line(process, "Waiting")
        # In one step: what is looked at while it is written is deployed half, and then again.
        project({"name": "a", "tags": ["new"]}, file="new.yaml")
        (project.folder / "new.yaml").rename(project.folder / "prefect.yaml")
        assert "prefect.yaml changed" in _line(process, "changed")
        assert "Updated deployment" in _line(process, "deployment")
        _line(process, "Waiting")
        (project.folder / "flows" / "etl.py").write_text("nonsense(")
        assert "Error" in _line(process, "Error")
        _line(process, "Waiting")
    finally:
        late.cancel()
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=DEADLINE_SECONDS)
    assert runyard("deployment", "inspect", "a", "-o", "json").json["tags"] == ["new"]


def _line(process, word):
    """The next line of a process that holds a word."""
    for line in process.stdout:
        if word in line:
            return line
    raise AssertionError(f"it ended without {word!r}")
