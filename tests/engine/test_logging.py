"""Logs of runs: `print` and its arguments, child loggers, loggers named `prefect.*`, and pytest's caplog."""

from __future__ import annotations

import builtins
import logging
import logging.config
import subprocess
import sys
import textwrap
import threading
from abc import ABC, abstractmethod

import pytest
from runyard import flow, get_run_logger, task
from runyard.base.errors import ParameterError
from runyard.engine.logging import FLOW_RUNS


class Noting(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


@pytest.fixture
def noted():
    """What the loggers of flow runs write while the test runs."""
    handler = Noting()
    logging.getLogger(FLOW_RUNS).addHandler(handler)
    yield handler.records
    logging.getLogger(FLOW_RUNS).removeHandler(handler)


def test_print_takes_its_own_arguments(recorded, capsys, tmp_path):
    @flow(log_prints=True)
    def prints():
        print("a", 1, sep="-", end="!\n")
        print()
        print("no newline", end="")
        print("a\nb", None, sep="|", flush=True)
        print("given", file=sys.stdout)
        print("elsewhere", file=sys.stderr)
        with pytest.raises(TypeError, match="bogus"):
            print("x", bogus=1)
        with pytest.raises(TypeError, match="sep"):
            print("x", sep=1)

    prints()
    texts = [text for text in recorded.logs() if not text.startswith(("Beginning", "Finished"))]
    assert texts == ["a-1!\n", "", "no newline", "a\nb|None", "given"]
    out = capsys.readouterr()
    assert out.out == ""
    assert "elsewhere\n" in out.err


def test_a_printed_line_is_known_by_the_place_that_printed_it(recorded, noted):
    @flow(log_prints=True)
    def prints():
        print("here")

    prints()
    (record,) = [record for record in noted if record.getMessage() == "here"]
    place = (record.pathname, record.lineno, record.funcName)
    assert place == (__file__, prints.fn.__code__.co_firstlineno + 2, "prints")


def test_print_is_what_it_was_when_the_last_run_is_over(recorded):
    before = builtins.print
    began, end = threading.Event(), threading.Event()

    @task(log_prints=True)
    def waits():
        began.set()
        end.wait(60)
        return builtins.print is not before

    @flow(log_prints=True)
    def inner():
        raise ValueError

    @flow
    def outer():
        future = waits.submit()
        began.wait(60)
        inner(return_state=True)
        assert builtins.print is not before
        end.set()
        return future.result()

    assert outer()
    assert builtins.print is before


def test_a_print_that_the_user_replaced_stays(recorded, monkeypatch):
    said = []

    @flow(log_prints=True)
    def replaces():
        monkeypatch.setattr(builtins, "print", lambda *values: said.append(values))
        print("mine")

    replaces()
    print("still mine")
    assert said == [("mine",), ("still mine",)]


def test_a_child_of_the_runs_logger_belongs_to_the_run(recorded):
    @flow
    def logs():
        get_run_logger().getChild("part", {"more": 1}).info("from the part")

    logs()
    (row,) = recorded.rows("SELECT * FROM logs WHERE message = 'from the part'")
    assert (row["name"], row["flow_run_id"]) == (f"{FLOW_RUNS}.part", recorded.flow_runs()[0]["id"])


def test_caplog_sees_the_logs_of_runs(recorded, caplog):
    @task
    def work():
        get_run_logger().info("from the task")

    @flow
    def logs():
        get_run_logger().warning("from the flow")
        work()

    with caplog.at_level(logging.INFO):
        logs()
    assert [text for text in caplog.messages if text.startswith("from")] == ["from the flow", "from the task"]


def ran(home, code):
    """A script's output and errors; it runs in a process of its own, whose logging it configures."""
    code = "from runyard.compat import imports; imports.install()\n" + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


FLOW = """
    from prefect import flow, get_run_logger

    @flow
    def logs():
        get_run_logger().debug("at debug")
        get_run_logger().info("at info")
        get_run_logger().warning("at warning")
    """


def test_loggers_named_prefect_are_configured_before_the_run(home):
    out, err = ran(
        home,
        f"""
        import logging, sys
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter("mine %(name)s %(message)s"))
        logging.getLogger("prefect.flow_runs").addHandler(handler)
        logging.getLogger("prefect").setLevel("DEBUG")
        {textwrap.indent(textwrap.dedent(FLOW), "        ").strip()}
        logs()
        logging.getLogger("prefect.mine").info("of my own")
        """,
    )
    assert "mine runyard.flow_runs at debug" in out
    assert "at debug" in err
    assert "of my own" in err


def test_loggers_named_prefect_are_configured_between_runs(home):
    out, err = ran(
        home,
        f"""
        import logging, sys
        early = logging.getLogger("prefect.flow_runs")
        {textwrap.indent(textwrap.dedent(FLOW), "        ").strip()}
        logs()
        early.setLevel("WARNING")
        early.addHandler(logging.StreamHandler(sys.stdout))
        logs()
        """,
    )
    assert out == "at warning\n"
    assert err.count("at info") == 1


def test_a_dictionary_that_configures_logging_loses_no_records(recorded):
    @flow
    def logs():
        get_run_logger().info("kept")

    logs()
    own = {"handlers": [], "level": "INFO"}
    loggers = {"prefect": own, "runyard": own}
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, "loggers": loggers})
    logs()
    assert recorded.logs().count("kept") == 2


def test_an_abstract_task_makes_its_class_abstract():
    class Abstract(ABC):
        @task
        @abstractmethod
        def work(self): ...

        @flow
        @abstractmethod
        def runs(self): ...

    class Concrete(Abstract):
        @task
        def work(self):
            return "done"

        def runs(self):
            return None

    with pytest.raises(TypeError, match=r"abstract.* runs.*work"):
        Abstract()
    assert Concrete().work.fn() == "done"


def test_an_annotation_that_pydantic_refuses_is_told_in_one_line(recorded):
    from typing import Required

    def work(options):
        return options["a"]

    work.__annotations__["options"] = Required[int]  # goes with the fields of a TypedDict alone
    with pytest.raises(ParameterError, match=r"flow 'work'.*Required") as caught:
        flow(work)({"a": 1})
    assert "\n" not in str(caught.value)
    assert flow(work, validate_parameters=False)({"a": 1}) == 1
