"""`runyard work-pool` and `runyard work-queue`."""

from __future__ import annotations

import json
import re
import shlex

import pytest


@pytest.fixture
def pool(runyard):
    runyard("work-pool", "create", "mine", "--type", "process")


def test_a_pool_is_made_listed_and_shown(runyard, pool):
    (listing,) = runyard("work-pools", "ls").out.splitlines()
    assert listing.split("\t")[:5] == ["mine", "process", "NOT_READY", "0", "0"]
    assert runyard("work-pools", "ls", "-o", "name").out == "mine\n"
    assert runyard("work-pools", "ls", "--columns", "type,name").out == "process\tmine\n"
    assert "did you mean 'name'" in runyard("work-pools", "ls", "--columns", "nme", code=2).err
    assert runyard("work-pool", "inspect", "mine", "-o", "json").json["type"] == "process"
    shown = runyard("work-pool", "inspect", "mine").out
    assert shown.startswith("Work pool mine  ✗ NOT_READY\n")
    assert "  Slots    0 in use\n" in shown
    assert "\nQueues\n  default  priority 1  ✗ NOT_READY  0 in use\n" in shown
    assert shown.endswith("start one with: runyard worker start --pool mine\n")


def test_an_empty_list(runyard):
    answer = runyard("work-pool", "ls")
    assert answer.out == ""
    assert "work-pool create" in answer.err
    assert runyard("work-pool", "ls", "-o", "json").json == []


def test_a_pool_that_exists(runyard, pool):
    assert "mine" in runyard("work-pool", "create", "mine", "-t", "process", code=1).err
    runyard("work-pool", "create", "mine", "-t", "process", "--overwrite", "--concurrency-limit", 2)
    assert runyard("work-pool", "inspect", "mine", "-o", "json").json["concurrency_limit"] == 2


def test_an_unknown_type_names_those_known(runyard):
    error = runyard("work-pool", "create", "mine", "-t", "proces", code=1).err
    assert "process" in error
    assert len(error.splitlines()) == 1
    assert runyard("work-pool", "ls", "-o", "json").json == []


def test_without_a_type_and_a_terminal_it_is_wrong_usage(runyard):
    assert "--type" in runyard("work-pool", "create", "mine", code=2).err


def test_limits_pause_and_description(runyard, pool):
    runyard("work-pool", "set-concurrency-limit", "mine", 3)
    runyard("work-pool", "pause", "mine")
    runyard("work-pool", "update", "mine", "--description", "nightly")
    shown = runyard("work-pool", "inspect", "mine", "-o", "json").json
    assert (shown["concurrency_limit"], shown["is_paused"], shown["description"]) == (3, True, "nightly")
    runyard("work-pool", "clear-concurrency-limit", "mine")
    runyard("work-pool", "resume", "mine")
    shown = runyard("work-pool", "inspect", "mine", "-o", "json").json
    assert (shown["concurrency_limit"], shown["is_paused"]) == (None, False)
    assert "Nothing to update" in runyard("work-pool", "update", "mine", code=2).err


def test_a_pool_is_deleted(runyard, pool):
    runyard("work-pool", "delete", "mine")
    assert "mine" in runyard("work-pool", "delete", "mine", code=1).err


@pytest.mark.parametrize("command", ["inspect", "pause", "resume", "clear-concurrency-limit", "delete"])
def test_a_pool_that_is_not_there(runyard, command):
    error = runyard("work-pool", command, "nobody", code=1).err
    assert error.startswith("Error: ")
    assert "nobody" in error
    assert len(error.splitlines()) == 1


def test_the_default_template_goes_to_a_file_and_back(runyard, tmp_path):
    file = tmp_path / "template.json"
    runyard("work-pool", "get-default-base-job-template", "-t", "process", "-f", file)
    assert json.loads(file.read_text()) == json.loads(
        runyard("work-pool", "get-default-base-job-template", "-t", "process").out
    )
    runyard("work-pool", "create", "mine", "-t", "process", "--base-job-template", file)
    shown = runyard("work-pool", "inspect", "mine", "-o", "json").json
    assert shown["base_job_template"] == json.loads(file.read_text())


def test_a_template_that_is_no_json(runyard, tmp_path):
    file = tmp_path / "template.json"
    file.write_text("{")
    error = runyard("work-pool", "create", "mine", "-t", "process", "--base-job-template", file, code=1).err
    assert "not valid JSON" in error


def test_queues(runyard, pool):
    runyard("work-queue", "create", "urgent", "--pool", "mine", "--priority", 1, "--limit", 2)
    names = [queue["name"] for queue in runyard("work-queue", "ls", "-o", "json").json]
    assert sorted(names) == ["default", "urgent"]
    runyard("work-queue", "pause", "urgent")
    runyard("work-queue", "clear-concurrency-limit", "urgent", "--pool", "mine")
    shown = runyard("work-queue", "inspect", "urgent", "-o", "json").json
    assert (shown["is_paused"], shown["concurrency_limit"], shown["priority"]) == (True, None, 1)
    runyard("work-queue", "resume", "urgent")
    runyard("work-queue", "set-concurrency-limit", "urgent", 5)
    shown = runyard("work-queue", "inspect", "urgent", "-o", "json").json
    assert (shown["is_paused"], shown["concurrency_limit"]) == (False, 5)
    runyard("work-queue", "delete", "urgent")
    assert "urgent" in runyard("work-queue", "inspect", "urgent", code=1).err


def test_a_number_that_no_database_holds_is_told_so(runyard, home):
    error = runyard("work-pool", "set-concurrency-limit", "mine", 10**20, code=2).err
    assert f"{10**20} is more than 2147483647" in error


def test_a_queue_name_of_two_pools_needs_the_pool(runyard, pool):
    runyard("work-pool", "create", "other", "-t", "process")
    assert "--pool" in runyard("work-queue", "pause", "default", code=1).err
    runyard("work-queue", "pause", "default", "--pool", "other")


def test_no_workers(runyard, pool):
    assert "worker start" in runyard("worker", "ls").err
    assert runyard("workers", "ls", "-p", "mine", "-o", "json").json == []
    assert "--pool" in runyard("worker", "start", code=2).err


def status(runyard):
    return runyard("work-pool", "ls").out.split("\t")[2]


def test_the_list_says_whether_a_pool_is_served(runyard, store, pool):
    from runyard.operations.work_pools import workers

    assert status(runyard) == "NOT_READY"
    beat = workers.WorkerHeartbeat(name="w", heartbeat_interval_seconds=30)
    store.call(workers.heartbeat_worker, "mine", body=beat)
    assert status(runyard) == "READY"
    runyard("work-pool", "pause", "mine")
    assert status(runyard) == "PAUSED"
    runyard("work-pool", "resume", "mine")
    stopped = workers.WorkerHeartbeat(name="w", heartbeat_interval_seconds=30, stopped=True)
    store.call(workers.heartbeat_worker, "mine", body=stopped)
    assert status(runyard) == "NOT_READY"


def test_the_text_list_and_the_json_list_agree(runyard, pool):
    runyard("work-pool", "create", "other", "-t", "docker", "--concurrency-limit", 2)
    text = {line.split()[0] for line in runyard("work-pool", "ls", "--verbose").out.splitlines()}
    assert (
        text == {each["name"] for each in runyard("work-pool", "ls", "-o", "json").json} == {"mine", "other"}
    )


def test_listing_pools_loads_no_models(program):
    import subprocess
    import sys

    code = "import sys\nfrom runyard_cli.main import main\n"
    code += "try: main(['work-pool', 'ls'])\nfinally: print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_pool_for_workers_of_others(runyard, tmp_path):
    runyard("work-pool", "create", "a", "-t", "ecs")
    assert runyard("work-pool", "inspect", "a", "-o", "json").json["type"] == "ecs"
    runyard("work-pool", "create", "b", "-t", "mine")
    assert runyard("work-pool", "inspect", "b", "-o", "json").json["type"] == "mine"
    assert "did you mean 'cloud-run'" in runyard("work-pool", "create", "c", "-t", "cloudrun", code=1).err
    template = tmp_path / "template.json"
    template.write_text('{"job_configuration": {}, "variables": {}}')
    runyard("work-pool", "create", "c", "-t", "cloudrun", "--base-job-template", template)
    assert runyard("work-pool", "inspect", "c", "-o", "json").json["type"] == "cloudrun"


def test_every_hint_names_the_program_that_takes_the_runs_of_a_pool(runyard, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f.py").write_text("from runyard import flow\n\n@flow\ndef f():\n    pass\n")
    runyard("work-pool", "create", "a", "-t", "ecs")
    start = "prefect worker start --pool a"
    assert start in runyard("deploy", "f.py:f", "-n", "d", "-p", "a").out
    run = runyard("deployment", "run", "f/d", "-o", "json").json["id"]
    assert start in runyard("flow-run", "why", run).out
    assert start in runyard("doctor", code=1).out


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("process", "Start a worker for it: runyard worker start --pool p"),
        ("docker", "Start a worker for it: runyard worker start --pool p"),
        ("kubernetes", "Deploy to it with an image that has Runyard"),
        ("ecs", "A worker of Prefect for ecs takes its runs: prefect worker start --pool p"),
        ("mine", "Its runs wait for a worker of type 'mine'"),
    ],
)
def test_a_new_pool_says_who_takes_its_runs(runyard, kind, told):
    made = runyard("work-pool", "create", "p", "-t", kind)
    assert told in made.out + made.err


def test_a_queue_without_a_pool(runyard):
    assert "default-agent-pool/q" in runyard("work-queue", "create", "q").out
    runyard("work-queue", "create", "r")
    shown = runyard("work-queue", "ls", "--pool", "default-agent-pool", "-o", "json").json
    assert sorted(queue["name"] for queue in shown) == ["default", "q", "r"]
    assert runyard("work-pool", "inspect", "default-agent-pool", "-o", "json").json["type"] == "process"


@pytest.mark.parametrize(
    ("change", "warned"),
    [
        (lambda t, home: t["job_configuration"].update(env={"RUNYARD_HOME": "/elsewhere"}), "another home"),
        (lambda t, home: t["job_configuration"].update(env={"RUNYARD_HOME": str(home)}), None),
        (
            lambda t, home: t["variables"]["properties"]["env"].update(
                default={"PREFECT_API_URL": "http://x/api", "MINE": "1"}
            ),
            "another API",
        ),
        (lambda t, home: t["variables"]["properties"]["env"].update(default={"MINE": "1"}), None),
    ],
)
def test_a_template_that_leads_runs_elsewhere_is_warned_of(runyard, home, tmp_path, change, warned):
    template = json.loads(runyard("work-pool", "get-default-base-job-template", "-t", "process").out)
    change(template, home)
    file = tmp_path / "template.json"
    file.write_text(json.dumps(template))
    made = runyard("work-pool", "create", "p", "-t", "process", "--base-job-template", file)
    changed = runyard("work-pool", "update", "p", "--base-job-template", file)
    for done in (made, changed):
        if warned is None:
            assert done.err == ""
        else:
            assert f"points its runs to {warned} than the one set here" in done.err
            assert "work pool p: the variable env." in done.err


def test_the_command_that_is_suggested_for_a_name_with_a_dash_makes_it(runyard):
    error = runyard("work-pool", "inspect", "--", "-x", code=1).err
    program, *words = shlex.split(error.partition("create it: ")[2])
    assert program == "runyard"
    runyard(*words)
    assert runyard("work-pool", "inspect", "-o", "json", "--", "-x").json["name"] == "-x"


def paused(runyard, kind="work-pool"):
    return sorted(each["name"] for each in runyard(kind, "ls", "-o", "json").json if each["is_paused"])


def test_several_pools_or_all_are_paused_and_resumed(runyard, pool):
    for name in ("second", "third"):
        runyard("work-pool", "create", name, "-t", "process")
    said = runyard("work-pool", "pause", "mine", "second").out
    assert said.startswith("Paused work pool 'mine'.\nPaused work pool 'second'.\n")
    assert said.endswith("no other run starts until: runyard work-pool resume mine second\n")
    assert paused(runyard) == ["mine", "second"]
    # Only those that were not paused.
    assert [each["name"] for each in runyard("work-pool", "pause", "--all", "-o", "json").json] == ["third"]
    assert "nothing changed" in runyard("work-pool", "pause", "-a").out
    runyard("work-pool", "resume", "--all")
    assert paused(runyard) == []
    # A misspelt name changes nothing.
    assert "did you mean 'second'" in runyard("work-pool", "pause", "mine", "secnd", code=1).err
    assert paused(runyard) == []
    assert runyard("work-pool", "pause", "mine", "-o", "json").json["is_paused"] is True
    for wrong in ([], ["mine", "--all"]):
        assert "Name work pools, or give --all." in runyard("work-pool", "resume", *wrong, code=2).err


def test_queues_of_a_pool_are_paused_by_name_id_or_all(runyard, pool):
    runyard("work-pool", "create", "other", "-t", "process")
    runyard("work-queue", "create", "urgent", "--pool", "mine", "--priority", 1)
    ids = {each["name"]: each["id"] for each in runyard("work-queue", "ls", "-p", "mine", "-o", "json").json}
    assert "Paused work queue 'mine/urgent'." in runyard("work-queue", "pause", ids["urgent"]).out
    assert paused(runyard, "work-queue") == ["urgent"]
    assert runyard("work-queue", "resume", ids["urgent"][:32], "-o", "json").json["is_paused"] is False
    said = runyard("work-queue", "pause", "--all", "--pool", "mine").out
    assert "until: runyard work-queue resume --all --pool mine" in said
    assert sorted(paused(runyard, "work-queue")) == ["default", "urgent"]
    runyard("work-queue", "resume", "--all")
    assert paused(runyard, "work-queue") == []
    assert "did you mean 'urgent'" in runyard("work-queue", "pause", "urgnt", code=1).err


def test_what_is_due_next_is_shown_in_the_zone_of_its_schedule(runyard, project):
    project({"name": "d", "schedules": [{"cron": "0 7 1 1 *", "timezone": "Europe/Berlin"}]})
    runyard("deploy", "--all")
    for words in (["work-pool", "inspect", "pool"], ["work-queue", "inspect", "default", "-p", "pool"]):
        shown = runyard(*words).out
        assert re.search(r"Next runs\n  in \d+ \w+  my-etl-flow/d  20\d\d-01-01 07:00:00 CET\n", shown), shown


def test_lists_of_workers_and_queues(runyard, store, pool):
    from runyard.operations.work_pools import workers

    for name, limit in (("w", 4), ("v", None)):
        body = workers.WorkerHeartbeat(name=name, heartbeat_interval_seconds=30, concurrency_limit=limit)
        store.call(workers.heartbeat_worker, "mine", body=body)
    lines = [line.split("\t")[:4] for line in runyard("worker", "ls", "--sort", "name").out.splitlines()]
    assert lines == [["v", "mine", "ONLINE", "0"], ["w", "mine", "ONLINE", "0 of 4"]]
    shown = runyard("worker", "inspect", "w").out
    assert shown.startswith("Worker w  ✓ ONLINE\n")
    assert "  Slots           0 of 4 in use\n" in shown
    assert "did you mean 'w'" in runyard("worker", "inspect", "ww", code=1).err
    (queue,) = runyard("work-queue", "ls").out.splitlines()
    assert queue.split("\t")[:5] == ["default", "mine", "1", "READY", "0"]


def test_a_deletion_tells_what_else_it_changes(runyard, project, monkeypatch):
    project({"name": "d"})
    runyard("deploy", "--all")
    runyard("deployment", "run", "d")
    asked = []
    monkeypatch.setattr("runyard_cli.shared.output.at_keyboard", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda question: asked.append(question))
    runyard("work-pool", "delete", "pool", code=1)
    assert asked == [
        "Delete work pool 'pool' and its queues? 1 deployment will have no work pool. "
        "1 waiting run will not start."
    ]
    assert runyard("work-pool", "delete", "pool", "-y", "-o", "json").json["name"] == "pool"
    assert runyard("work-pool", "ls", "-o", "json").json == []


def test_a_pool_that_exists_says_how_to_update_it(runyard, pool):
    error = runyard("work-pool", "create", "mine", "-t", "process", code=1).err
    assert "use --overwrite to update it" in error


@pytest.mark.parametrize("group", ["worker", "work-queue"])
def test_listing_workers_and_queues_loads_no_models(program, group):
    import subprocess
    import sys

    code = "import sys\nfrom runyard_cli.main import main\n"
    code += f"try: main([{group!r}, 'ls'])\nfinally: print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_message_names_a_few_of_many_pools(runyard):
    for number in range(7):
        runyard("work-pool", "create", f"pool-{number}", "-t", "process")
    error = runyard("work-queue", "inspect", "default", code=1).err
    assert error == (
        "Error: the pools pool-0, pool-1, pool-2, pool-3, pool-4 and 2 more have a queue 'default'; "
        "choose with --pool\n"
    )


def test_a_pool_shows_the_job_variables_that_are_its_own(runyard, tmp_path):
    template = json.loads(runyard("work-pool", "get-default-base-job-template", "-t", "process").out)
    template["variables"]["properties"]["env"]["default"] = {"REGION": "eu"}
    file = tmp_path / "template.json"
    file.write_text(json.dumps(template))
    runyard("work-pool", "create", "mine", "-t", "process", "--base-job-template", file)
    assert "\nJob variables\n  env:\n    REGION: eu\n" in runyard("work-pool", "inspect", "mine").out
    runyard("work-pool", "create", "plain", "-t", "process")
    assert "Job variables" not in runyard("work-pool", "inspect", "plain").out
    # A type that Runyard does not know has no values of its own.
    runyard("work-pool", "create", "other", "-t", "mine")
    assert runyard("work-pool", "inspect", "other").out.startswith("Work pool other")


def test_a_pool_shows_the_workers_that_are_online_and_counts_the_others(runyard, store, pool):
    from runyard.operations.work_pools import workers

    for name, stopped in (("here", False), ("gone", True), ("left", True)):
        body = workers.WorkerHeartbeat(name=name, concurrency_limit=2, stopped=stopped)
        store.call(workers.heartbeat_worker, "mine", body=body)
    shown = runyard("work-pool", "inspect", "mine").out
    assert re.search(
        r"\nWorkers\n  here  ✓ ONLINE  0 of 2 in use  (now|\d+ \w+ ago)\n"
        r"  2 offline: runyard worker ls --pool mine\n",
        shown,
    ), shown


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_workers_are_sorted_and_cut_in_every_form(runyard, store, pool, form):
    import yaml
    from runyard.operations.work_pools import workers

    runyard("work-pool", "create", "other", "-t", "process")
    for pool_name, name in (("mine", "b"), ("other", "c"), ("mine", "a")):
        store.call(workers.heartbeat_worker, pool_name, body=workers.WorkerHeartbeat(name=name))
    shown = yaml.safe_load(runyard("worker", "ls", "--sort", "-name", "--limit", 2, "-o", form).out)
    assert [each["name"] for each in shown] == ["c", "b"]
    assert shown[0]["heartbeat_interval_seconds"] is None
