"""Secrets that a run passes on: in its parameters, in states that it returns, in what a script logs."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from pydantic import BaseModel, SecretStr
from runyard import flow, get_run_logger, task
from runyard.base import redaction
from runyard.base.errors import ParameterError
from runyard.blocks.system import Secret
from runyard.domain.states import Completed, Failed
from runyard.engine.task_runners import ProcessPoolTaskRunner

CLEAR = 'hunter2-the-whole"secret'


class Login(BaseModel):
    user: str
    password: SecretStr


@pytest.fixture(autouse=True)
def _nothing_known(home):
    """Each test starts in a process that holds no secrets."""
    redaction._known.clear()
    yield
    redaction._known.clear()


def kept(home):
    """Every byte that the home holds, also in the write-ahead log."""
    return b"".join(path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file())


def test_parameters_of_secret_types_are_stars(home, recorded):
    @flow
    def main(password: SecretStr, login: Login, several: list[SecretStr]):
        values = (password, login.password, several[0])
        return all(value.get_secret_value() == CLEAR for value in values)

    assert main(CLEAR, {"user": "me", "password": CLEAR}, [CLEAR]) is True
    parameters = json.loads(recorded.flow_runs()[0]["parameters"])
    assert parameters["login"] == {"user": "me", "password": "**********"}
    assert b"hunter2" not in kept(home)


def test_parameters_that_are_refused_are_stars_too(home, recorded):
    @flow
    def main(password: SecretStr, login: Login, number: int):
        raise AssertionError

    with pytest.raises(ParameterError, match="number"):
        main(CLEAR, {"name": "me", "password": CLEAR}, "many")
    parameters = json.loads(recorded.flow_runs()[0]["parameters"])
    assert parameters == {"password": "**********", "login": "********", "number": "many"}
    assert b"hunter2" not in kept(home)


def test_a_loaded_secret_given_to_a_subflow_is_stars(home, recorded):
    Secret(value=CLEAR).save("key")
    Secret(value="1234").save("pin")

    @flow
    def inner(key: str, options: dict, number: int):
        return key, options["key"], number

    @flow
    def outer():
        key, _pin = Secret.load("key").get(), Secret.load("pin").get()
        return inner(key, {"key": [key]}, 12345)

    assert outer() == (CLEAR, [CLEAR], 12345)
    parameters = json.loads(recorded.flow_runs("inner")[0]["parameters"])
    assert parameters == {"key": "********", "options": {"key": ["********"]}, "number": 12345}
    assert b"hunter2" not in kept(home)


def test_names_made_of_secrets_are_stars(home, recorded):
    Secret(value=CLEAR).save("key")

    @task(task_run_name="with-{key}")
    def work(key):
        pass

    @flow(flow_run_name=lambda parameters: f"for-{parameters['key']}")
    def inner(key):
        work(key)

    @flow
    def outer():
        inner(Secret.load("key").get())

    outer()
    assert [run["name"] for run in recorded.flow_runs("inner")] == ["for-********"]
    assert "with-********" in [run["name"] for run in recorded.task_runs()]
    assert b"hunter2" not in kept(home)


@pytest.mark.parametrize("make", [Completed, Failed])
def test_states_made_by_hand_tell_no_secret(home, recorded, make):
    Secret(value=CLEAR).save("key")

    @task
    def inside():
        return make(message=f"with {Secret.load('key').get()}")

    @flow
    def main():
        inside(return_state=True)
        return make(message=f"with {Secret.load('key').get()}")

    main(return_state=True)
    assert recorded.state(recorded.task_runs()[0])["message"] == "with ********"
    assert recorded.state(recorded.flow_runs()[0])["message"] == "with ********"
    assert b"hunter2" not in kept(home)


def test_a_script_shows_no_secret_in_its_log(home):
    Secret(value=CLEAR).save("key")
    script = home / "script.py"
    script.write_text(
        "from runyard import flow, get_run_logger\n"
        "from runyard.blocks.system import Secret\n"
        "@flow(log_prints=True)\n"
        "def main():\n"
        "    key = Secret.load('key').get()\n"
        "    print('printed', key)\n"
        "    get_run_logger().warning('logged %s', key)\n"
        "    try:\n"
        "        raise KeyError(key)\n"
        "    except KeyError:\n"
        "        get_run_logger().exception('caught')\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=dict(os.environ))
    shown = done.stdout + done.stderr
    assert done.returncode == 0, shown
    assert "printed ********" in shown
    assert "logged ********" in shown
    assert "hunter2" not in shown


@task
def told(key):
    get_run_logger().info("told %s", key)
    raise ValueError(key)


@task
def learns():
    return Secret.load("other").get()


def test_tasks_in_other_processes_know_the_secrets(home, recorded):
    Secret(value=CLEAR).save("key")
    Secret(value="swordfish-of-the-child").save("other")
    redaction._known.clear()

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
    def main():
        told.submit(Secret.load("key").get()).wait()
        get_run_logger().info("learned %s", learns.submit().result())

    main()
    logs = "\n".join(recorded.logs())
    assert "told ********" in logs
    assert "learned ********" in logs
    assert b"hunter2" not in kept(home)
    assert b"swordfish" not in kept(home)
