"""Logging as scripts for Prefect configure it: formatters, files, eavesdropping."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys

import pytest
from runyard.base.errors import SettingError
from runyard.engine.logging.eavesdropping import LogEavesdropper
from runyard.engine.logging.handlers import ConsoleHandler
from runyard.prefect_names.logs.configuration import DEFAULT_LOGGING_SETTINGS_PATH, load_logging_config
from runyard.prefect_names.logs.formatters import JsonFormatter, PrefectFormatter

START = "from runyard.compat import imports\nimports.install(deployed=True)\n"
FLOW = """
from prefect import flow, get_run_logger, task

@task
def step():
    get_run_logger().info("in the task")

@flow(flow_run_name="one")
def etl():
    get_run_logger().info("in the flow")
    step()

etl()
"""


def _said(code):
    done = subprocess.run([sys.executable, "-c", START + code], capture_output=True, text=True, check=True)
    return done.stderr


def _record(name, **fields):
    record = logging.LogRecord(name, logging.INFO, "f.py", 1, "hello %s", ("you",), None)
    record.__dict__.update(fields)
    return record


def test_a_format_for_each_kind_of_record():
    formatter = PrefectFormatter(
        "%(name)s - %(message)s",
        flow_run_fmt="%(flow_run_name)s: %(message)s",
        task_run_fmt="%(task_run_name)s/%(message)s",
        datefmt="%H",
    )
    assert formatter.format(_record("other")) == "other - hello you"
    assert formatter.format(_record("prefect.flow_runs", flow_run_name="one")) == "one: hello you"
    assert formatter.format(_record("prefect.task_runs", task_run_name="two")) == "two/hello you"
    with pytest.raises(ValueError, match="format"):
        PrefectFormatter("%(name)s", task_run_fmt="nothing in it")


def test_the_time_is_shown_where_one_format_asks_for_it():
    formatter = PrefectFormatter("%(message)s", flow_run_fmt="%(asctime)s|%(message)s", datefmt="now")
    assert formatter.format(_record("prefect.flow_runs")) == "now|hello you"
    assert formatter.format(_record("other")) == "hello you"


def test_records_as_json():
    try:
        raise ValueError("no")
    except ValueError:
        record = _record("x", exc_info=sys.exc_info(), odd=object())
    told = json.loads(JsonFormatter("default", None, "%").format(record))
    assert (told["message"], told["levelname"], told["exc_info"]["type"]) == (
        "hello you",
        "INFO",
        "ValueError",
    )
    assert "test_logging_names.py" in told["exc_info"]["traceback"]
    assert JsonFormatter("pretty").format(_record("x")).count("\n") > 5


def test_the_consoles_handler_takes_a_formatter_and_a_file():
    file = io.StringIO()
    handler = ConsoleHandler(stream=file, level="WARNING")
    handler.setFormatter(logging.Formatter("<%(message)s>"))
    handler.handle(_record("x"))
    assert file.getvalue() == "<hello you>\n"
    assert handler.level == logging.WARNING


def test_the_configuration_of_a_program_is_kept_through_its_runs(home):
    code = (
        "import logging.config\n"
        "from prefect.logging.configuration import DEFAULT_LOGGING_SETTINGS_PATH, load_logging_config\n"
        "config = load_logging_config(DEFAULT_LOGGING_SETTINGS_PATH)\n"
        "config['formatters']['standard']['flow_run_fmt'] = 'FLOW %(flow_run_name)s %(message)s'\n"
        "config['formatters']['standard']['task_run_fmt'] = 'TASK %(message)s'\n"
        "logging.config.dictConfig(config)\n"
    )
    lines = _said(code + FLOW).splitlines()
    assert lines.count("FLOW one in the flow") == 1
    assert lines.count("TASK in the task") == 1
    assert not [line for line in lines if "Flow run 'one' - in the flow" in line]


def test_a_handler_of_the_console_made_by_hand(home):
    code = (
        "import logging\n"
        "from prefect.logging.formatters import PrefectFormatter\n"
        "from prefect.logging.handlers import PrefectConsoleHandler\n"
        "handler = PrefectConsoleHandler()\n"
        "handler.setFormatter(PrefectFormatter('%(message)s', flow_run_fmt='F %(message)s'))\n"
        "logging.getLogger('prefect').addHandler(handler)\n"
    )
    assert _said(code + FLOW).splitlines().count("F in the flow") == 1


def test_setting_up_twice_writes_once(home):
    code = (
        "from prefect.logging.configuration import ensure_logging_setup, setup_logging\n"
        "assert setup_logging()['version'] == 1\nsetup_logging()\nensure_logging_setup()\n"
    )
    assert _said(code + FLOW).count("in the flow") == 1


def test_a_file_of_logging(home, tmp_path, monkeypatch):
    monkeypatch.setenv("RUNYARD_LOGGING_LEVEL", "debug")
    monkeypatch.setenv("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "ERROR")
    monkeypatch.setenv("PREFECT_LOGGING_LOGGERS_PREFECT_FLOW_RUNS_HANDLERS", "api, console")
    found = load_logging_config(DEFAULT_LOGGING_SETTINGS_PATH)
    assert found["loggers"]["prefect"]["level"] == "DEBUG"
    assert found["handlers"]["console"]["level"] == "ERROR"
    assert found["loggers"]["prefect.flow_runs"]["handlers"] == ["api", "console"]
    with pytest.raises(SettingError, match="No such file"):
        load_logging_config(tmp_path / "none.yml")
    for text in ("a: [", "- a\n"):
        (tmp_path / "bad.yml").write_text(text, "utf-8")
        with pytest.raises(SettingError, match=r"bad\.yml"):
            load_logging_config(tmp_path / "bad.yml")


def test_a_logger_is_listened_to():
    logger = logging.getLogger("some.chatty.library")
    before = logger.level
    with LogEavesdropper("some.chatty.library", level=logging.DEBUG) as heard:
        logger.debug("one")
        logger.error("two")
    logger.error("three")
    assert heard.text() == "one\ntwo"
    assert logger.level == before
