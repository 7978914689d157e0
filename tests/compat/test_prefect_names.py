"""What Prefect's helper names do here: states, contexts, loggers, settings, limits and storages."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys

import pytest
from runyard import flow, tags, task
from runyard.base.errors import RunUnfinished
from runyard.base.exceptions import SerializationError, exception_traceback
from runyard.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from runyard.engine.results.result_stores import ResultStore
from runyard.prefect_names import context_names, loggers, state_names
from runyard.prefect_names import setting_names as prefect_settings


def _as_a_script(code):
    """What a script that imports Prefect prints."""
    start = "from runyard.compat import imports\nimports.install(deployed=True)\n"
    done = subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, check=True)
    return done.stdout


def test_modules_of_prefect_are_reached_without_importing_them(home):
    code = "import prefect\nprint(prefect.settings.PREFECT_LOGGING_LEVEL.value(), prefect.states.StateGroup)"
    assert _as_a_script(code) == "INFO <class 'runyard.prefect_names.state_names.StateGroup'>\n"


def test_the_version_is_the_one_of_the_prefect_that_is_offered(home):
    assert _as_a_script("import prefect\nprint(prefect.__version__)") == "3.8.8\n"


def test_the_modules_of_settings_are_found(home):
    code = """
from prefect.settings.context import get_current_settings, temporary_settings
from prefect.settings.profiles import load_profiles
import prefect.settings
with temporary_settings({prefect.settings.PREFECT_LOGGING_LEVEL: "DEBUG"}):
    print(prefect.settings.PREFECT_LOGGING_LEVEL.value())
print(get_current_settings is prefect.settings.get_current_settings)
print(load_profiles is prefect.settings.load_profiles)
"""
    assert _as_a_script(code) == "DEBUG\nTrue\nTrue\n"


@pytest.mark.parametrize(
    ("module", "instead"),
    [
        ("analytics", "remove it"),
        ("bundles.execute", "steps of prefect.yaml"),
        ("concurrency.services", "prefect.concurrency.sync.concurrency"),
        ("deployments.base", "runyard init"),
        ("deployments.schedules", "flow.serve"),
        ("logging.clients", "runyard flow-run logs"),
        ("settings.models.root", "runyard config view"),
        ("task_runs", "future.wait()"),
        ("telemetry.run_telemetry", "opentelemetry"),
        ("workers.base", "runyard worker start"),
    ],
)
def test_an_absent_module_says_what_to_use_instead(home, module, instead):
    code = f"""
try:
    import prefect.{module}
except ImportError as error:
    print(error)
"""
    said = _as_a_script(code)
    assert instead in said
    assert said.count("\n") == 1


def test_a_group_of_states_counts_them():
    group = state_names.StateGroup(
        [state_names.Completed(), state_names.Completed(), state_names.Failed(), state_names.Running()]
    )
    assert (group.total_count, group.fail_count, group.final_count, group.not_final_count) == (4, 1, 3, 1)
    assert (group.any_failed(), group.all_completed(), group.all_final()) == (True, False, False)
    assert (group.any_cancelled(), group.any_paused()) == (False, False)
    assert repr(group) == "StateGroup<total=4, not_final=1, 'COMPLETED'=2, 'FAILED'=1, 'RUNNING'=1>"
    assert state_names.StateGroup([]).all_completed()


def test_an_exception_becomes_a_state():
    failed = asyncio.run(state_names.exception_to_failed_state(ValueError("no"), message="Oh:", name="Odd"))
    assert (failed.type, failed.name, failed.message) == ("FAILED", "Odd", "Oh: ValueError: no")
    with pytest.raises(ValueError, match=r"\Ano\Z"):
        asyncio.run(state_names.araise_state_exception(failed))
    crashed = asyncio.run(state_names.exception_to_crashed_state(KeyboardInterrupt()))
    assert crashed.is_crashed()
    assert crashed.message == "Execution was aborted by an interrupt signal."
    assert isinstance(asyncio.run(state_names.aget_state_exception(crashed)), KeyboardInterrupt)
    asyncio.run(state_names.araise_state_exception(state_names.Completed()))


def test_the_exception_being_handled_becomes_a_state():
    async def handle():
        try:
            raise LookupError("gone")
        except LookupError:
            return await state_names.exception_to_failed_state()

    assert asyncio.run(handle()).message == "LookupError: gone"
    with pytest.raises(ValueError, match="no exception"):
        asyncio.run(state_names.exception_to_failed_state())


def test_a_proposal_is_made_of_a_state():
    created = state_names.to_state_create(state_names.Failed(message="no"))
    assert (created.type, created.name, created.message) == ("FAILED", "Failed", "no")


def test_the_state_of_a_run_that_is_not_over_has_no_result():
    with pytest.raises(RunUnfinished, match="it is Running"):
        state_names.Running().result()


def test_exceptions_as_text():
    with pytest.raises(ValueError, match="no") as caught:
        raise ValueError("no")
    error = caught.value
    assert state_names.format_exception(error) == "ValueError: no"
    assert "Traceback" in state_names.format_exception(error, error.__traceback__)
    assert exception_traceback(error).endswith("ValueError: no\n")


def test_contexts_by_their_other_names(home):
    @flow
    def outer():
        return isinstance(
            context_names.get_run_context(), context_names.RunContext
        ), context_names.EngineContext.get().flow.name

    assert outer() == (True, "outer")


def test_the_context_of_settings_names_the_profile(home):
    home.mkdir()
    (home / "profiles.toml").write_text(
        'active = "lab"\n[profiles.lab]\nPREFECT_LOGGING_LEVEL = "DEBUG"\n', "utf-8"
    )
    code = (
        "from prefect.context import get_settings_context\n"
        "found = get_settings_context()\n"
        "print(found.profile.name, found.profile.settings, found.settings.logging_level)\n"
    )
    assert _as_a_script(code) == "lab {'PREFECT_LOGGING_LEVEL': 'DEBUG'} DEBUG\n"


def test_every_name_of_a_setting_is_known(home):
    with prefect_settings.temporary_settings({"PREFECT_TASKS_DEFAULT_RETRIES": 3}):
        assert prefect_settings.PREFECT_TASK_DEFAULT_RETRIES.value() == 3
    assert prefect_settings.PREFECT_API_KEY.value() is None


def test_printing_reaches_the_logs_where_the_block_says_so(recorded):
    @flow(log_prints=True)
    def talk():
        with loggers.patch_print():
            print("in the block")
        loggers.print_as_log("directly")

    talk()
    kept = [row["message"] for row in recorded.rows("SELECT message FROM logs")]
    assert {"in the block", "directly"} <= set(kept)


def test_a_logger_is_silent_in_a_block(caplog):
    with loggers.disable_logger("some.library"):
        logging.getLogger("some.library").warning("unheard")
    logging.getLogger("some.library").warning("heard")
    assert [record.message for record in caplog.records] == ["heard"]


def test_a_handler_of_prefect_keeps_the_records_of_any_logger(recorded):
    from runyard.engine.logging.handlers import APILogHandler

    logger = logging.getLogger("another.library")
    handler = APILogHandler()
    logger.addHandler(handler)
    try:

        @flow
        def use():
            logger.error("from the library")

        use()
    finally:
        logger.removeHandler(handler)
    assert recorded.rows("SELECT count(*) AS n FROM logs WHERE message = 'from the library'")[0]["n"] == 1


def test_a_limit_of_a_deployment_as_an_object(recorded, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "etl.py").write_text("from runyard import flow\n\n\n@flow\ndef etl():\n    pass\n", "utf-8")
    limit = ConcurrencyLimitConfig(limit=2, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
    flow.from_source(str(tmp_path), "etl.py:etl").to_deployment("limited", concurrency_limit=limit).apply()
    (row,) = recorded.rows("SELECT concurrency_limit, concurrency_options FROM deployments")
    assert row["concurrency_limit"] == 2
    assert json.loads(row["concurrency_options"])["collision_strategy"] == "CANCEL_NEW"


def test_what_cannot_be_written_is_said(home):
    store = ResultStore(result_serializer="json")
    with pytest.raises(SerializationError, match=r"object cannot be written by the serializer 'json'"):
        store.write(object(), "key")


def test_a_storage_that_keeps_nothing(home):
    from runyard.blocks.filesystems import NullFileSystem

    @task(persist_result=True, result_storage=NullFileSystem())
    def compute():
        return 1

    @flow
    def ask():
        return compute(return_state=True)

    assert ask(return_state=True).is_completed()
    with pytest.raises(FileNotFoundError):
        NullFileSystem().read_path("any")


def test_settings_of_prefect_that_do_nothing_here_are_accepted(recorded, monkeypatch, caplog):
    names = prefect_settings
    monkeypatch.delenv("PREFECT_CLIENT_MAX_RETRIES", raising=False)
    assert names.PREFECT_CLIENT_MAX_RETRIES.value() is None
    updates = {names.PREFECT_CLIENT_MAX_RETRIES: 3, "PREFECT_SERVER_ANALYTICS_ENABLED": False}
    with names.temporary_settings(updates):
        assert names.PREFECT_CLIENT_MAX_RETRIES.value() == "3"
    assert names.PREFECT_CLIENT_MAX_RETRIES.value() is None
    assert any("PREFECT_CLIENT_MAX_RETRIES" in text and "without effect" in text for text in caplog.messages)
    with pytest.raises(AttributeError, match="PREFECT_NO_SUCH"):
        names.PREFECT_NO_SUCH  # noqa: B018  # looked up to see it refused


def test_profiles_by_prefects_names(home):
    home.mkdir()
    (home / "profiles.toml").write_text('active = "lab"\n[profiles.lab]\n[profiles.other]\n', "utf-8")
    code = (
        "from prefect.context import use_profile\n"
        "from prefect.settings import (PREFECT_LOGGING_LEVEL, load_current_profile, load_profiles, "
        "update_current_profile)\n"
        "found = load_profiles(include_defaults=False)\n"
        "print(sorted(found.names), found.active_name, found.active_profile.settings)\n"
        "update_current_profile({PREFECT_LOGGING_LEVEL: 'DEBUG'})\n"
        "print(load_current_profile().settings, PREFECT_LOGGING_LEVEL.value())\n"
        "with use_profile('other') as other: print(other.name, other.settings)\n"
        "with use_profile(found['lab']._replace(settings={'PREFECT_LOGGING_LEVEL': 'ERROR'})):\n"
        "    print(PREFECT_LOGGING_LEVEL.value())\n"
        "print(PREFECT_LOGGING_LEVEL.value())\n"
        "update_current_profile({PREFECT_LOGGING_LEVEL: None})\n"
        "print(PREFECT_LOGGING_LEVEL.value())\n"
    )
    assert _as_a_script(code) == (
        "['lab', 'other'] lab {}\n{'RUNYARD_LOGGING_LEVEL': 'DEBUG'} DEBUG\nother {}\nERROR\nDEBUG\nINFO\n"
    )


def test_facts_about_runs_by_functions(recorded):
    from runyard.engine.runtime import flow_run, task_run

    @task
    def inner():
        return task_run.get_name(), flow_run.get_id() == flow_run.id

    @flow(flow_run_name="named")
    def outer():
        return (
            flow_run.get_name(),
            flow_run.get_tags(),
            flow_run.get_scheduled_start_time() is not None,
            inner(),
        )

    with tags("a"):
        name, given, has_time, (of_task, same) = outer()
    assert (name, given, has_time, same) == ("named", ["a"], True, True)
    assert of_task.startswith("inner")
    assert flow_run.get_id() is None
