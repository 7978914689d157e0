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
