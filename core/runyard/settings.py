"""The settings: one table of names, types, defaults and helps, read from the environment.

A setting `lease` is given by `RUNYARD_LEASE`; where Prefect has the same one, `PREFECT_LEASE` counts
as well, after ours. Values are read when asked for, so a test or a run may change the environment.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from runyard.errors import SettingError


class Setting(NamedTuple):
    """One row of the table. `kind` is str, int, float or bool; `alias` the name Prefect gives it."""

    kind: type
    default: Any
    help: str
    alias: str | None = None
    secret: bool = False


SETTINGS: dict[str, Setting] = {
    "home": Setting(str, "~/.runyard", "Folder of the database, the results and the logs."),
    "database_url": Setting(
        str,
        "",
        "sqlite:///FILE or postgresql://...; by default the file runyard.db in the home.",
        "PREFECT_API_DATABASE_CONNECTION_URL",
        secret=True,
    ),
    "database_timeout_seconds": Setting(float, 60.0, "How long to wait for another process that is writing."),
    "encryption_key": Setting(
        str,
        "",
        "The key of the secrets, or several, the newest first; by default the file secret.key in the home.",
        "PREFECT_API_ENCRYPTION_KEY",
        secret=True,
    ),
    "api_url": Setting(
        str,
        "",
        "The API to talk to, such as http://127.0.0.1:4200/api; empty: no server.",
        "PREFECT_API_URL",
    ),
    "ui_url": Setting(str, "", "Where people see runs; by default beside the API.", "PREFECT_UI_URL"),
    "api_auth_string": Setting(str, "", "user:password for the API.", "PREFECT_API_AUTH_STRING", secret=True),
    "logging_level": Setting(
        str, "INFO", "Least level of the log records shown and kept.", "PREFECT_LOGGING_LEVEL"
    ),
    "logging_extra_loggers": Setting(
        str,
        "",
        "Comma-separated loggers whose records belong to the run as well.",
        "PREFECT_LOGGING_EXTRA_LOGGERS",
    ),
    "prefect_imports": Setting(
        str,
        "auto",
        "Whether `import prefect` gives Runyard: always, never, or auto (where the real one is not "
        "installed, and always for deployed flows).",
    ),
    "default_work_pool_name": Setting(
        str, "", "The pool of deployments that name none.", "PREFECT_DEFAULT_WORK_POOL_NAME"
    ),
    "worker_lease_seconds": Setting(
        float, 15.0, "How long after its last sign of life a worker's runs are taken as lost."
    ),
    "worker_heartbeat_seconds": Setting(
        float, 5.0, "How often a worker says that it is alive.", "PREFECT_WORKER_HEARTBEAT_SECONDS"
    ),
    "worker_poll_seconds": Setting(
        float, 0.05, "How often an idle worker looks whether the database changed."
    ),
    "worker_shutdown_grace_seconds": Setting(
        float, 30.0, "How long a stopping worker lets its runs finish before it cancels them."
    ),
    "worker_kill_grace_seconds": Setting(
        float, 10.0, "How long a cancelled run has between SIGTERM and SIGKILL."
    ),
    "worker_webserver_host": Setting(
        str, "127.0.0.1", "Address of the health check.", "PREFECT_WORKER_WEBSERVER_HOST"
    ),
    "worker_webserver_port": Setting(int, 8080, "Port of the health check.", "PREFECT_WORKER_WEBSERVER_PORT"),
    "flow_lease_seconds": Setting(float, 60.0, "The same for a flow started by hand, without a worker."),
    "flow_default_crash_retries": Setting(
        int, 0, "How often a run whose process was lost starts again, where its deployment is silent."
    ),
    "scheduler_late_seconds": Setting(
        float,
        15.0,
        "How long after its time a waiting run is called Late.",
        "PREFECT_API_SERVICES_LATE_RUNS_AFTER_SECONDS",
    ),
    "journal_flush_seconds": Setting(
        float, 0.02, "How late at most what a run does is written to the database."
    ),
    "journal_max_records": Setting(
        int, 20_000, "How many records may wait for a slow disk before the run waits too."
    ),
    "flow_default_retries": Setting(
        int, 0, "Retries of flows that name none.", "PREFECT_FLOW_DEFAULT_RETRIES"
    ),
    "task_default_retries": Setting(
        int, 0, "Retries of tasks that name none.", "PREFECT_TASK_DEFAULT_RETRIES"
    ),
    "results_persist_by_default": Setting(
        bool,
        False,
        "Whether flows and tasks that do not say keep their results.",
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT",
    ),
    "results_default_serializer": Setting(
        str,
        "pickle",
        "How results are written: pickle, json, compressed/pickle or compressed/json.",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER",
    ),
    "results_local_storage_path": Setting(
        str,
        "",
        "Folder of large results; by default the folder storage in the home.",
        "PREFECT_LOCAL_STORAGE_PATH",
    ),
    "results_inline_bytes": Setting(
        int, 65_536, "Results up to this size are kept in the database, larger ones in files."
    ),
    "tasks_refresh_cache": Setting(
        bool,
        False,
        "Whether tasks that do not say compute their results anew.",
        "PREFECT_TASKS_REFRESH_CACHE",
    ),
    "task_runner_max_workers": Setting(
        int,
        0,
        "Threads for submitted tasks; 0: four times the cores, at least 16.",
        "PREFECT_TASK_RUNNER_THREAD_POOL_MAX_WORKERS",
    ),
    "debug": Setting(bool, False, "Show tracebacks of Runyard's own errors.", "PREFECT_DEBUG_MODE"),
}

_TRUE = frozenset(("1", "true", "yes", "on"))
_FALSE = frozenset(("0", "false", "no", "off", ""))


def get(name: str) -> Any:
    """The value of a setting.

    Args:
        name: a key of SETTINGS.

    Raises:
        SettingError: the environment gives a value of the wrong type.
    """
    setting = SETTINGS[name]
    for variable in (f"RUNYARD_{name.upper()}", setting.alias):
        text = os.environ.get(variable) if variable else None
        if text is not None and variable is not None:
            return _parse(variable, text, setting.kind)
    return setting.default


def home() -> str:
    """The absolute path of the home folder, which need not exist yet."""
    return os.path.abspath(os.path.expanduser(get("home")))


def database_url() -> str:
    """The database to use: the setting, or the file `runyard.db` in the home."""
    return get("database_url") or f"sqlite:///{os.path.join(home(), 'runyard.db')}"


def _parse(variable: str, text: str, kind: type) -> Any:
    word = text.strip()
    if kind is bool:
        if word.lower() in _TRUE:
            return True
        if word.lower() in _FALSE:
            return False
    else:
        try:
            return kind(word)
        except ValueError:
            pass
    wanted = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
    raise SettingError(f"{variable}={text!r} is not {wanted}")
