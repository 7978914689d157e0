"""Pressing TAB: in real shells, and what they are told."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from _history import History
from _shells import Shell
from runyard.operations.deployments import deployments
from runyard.operations.schedules import schedules
from runyard.operations.work_pools import work_pools, workers
from runyard.store.database import get_database
from runyard_cli import reference
from runyard_cli.main import cli
from runyard_cli.shared import completers

SHELLS = ("bash", "zsh", "fish")
PROGRAM = os.path.dirname(sys.executable)
# Each would do something if a shell evaluated it, or be several words.
TRAPS = (
    "$(touch pwned1)", r"\$(touch pwned2)", "`touch pwned3`", r"\`touch pwned4`", "x;touch pwned5",
    "it's one", 'a "quoted" name', "back\\slash", "naïve 🦊", "[red]x[red]", "a:b", "*", "~", "-x",
)  # fmt: skip


def deploy(store, flow, name, **fields):
    item = {"flow_name": flow, "name": name, "work_pool_name": "machines", **fields}
    body = deployments.DeploymentsApply.model_validate({"owner": f"{flow} {name}", "deployments": [item]})
    return store.call(deployments.apply_deployments, body)[0].deployment


@pytest.fixture
def stored(store):
    """A pool, a worker, deployments with schedules and parameters, and runs."""
    for name in ("machines", "boxes"):
        store.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name=name))
    store.call(workers.heartbeat_worker, "boxes", workers.WorkerHeartbeat(name="crane"))
    schema = {"type": "object", "properties": {"date": {"type": "string"}, "size": {"type": "integer"}}}
    daily = deploy(store, "etl", "daily", parameter_openapi_schema=schema)
    deploy(store, "report", "weekly")
    specs = [
        {"schedule": {"cron": f"0 {hour} * * *"}, "slug": slug} for hour, slug in ((6, "early"), (18, "late"))
    ]
    bodies = [schedules.DeploymentScheduleCreate.model_validate(each) for each in specs]
    store.call(schedules.create_deployment_schedules, daily.id, bodies)
    with History(get_database()) as history:
        for days, name, kind in (
            (3, "twin", "FAILED"),
            (2, "twin", "COMPLETED"),
            (1, "calm-otter", "RUNNING"),
        ):
            history.flow_run(days, kind, name=name)
    return store


@pytest.fixture
def shell(request, tmp_path, runyard):
    """Starts a shell that completes."""
    begun = []

    def start(kind):
        (tmp_path / "script").write_text(runyard("completion", kind).out)
        begun.append(Shell(kind, tmp_path, PROGRAM))
        return begun[-1]

    yield start
    for each in begun:
        each.close()


@pytest.mark.parametrize("kind", SHELLS)
def test_a_shell_completes(stored, shell, tmp_path, kind):
    (tmp_path / "flows").mkdir()
    here = shell(kind)
    for typed, words in (
        ("work-p", ["work-pool", "."]),
        ("deployment run e", ["deployment", "run", "etl/daily", "."]),
        ("deployment run dai", ["deployment", "run", "daily", "."]),
        ("schedule next etl", ["schedule", "next", "etl/daily", "."]),
        ("deployment schedule pause daily ea", ["deployment", "schedule", "pause", "daily", "early", "."]),
        ("flow-run ls --state La", ["flow-run", "ls", "--state", "Late", "."]),
        ("flow-run ls --deployment re", ["flow-run", "ls", "--deployment", "report/weekly", "."]),
        ("flow-run cancel ca", ["flow-run", "cancel", "calm-otter", "."]),
        ("worker inspect --pool boxes c", ["worker", "inspect", "--pool", "boxes", "crane", "."]),
    ):
        assert here.completed(f"runyard {typed}") == ["runyard", *words], typed
    assert {"inspect", "pause", "resume"} <= set(here.offers("runyard work-pool "))


@pytest.mark.parametrize("kind", SHELLS)
def test_no_name_runs_a_command(stored, shell, tmp_path, kind):
    """What a shell would evaluate or split is not offered; other names are."""
    for at, trap in enumerate(TRAPS):
        deploy(stored, f"f{at}-{trap.replace('/', '')}", trap)
        deploy(stored, f"told{at}", "safe", description=f"{trap}) $(touch pwned7) \\`touch pwned8\\`")
        deploy(stored, f"told{at}", "saved", description=trap)
    here = shell(kind)
    for at in range(len(TRAPS)):
        here.completed(f"runyard deployment inspect f{at}-")
        here.completed(f"runyard deployment inspect told{at}/")
    assert here.completed("runyard deployment inspect rep")[3] == "report/weekly"
    assert not list(tmp_path.glob("**/pwned*"))


def told(*words, **environment):
    """What fish is told when TAB is pressed at the end of these words: values and their helps."""
    line = " ".join(["runyard", *(word if word else "''" for word in words)])
    done = subprocess.run(
        [sys.executable, "-m", "runyard_cli.main"],
        env={
            **os.environ, "_RUNYARD_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args",
            "_TYPER_COMPLETE_ARGS": line.removesuffix("''"), **environment,
        },
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    return [tuple(line.split("\t")) for line in done.stdout.splitlines() if line]


def values(*words, **environment):
    return [each[0] for each in told(*words, **environment)]


def test_names_come_with_a_few_words_about_them(stored):
    assert told("work-p") == [("work-pool", "Create and manage work pools.")]
    assert told("deployment", "run", "daily", "-p", "d") == [("date=", "string")]
    assert told("deployment", "schedule", "inspect", "etl/daily", "e") == [("early", "cron 0 6 * * *")]
    assert told("flow-run", "logs", "calm") == [("calm-otter", "Running")]


def test_a_name_that_two_runs_have_is_offered_by_their_ids(stored):
    found = told("flow-run", "inspect", "twin")
    assert [help for _, help in found] == ["twin, Completed", "twin, Failed"]
    assert all(len(value) == 36 for value, _ in found)


def test_a_word_that_was_given_is_not_offered_again(stored):
    assert values("deployment", "pause", "etl/daily", "") == ["report/weekly"]
    assert "--state" in values("flow-run", "ls", "--limit", "5", "--st")


def test_other_words_for_commands_are_completed_too(stored):
    assert values("work-pools", "inspect", "m") == ["machines"]
    assert values("work-pools", "describe", "m") == ["machines"]
    assert values("lo") == ["logs"]
    assert values("logs", "calm") == ["calm-otter"]
    assert values("get", "work-p") == ["work-pool"]
    assert values("describe", "pool", "ma") == ["machines"]
    assert values("help", "work-p") == ["work-pool"]
    assert values("--profile", "default", "ps", "--since", "1d", "--limi") == ["--limit"]


def test_options_and_choices_are_offered(stored):
    assert {"--param", "--watch", "--tag"} <= set(values("deployment", "run", "daily", "-"))
    assert values("work-pool", "create", "new", "--type", "d") == ["docker"]
    assert values("work-pool", "create", "ma") == []
    assert values("flow-run", "ls", "-o", "js") == ["json"]


def test_values_that_are_always_the_same(home):
    assert values("flow-run", "ls", "--since", "y") == ["yesterday"]
    assert values("flow-run", "logs", "x", "--level", "w") == ["warning"]
    assert values("alias", "z") == ["zsh"]
    assert values("database", "prune", "--state", "CR") == ["CRASHED"]


def test_words_of_the_project_file(stored, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert values("deploy", "--name", "") == []
    text = "deployments:\n  - {name: nightly, entrypoint: 'a.py:f'}\n  - {name: hourly}\n  - 3\n"
    (tmp_path / "prefect.yaml").write_text(text)
    assert told("deploy", "-n", "") == [("nightly", "a.py:f"), ("hourly",)]
    (tmp_path / "other.yaml").write_text("deployments: [{name: weekly}]")
    assert values("deploy", "--prefect-file", "other.yaml", "--name", "") == ["weekly"]
    (tmp_path / "prefect.yaml").write_text("deployments: [")
    assert values("deploy", "--name", "") == []


def test_names_come_from_the_profile_that_the_line_chooses(stored, program, tmp_path):
    program("profile", "create", "empty")
    program("--profile", "empty", "config", "set", f"database_url=sqlite:///{tmp_path}/none.db")
    assert values("work-pool", "inspect", "m") == ["machines"]
    assert values("--profile", "empty", "work-pool", "inspect", "m") == []
    assert values("--profile", "e") == ["empty"]
    assert not (tmp_path / "none.db").exists()


def test_names_come_from_the_api(api, home, monkeypatch):
    from runyard.client import HttpClient

    client = HttpClient(api.url)
    client.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name="remote"))
    client.close()
    monkeypatch.setenv("RUNYARD_API_URL", api.url)
    assert values("work-pool", "inspect", "r") == ["remote"]


def test_it_is_silent_about_what_is_wrong(home, tmp_path, monkeypatch):
    assert told("deployment", "run", "x") == []
    assert not home.exists()
    monkeypatch.setenv("RUNYARD_DATABASE_URL", f"sqlite:///{tmp_path}/none/x.db")
    assert told("deployment", "run", "x") == []
    monkeypatch.setenv("RUNYARD_API_URL", "http://127.0.0.1:9/api")
    assert told("deployment", "run", "x") == []
    assert told("nosuch", "x") == []
    assert told("work-pool", "nosuch", "x") == []
    assert told("deploy", "no/such/folder/x") == []


def test_powershell_gives_the_word_beside_the_others(stored):
    line = {"_RUNYARD_COMPLETE": "complete_powershell", "_TYPER_COMPLETE_ARGS": "runyard deployment run rep"}
    done = subprocess.run(
        [sys.executable, "-m", "runyard_cli.main"],
        env={**os.environ, **line, "_TYPER_COMPLETE_WORD_TO_COMPLETE": "rep"},
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.split(":::")[0].strip() == "report/weekly"


@pytest.mark.parametrize("kind", [*SHELLS, "powershell"])
def test_the_script_is_printed_and_installed(runyard, tmp_path, monkeypatch, kind):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    script = runyard("completion", kind).out
    assert "_RUNYARD_COMPLETE" in script
    runyard("completion", kind, "--install")
    written = [path.read_text() for path in tmp_path.rglob("*runyard*") if path.is_file()]
    assert any(text.startswith(script) for text in written)


# Arguments that are free text; a new argument is completed, or put here.
FREE = """
    run ARGUMENTS; work-pool create NAME; work-pool set-concurrency-limit LIMIT; work-queue create NAME;
    work-queue set-concurrency-limit LIMIT; variable set VALUE; block create FIELDS;
    global-concurrency-limit create NAME; concurrency-limit create TAG; concurrency-limit create LIMIT;
    profile create NAME; profile rename NEW; api METHOD; api PATH
"""


def test_every_argument_is_completed_or_free_text():
    found = set()
    for context in reference.commands(cli, reference.context_of(cli, "runyard")):
        path, position = context.command_path.split()[1:], 0
        for each in context.command.params:
            if each.param_type_name == "argument":
                kind = completers.kind_of(path, each, position)
                position += 1
                if kind is None and not each.type_descriptor.is_choice:
                    found.add(f"{' '.join(path)} {each.name.upper()}")
    assert found == {line.strip() for line in FREE.split(";")}
