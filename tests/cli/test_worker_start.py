"""`runyard worker start`: what is misspelt is said, not made."""

from __future__ import annotations


def test_a_misspelt_pool_is_refused_and_a_new_one_made(program, runyard):
    runyard("work-pool", "create", "my-pool", "--type", "process")
    refused = program("worker", "start", "--pool", "my-pol", "--run-once", code=1)
    assert "did you mean 'my-pool'?" in refused.err
    assert [pool["name"] for pool in runyard("work-pool", "ls", "-o", "json").json] == ["my-pool"]
    assert "was created" in program("worker", "start", "--pool", "elsewhere", "--run-once").out
    refused = program(
        "worker", "start", "--pool", "third", "--run-once", "--no-create-pool-if-not-found", code=1
    )
    assert "work-pool create third" in refused.err


def test_a_queue_that_is_not_there_is_said(program, runyard):
    runyard("work-pool", "create", "my-pool", "--type", "process")
    runyard("work-queue", "create", "urgent", "--pool", "my-pool")
    told = program("worker", "start", "--pool", "my-pool", "--work-queue", "urgnt", "--run-once", code=1).err
    assert "no queue 'urgnt'; did you mean 'urgent'?" in told
    shown = program("worker", "start", "--pool", "my-pool", "--work-queue", "urgent", "--run-once").out
    assert "no queue" not in shown


def test_a_worker_that_runs_once_serves_no_tasks(runyard):
    told = runyard("worker", "start", "-p", "pool", "--run-once", "--task", "jobs.py:double", code=2).err
    assert "leave out --run-once" in told


def test_a_worker_without_a_name_gets_one_of_its_host_and_process(program, runyard):
    import re
    import socket

    said = program("worker", "start", "--pool", "mine", "--run-once").out
    (name,) = re.findall(r"Worker '(.+)' started!", said)
    host = "".join(c for c in socket.gethostname().partition(".")[0] if c.isalnum() or c in "-_")[:20]
    assert re.fullmatch(re.escape(host or "worker") + r"-\d+-[0-9a-f]{4}", name)
    assert [each["name"] for each in runyard("worker", "ls", "-o", "json").json] == [name]


def test_wrong_usage(runyard):
    told = runyard("worker", "start", code=2).err
    assert "Missing option '-p' / '--pool'; see: runyard work-pool ls" in told
    both = ["--create-pool-if-not-found", "--no-create-pool-if-not-found"]
    assert "exclude each other" in runyard("worker", "start", "-p", "pool", *both, code=2).err
