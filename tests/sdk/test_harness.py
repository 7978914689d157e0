"""`runyard.sdk.testing.harness`: a home of its own for each test, and nothing left of it."""

from __future__ import annotations

import os

import pytest
from runyard import flow, settings, task
from runyard.base.errors import SettingError
from runyard.client import connect
from runyard.operations.flow_runs.flow_runs import count_flow_runs
from runyard.operations.schemas import Filter
from runyard.sdk.testing import harness, prefect_test_harness
from runyard.sdk.variables import Variable

pytestmark = pytest.mark.usefixtures("home")


@task
def double(x):
    return 2 * x


@flow
def main(x):
    return double(x)


def runs():
    return connect().call(count_flow_runs, Filter())


def test_each_has_a_home_of_its_own(home):
    main(1)
    with harness() as first:
        assert settings.home() == str(first)
        assert runs() == 0
        assert main(2) == 4
        double(1)
        Variable.set("x", 1)
        assert runs() == 1
    with harness() as second:
        assert runs() == 0
        assert Variable.get("x") is None
    assert runs() == 1
    assert settings.home() == str(home)
    assert not first.exists()
    assert not second.exists()


def test_settings_of_the_developer_do_not_count(monkeypatch):
    monkeypatch.setenv("RUNYARD_API_URL", "http://127.0.0.1:1/api")
    monkeypatch.setenv("PREFECT_TASK_DEFAULT_RETRIES", "7")
    with harness(task_default_retries=2):
        assert settings.get("api_url") == ""
        assert settings.get("task_default_retries") == 2
        main(1)
    assert os.environ["RUNYARD_API_URL"] == "http://127.0.0.1:1/api"
    with pytest.raises(SettingError, match="unknown setting 'nothing'"), harness(nothing=1):
        pass


def test_an_error_inside_leaves_nothing_behind():
    @flow
    def fails():
        raise ZeroDivisionError

    with harness() as home:
        with pytest.raises(ZeroDivisionError):
            fails()
        assert home.exists()
    assert not home.exists()


def test_prefects_name_for_it():
    with prefect_test_harness(server_startup_timeout=60):
        assert runs() == 0


def test_the_bare_function_needs_no_home():
    assert main.fn is not None
    assert double.fn(2) == 4
