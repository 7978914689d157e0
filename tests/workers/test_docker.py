"""The docker worker, on a real engine."""

from __future__ import annotations

import subprocess

import pytest
from _docker import need_docker
from _docker_yard import DockerYard, printed, run_all
from _yard import a_yard, until
from runyard.operations.records.stored_variables import (
    VariableCreate,
    create_variable,
    delete_variable_by_name,
)


@pytest.fixture
def yard(home, tmp_path):
    need_docker()
    with a_yard(tmp_path, DockerYard) as yard:
        yield yard


def test_runs_are_executed_with_all_that_they_record(yard):
    bad = yard.run(entrypoint="more.py:fails")
    run_all(yard)
    good = yard.run(entrypoint="more.py:tasks")
    run_all(yard)
    assert yard.state(good).type == "COMPLETED"
    assert yard.state(bad).type == "FAILED"
    assert "on purpose" in yard.state(bad).message
    messages = printed(yard, good)
    assert messages.count("a record") == messages.count("by another program") == 1
    with yard.client.database.transaction(write=False) as tx:
        assert tx.value("SELECT count(*) FROM task_runs WHERE state_type = 'COMPLETED'") == 3
    until(lambda: not yard.container(good), "the removal of the container")


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"image": "runyard-tests:none"}, "is not on this engine, and image_pull_policy is Never"),
        ({"image": "127.0.0.1:1/none:1", "image_pull_policy": "Always"}, "could not be pulled"),
        ({"command": "/no/such/program"}, "no such file or directory"),
        ({"networks": ["no-such-network"]}, "no-such-network"),
        ({"mem_limit": "many"}, "many"),
    ],
)
def test_what_cannot_start_is_crashed_with_the_reason(yard, variables, reason):
    run = yard.run(job_variables=variables)
    yard.worker()
    assert reason in yard.ended(run, "CRASHED").message
    assert reason in "\n".join(printed(yard, run))
    assert not yard.container(run)


def test_a_run_out_of_memory_is_told_as_such(yard):
    run = yard.run(entrypoint="more.py:eats", job_variables={"mem_limit": "150m", "memswap_limit": "150m"})
    yard.worker()
    assert "out of memory" in yard.ended(run, "CRASHED").message


@pytest.mark.parametrize(
    ("command", "reason"),
    [(("kill",), "in it was killed"), (("rm", "-f"), "its container ")],
)
def test_a_container_that_is_ended_behind_our_back(yard, command, reason):
    run = yard.run(crash_retries=1)
    yard.worker()
    until(lambda: yard.is_running(run), "the start")
    subprocess.run(["docker", *command, yard.container(run)], check=True, capture_output=True)
    until(lambda: len(yard.notes()) == 2, "the second attempt")
    yard.release()
    yard.ended(run, "COMPLETED")
    assert [attempt for attempt, _ in yard.notes()] == [1, 2]
    assert reason in yard.said()


def test_of_a_hundred_megabytes_and_more_the_first_and_the_last_are_kept(yard):
    run = yard.run(entrypoint="more.py:prints_much")
    run_all(yard)
    assert yard.state(run).type == "COMPLETED", yard.state(run)
    with yard.client.database.transaction(write=False) as tx:
        size = tx.value("SELECT sum(length(message)) FROM logs WHERE name = 'runyard.stdout'")
        kept = tx.all("SELECT message FROM logs WHERE flow_run_id = :run", {"run": run})
    assert 99_000_000 < size < 101_000_000
    assert any(row["message"].splitlines()[-1].endswith("the end") for row in kept if row["message"])


def test_a_thread_that_does_not_end_holds_no_slot(yard):
    run = yard.run(entrypoint="more.py:leaves_a_thread")
    run_all(yard)
    assert yard.state(run).type == "COMPLETED"


def test_secrets_that_a_run_loads_are_not_in_what_it_prints(yard):
    from runyard.blocks.system import Secret

    Secret(value="quite-a-secret").save("word")
    run = yard.run(entrypoint="more.py:tells_secret")
    yard.worker()
    container = until(lambda: yard.container(run), "the container")
    logs = subprocess.run(["docker", "logs", "-f", container], capture_output=True, text=True, check=False)
    yard.ended(run, "COMPLETED")
    until(lambda: "it is ********" in printed(yard, run), "what it prints")
    assert "quite-a-secret" not in logs.stdout + logs.stderr + yard.said()


def test_the_token_of_a_run_is_good_for_that_run(yard):
    other = yard.run(job_variables={"image": "runyard-tests:none"})
    run = yard.run(entrypoint="more.py:meddles", job_variables={"env": {"OTHER_RUN": other}})
    run_all(yard)
    kept = printed(yard, run)
    assert "may 200 200" in kept
    assert "may not 403 403 403 403" in kept
    assert "wrong 401 401 401" in kept


def test_a_run_is_adopted_whose_variables_have_no_value_any_more(yard):
    yard.client.call(create_variable, VariableCreate(name="fades", value="x"))
    run = yard.run(job_variables={"env": {"WORD": "{{ prefect.variables.fades }}"}})
    first = yard.worker()
    until(lambda: yard.is_running(run), "the start")
    first.kill()
    first.wait()
    yard.client.call(delete_variable_by_name, "fades")
    yard.worker("second")
    until(lambda: [one["owner"] for one in yard.leases()] == ["second"], "the adoption")
    yard.release()
    yard.ended(run, "COMPLETED")
    assert [attempt for attempt, _ in yard.notes()] == [1]
    until(lambda: "finished" in yard.said("second"), "the end as its worker tells it")
