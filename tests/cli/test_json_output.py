"""`-o json` of every command that shows data: it parses, and has the keys that docs/json-output.md tells."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from runyard_cli import reference
from runyard_cli.main import cli

PAGE = Path(__file__).parents[2] / "docs" / "json-output.md"
FLOWS = """
from runyard import flow, task
from runyard.artifacts import create_markdown_artifact

@task
def step():
    print("hello")

@flow(log_prints=True)
def etl(n: int = 1):
    step()
    create_markdown_artifact("text", key="report")
"""
PROJECT = """
deployments:
  - name: daily
    entrypoint: flows.py:etl
    version: "1"
    tags: [a]
    schedules: [{cron: "0 6 * * *", slug: early}]
    work_pool: {name: pool}
"""
# One environment of runs, without the time that making it takes.
ENVIRONMENT = """
import os
from runyard.workers.environments import environment_store as shelf
with shelf.making("0123456789abcdef", None) as folder:
    os.makedirs(folder)
    shelf.publish("0123456789abcdef", folder, {})
"""
RUN, LATER, TASK_RUN = "{run}", "{later}", "{task_run}"
# A run that waits, and one that is marked as running.
WAITS, RUNS = "{waits}", "{runs}"
# What each is called with; a command that is not here is called with nothing.
ARGUMENTS = {
    "artifact inspect": ["report"],
    "block inspect": ["json/settings"],
    "block register": ["-m", "runyard.blocks.system"],
    "block type inspect": ["json"],
    "concurrency-limit create": ["made", "2"],
    "concurrency-limit delete": ["spare"],
    "concurrency-limit inspect": ["db"],
    "concurrency-limit reset": ["db"],
    "database backup": ["copy.db"],
    "database restore": ["copy.db", "--dry-run"],
    "deploy": ["--all"],
    "deployment backfill": ["daily", "--from", "2026-01-01", "--to", "2026-01-03", "--yes"],
    "deployment delete": ["daily", "--dry-run"],
    "deployment inspect": ["daily"],
    "deployment pause": ["daily"],
    "deployment resume": ["daily"],
    "deployment rollback": ["daily"],
    "deployment run": ["daily"],
    "deployment schedule clear": ["daily", "--dry-run"],
    "deployment schedule create": ["daily", "--interval", "3600"],
    "deployment schedule delete": ["daily", "early", "--dry-run"],
    "deployment schedule inspect": ["daily", "early"],
    "deployment schedule ls": ["daily"],
    "deployment schedule next": ["daily", "-n", "2"],
    "deployment schedule pause": ["daily", "early"],
    "deployment schedule resume": ["daily", "early"],
    "deployment versions": ["daily"],
    "flow-run cancel": [WAITS],
    "flow-run delete": [WAITS],
    "flow-run inspect": [RUN],
    "flow-run logs": [RUN],
    "flow-run resume": [RUNS],
    "flow-run retry": [WAITS],
    "flow-run suspend": [RUNS],
    "flow-run watch": [RUN],
    "flow-run why": [LATER],
    "global-concurrency-limit create": ["made", "--limit", "2"],
    "global-concurrency-limit delete": ["spare"],
    "global-concurrency-limit disable": ["spare"],
    "global-concurrency-limit enable": ["spare"],
    "global-concurrency-limit inspect": ["shared"],
    "global-concurrency-limit update": ["spare", "--limit", "2"],
    "profile inspect": ["default"],
    "schedule clear": ["daily", "--dry-run"],
    "schedule create": ["daily", "--interval", "7200"],
    "schedule delete": ["daily", "early", "--dry-run"],
    "schedule inspect": ["daily", "early"],
    "schedule next": ["--cron", "0 6 * * *", "-n", "2"],
    "schedule pause": ["daily", "early"],
    "schedule resume": ["daily", "early"],
    "secret inspect": ["token"],
    "task-run inspect": [TASK_RUN],
    "task-run logs": [TASK_RUN],
    "variable inspect": ["v"],
    "work-pool create": ["made", "--type", "process"],
    "work-pool clear-concurrency-limit": ["spare"],
    "work-pool delete": ["spare"],
    "work-pool inspect": ["pool"],
    "work-pool pause": ["spare"],
    "work-pool preview": ["pool"],
    "work-pool resume": ["spare"],
    "work-pool set-concurrency-limit": ["spare", "2"],
    "work-pool slots": ["pool"],
    "work-pool update": ["spare", "--description", "nightly"],
    "work-queue create": ["made", "--pool", "pool"],
    "work-queue clear-concurrency-limit": ["spare"],
    "work-queue delete": ["spare"],
    "work-queue inspect": ["default", "--pool", "pool"],
    "work-queue pause": ["spare"],
    "work-queue preview": ["default", "--pool", "pool"],
    "work-queue read-runs": ["default", "--pool", "pool"],
    "work-queue resume": ["spare"],
    "work-queue set-concurrency-limit": ["spare", "2"],
    "work-queue slots": ["default", "--pool", "pool"],
    "worker inspect": ["counted"],
    "artifact delete": ["report", "--dry-run"],
    "block create": ["string", "value=a", "--name", "made"],
    "block delete": ["string/made"],
    "block type delete": ["string"],
    "config get": ["RUNYARD_LOGGING_LEVEL"],
    "config set": ["RUNYARD_LOGGING_LEVEL=INFO"],
    "config unset": ["RUNYARD_LOGGING_LEVEL"],
    "environment rm": ["0123456789abcdef", "--dry-run"],
    "profile create": ["made"],
    "profile delete": ["made"],
    "profile rename": ["old", "older"],
    "profile use": ["default"],
    "secret delete": ["made"],
    "secret set": ["made"],
    "variable get": ["v"],
    "variable set": ["made", "1"],
    "variable unset": ["made"],
    "server start": ["--background", "--port", "0"],
}


def commands():
    """The path of every command that has --output."""
    contexts = reference.commands(cli, reference.context_of(cli, "runyard"))
    return [
        context.command_path.removeprefix("runyard ")
        for context in contexts
        if any(parameter.name == "output" for parameter in context.command.params)
    ]


def shape(value):
    """The words of the page for a value: `list of` and the keys of a mapping, in their order."""
    if isinstance(value, list):
        keys = shape(value[0])[1] if value and isinstance(value[0], dict) else []
        return "a list", keys
    if not isinstance(value, dict):
        return "any value", []
    return "an object", list(value)


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What each command printed in a home that has everything."""
    folder = tmp_path_factory.mktemp("json")
    environment = {**os.environ, "RUNYARD_HOME": str(folder / "home"), "PREFECT_NO_SUCH": "1"}
    (folder / "flows.py").write_text(FLOWS)
    (folder / "prefect.yaml").write_text(PROJECT)

    def type_(*arguments, given=None, codes=(0,)):
        done = subprocess.run(
            [sys.executable, "-m", "runyard_cli.main", *arguments],
            cwd=folder,
            env=environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode in codes, (arguments, done.stdout, done.stderr)
        return done.stdout

    type_("work-pool", "create", "pool", "--type", "process")
    type_("deploy", "--all")
    (folder / "prefect.yaml").write_text(PROJECT.replace('"1"', '"2"'))
    type_("deploy", "--all")
    run = json.loads(type_("deployment", "run", "daily", "-o", "json"))["id"]
    type_("worker", "start", "--pool", "pool", "--name", "counted", "--run-once")
    later = json.loads(type_("deployment", "run", "daily", "-o", "json"))["id"]
    waits = json.loads(type_("deployment", "run", "daily", "-o", "json"))["id"]
    runs = json.loads(type_("deployment", "run", "daily", "-o", "json"))["id"]
    running = json.dumps({"state": {"type": "RUNNING"}, "force": True})
    type_("api", "POST", f"/flow_runs/{runs}/set_state", "--data", running)
    type_("variable", "set", "v", "1")
    type_("secret", "set", "token", given="abc\n")
    type_("block", "create", "json", "value={}", "--name", "settings")
    type_("gcl", "create", "shared", "--limit", "1")
    type_("concurrency-limit", "create", "db", "1")
    # To be changed and deleted.
    type_("gcl", "create", "spare", "--limit", "1")
    type_("concurrency-limit", "create", "spare", "1")
    type_("work-pool", "create", "spare", "--type", "process")
    type_("work-queue", "create", "spare", "--pool", "pool")
    subprocess.run([sys.executable, "-c", ENVIRONMENT], env=environment, check=True, timeout=120)
    type_("config", "set", "RUNYARD_LOGGING_LEVEL=INFO")
    type_("profile", "create", "old")
    (task_run,) = json.loads(type_("task-run", "ls", "--flow-run", run, "-o", "json"))
    known = {RUN: run, LATER: later, TASK_RUN: task_run["id"], WAITS: waits, RUNS: runs}

    def answer(path):
        arguments = [known.get(each, each) for each in ARGUMENTS.get(path, [])]
        # No worker is there any more, which `doctor` finds.
        codes = (1,) if path == "doctor" else (0,)
        return json.loads(type_(*path.split(), *arguments, "-o", "json", given="abc\n", codes=codes))

    return {path: answer(path) for path in commands()}


def page(answers):
    """The page, from what the commands printed."""
    rows = []
    for path, answer in sorted(answers.items()):
        kind, keys = shape(answer)
        of = " of" if kind == "a list" and keys else ""
        rows.append(f"| `{path}` | {kind}{of} | {', '.join(f'`{key}`' for key in keys) or 'values'} |")
    return "\n".join(rows)


def test_every_command_prints_what_the_page_tells(answers):
    made = page(answers)
    head, line, _ = PAGE.read_text("utf-8").partition("| --- | --- | --- |\n")
    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(f"{head}{line}{made}\n", "utf-8")
    assert PAGE.read_text("utf-8") == f"{head}{line}{made}\n"


def test_nothing_that_was_there_is_empty(answers):
    """An empty list has no keys to compare."""
    empty = [path for path, answer in answers.items() if answer in ([], {})]
    assert empty == []


def test_identifiers_and_times_are_the_same_everywhere(answers):
    (run,) = [each for each in answers["flow-run ls"] if each["state_type"] == "COMPLETED"]
    assert answers["flow-run inspect"] == run
    assert answers["deployment inspect"]["id"] == run["deployment_id"]
    assert run["start_time"].endswith("Z")
