"""The settings: one table of names, types, defaults and helps, and what gives each its value.

A setting `lease` is given by `RUNYARD_LEASE`; where Prefect has the same one, `PREFECT_LEASE` counts
as well, after ours. The environment is read when a value is asked for, so a test or a run may change
it. What it does not give may stand in files (`.env`, `runyard.toml`, `prefect.toml`, `pyproject.toml`,
the active profile: see `settings_sources`), which are read once, when the first value is asked for.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from runyard.errors import SettingError
from runyard.settings_values import converted


class Setting(NamedTuple):
    """One row of the table.

    `kind` is str, int, float or bool; `alias` the name Prefect gives it, `also` its other names there;
    `choices` the only values of a text, in any case; `least` the smallest number.
    """

    kind: type
    default: Any
    help: str
    alias: str | None = None
    secret: bool = False
    also: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    least: float | None = None


class Given(NamedTuple):
    """A value that something gives to a setting: `source` in words, `place` exactly, `key` as written."""

    value: Any
    source: str
    place: str
    key: str


_PARTITION = ("stop", "continue")
SETTINGS: dict[str, Setting] = {
    "home": Setting(str, "~/.runyard", "Folder of the database, the results and the logs."),
    "database_url": Setting(
        str,
        "",
        "sqlite:///FILE or postgresql://...; by default the file runyard.db in the home.",
        "PREFECT_API_DATABASE_CONNECTION_URL",
        secret=True,
        also=("PREFECT_SERVER_DATABASE_CONNECTION_URL",),
    ),
    "database_timeout_seconds": Setting(float, 60.0, "How long to wait for another process that is writing."),
    "encryption_key": Setting(
        str,
        "",
        "The key of the secrets, or several, the newest first; by default the file secret.key in the home.",
        "PREFECT_API_ENCRYPTION_KEY",
        secret=True,
    ),
    "api_url": Setting(str, "", "The API, as http://127.0.0.1:4200/api; empty: none.", "PREFECT_API_URL"),
    "ui_url": Setting(str, "", "Where people see runs; by default beside the API.", "PREFECT_UI_URL"),
    "api_auth_string": Setting(str, "", "user:password for the API.", "PREFECT_API_AUTH_STRING", secret=True),
    "server_allowed_hosts": Setting(
        str, "", "Comma-separated names by which callers may know the API, besides loopback's; * for any."
    ),
    "server_max_body_bytes": Setting(int, 8_388_608, "The largest body that the API takes.", least=1024),
    "logging_level": Setting(
        str,
        "INFO",
        "Least level of the log records shown and kept.",
        "PREFECT_LOGGING_LEVEL",
        choices=("debug", "info", "warning", "warn", "error", "critical", "fatal", "notset"),
    ),
    "logging_log_prints": Setting(
        bool,
        False,
        "Whether `print` goes to the logs of runs that do not say.",
        "PREFECT_LOGGING_LOG_PRINTS",
    ),
    "logging_extra_loggers": Setting(
        str,
        "",
        "Comma-separated loggers whose records belong to the run as well.",
        "PREFECT_LOGGING_EXTRA_LOGGERS",
    ),
    "logging_max_megabytes_per_run": Setting(
        float, 100.0, "How much of a run's logs is kept, besides the end of them; 0: all.", least=0
    ),
    "prefect_imports": Setting(
        str,
        "auto",
        "Whether `import prefect` gives Runyard: always, never, or auto (where the real one is not "
        "installed, and always for deployed flows).",
        choices=("always", "never", "auto"),
    ),
    "default_work_pool_name": Setting(
        str,
        "",
        "The pool of deployments that name none.",
        "PREFECT_DEFAULT_WORK_POOL_NAME",
        also=("PREFECT_DEPLOYMENTS_DEFAULT_WORK_POOL_NAME",),
    ),
    "takeover_after_seconds": Setting(
        float, 120.0, "How long without a sign of life before a run in doubt is taken over.", least=1
    ),
    "on_partition": Setting(
        str, "stop", "What a worker that cannot renew does: stop its runs, or continue.", choices=_PARTITION
    ),
    "worker_lease_seconds": Setting(
        float, 15.0, "A worker renews and looks for lost runs every third of it, at most every 5 s."
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
    "flow_lease_seconds": Setting(float, 120.0, "As takeover_after_seconds, for a flow started by hand."),
    "flow_default_crash_retries": Setting(
        int, 0, "How often a run whose process was lost starts again, where its deployment is silent."
    ),
    "scheduler_late_seconds": Setting(
        float,
        15.0,
        "How long after its time a waiting run is called Late.",
        "PREFECT_API_SERVICES_LATE_RUNS_AFTER_SECONDS",
        also=("PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS",),
    ),
    "journal_flush_seconds": Setting(
        float, 0.02, "How late at most what a run does is written to the database."
    ),
    "journal_max_records": Setting(
        int, 20_000, "How many records may wait for a slow disk before the run waits too."
    ),
    "flow_default_retries": Setting(
        int,
        0,
        "Retries of flows that name none.",
        "PREFECT_FLOW_DEFAULT_RETRIES",
        also=("PREFECT_FLOWS_DEFAULT_RETRIES",),
        least=0,
    ),
    "flow_default_retry_delay_seconds": Setting(
        float,
        0.0,
        "The wait before each retry of flows that name none.",
        "PREFECT_FLOW_DEFAULT_RETRY_DELAY_SECONDS",
        also=("PREFECT_FLOWS_DEFAULT_RETRY_DELAY_SECONDS",),
        least=0,
    ),
    "task_default_retries": Setting(
        int,
        0,
        "Retries of tasks that name none.",
        "PREFECT_TASK_DEFAULT_RETRIES",
        also=("PREFECT_TASKS_DEFAULT_RETRIES",),
        least=0,
    ),
    "task_default_retry_delay_seconds": Setting(
        float,
        0.0,
        "The wait before each retry of tasks that name none.",
        "PREFECT_TASK_DEFAULT_RETRY_DELAY_SECONDS",
        also=("PREFECT_TASKS_DEFAULT_RETRY_DELAY_SECONDS",),
        least=0,
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
    "results_default_storage": Setting(
        str,
        "",
        "Where results are kept that do not say: a path, a URL, or TYPE/NAME of a saved filesystem; "
        "by default the database.",
        "PREFECT_DEFAULT_RESULT_STORAGE_BLOCK",
        also=("PREFECT_RESULTS_DEFAULT_STORAGE_BLOCK",),
    ),
    "results_local_storage_path": Setting(
        str,
        "",
        "Folder of large results; by default the folder storage in the home.",
        "PREFECT_LOCAL_STORAGE_PATH",
        also=("PREFECT_RESULTS_LOCAL_STORAGE_PATH",),
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
        also=("PREFECT_TASKS_RUNNER_THREAD_POOL_MAX_WORKERS",),
        least=0,
    ),
    "cli_prompt": Setting(
        bool,
        None,
        "Whether commands ask questions; by default when a person is at the terminal.",
        "PREFECT_CLI_PROMPT",
    ),
    "debug": Setting(bool, False, "Show tracebacks of Runyard's own errors.", "PREFECT_DEBUG_MODE"),
}

_WANTED = {bool: "true or false", int: "a whole number", float: "a number"}

# Files that may give settings, in the folder where the process works when it first asks.
FOLDER_FILES = (".env", "runyard.toml", "prefect.toml", "pyproject.toml")
PROFILES_FILE = "profiles.toml"
PROFILE_VARIABLES = ("RUNYARD_PROFILE", "PREFECT_PROFILE")
DEFAULT_PROFILE = "default"

_variables: dict[str, tuple[str, ...]] = {
    name: (f"RUNYARD_{name.upper()}", *((row.alias, *row.also) if row.alias else ()))
    for name, row in SETTINGS.items()
}
# What the files give, and the active profile; None until the first value is asked for.
_files: dict[str, Given] | None = None
_profile = DEFAULT_PROFILE


def get(name: str) -> Any:
    """The value of a setting.

    Args:
        name: a key of SETTINGS.

    Raises:
        SettingError: what is given is no value of this setting, or a file of settings cannot be read.
    """
    for variable in _variables[name]:
        text = os.environ.get(variable)
        if text is not None:
            return parse(name, text, variable)
    if _files is None:
        _load()
    if _files:
        given = _files.get(name)
        if given is not None:
            return parse(name, given.value, given.key, given.place)
    return SETTINGS[name].default


def variables(name: str) -> tuple[str, ...]:
    """The environment variables that give a setting, the one that counts most first."""
    return _variables[name]


def given(name: str) -> Given | None:
    """What gives a setting its value; None when it has its default.

    Raises:
        SettingError: a file of settings cannot be read.
    """
    for variable in _variables[name]:
        text = os.environ.get(variable)
        if text is not None:
            return Given(text, "environment", variable, variable)
    if _files is None:
        _load()
    return (_files or {}).get(name)


def place_of(name: str) -> str:
    """Where people look to correct a setting: a variable, or a key and its file.

    Raises:
        SettingError: a file of settings cannot be read.
    """
    found = given(name)
    if found is None:
        return _variables[name][0]
    return found.key if found.source == "environment" else f"{found.key} in {found.place}"


def profile() -> str:
    """The name of the active profile.

    Raises:
        SettingError: a file of settings cannot be read, or there is no such profile.
    """
    if _files is None:
        _load()
    return _profile


def name_of(text: str) -> str | None:
    """The setting that `RUNYARD_X`, `PREFECT_X` or `x` names, in any case; None for no setting."""
    lower = text.strip().lower()
    own = lower.removeprefix("runyard_")
    if own in SETTINGS:
        return own
    upper = lower.upper()
    return next((name for name, known in _variables.items() if upper in known), None)


def reload() -> None:
    """Forget what the files gave: they are read again when the next value is asked for."""
    global _files
    _files = None


def check() -> None:
    """Look at every value that is given, so that a wrong one is refused before anything begins.

    Raises:
        SettingError: the first that is wrong.
    """
    for variable in os.environ:
        if variable.startswith(("RUNYARD_", "PREFECT_")):
            name = name_of(variable)
            if name is not None:
                get(name)
    profile()
    for name in _files or ():
        get(name)


def exported() -> dict[str, str]:
    """What files and the profile give, as environment variables: other processes get it that way.

    Raises:
        SettingError: a file of settings cannot be read, or one of its values is wrong.
    """
    profile()
    found = {}
    for name, one in (_files or {}).items():
        if name != "home" and not any(variable in os.environ for variable in _variables[name]):
            value = parse(name, one.value, one.key, one.place)
            found[_variables[name][0]] = str(value).lower() if isinstance(value, bool) else str(value)
    return found


def home() -> str:
    """The absolute path of the home folder, which need not exist yet."""
    return os.path.abspath(os.path.expanduser(get("home")))


def database_url() -> str:
    """The database to use: the setting, or the file `runyard.db` in the home."""
    return get("database_url") or f"sqlite:///{os.path.join(home(), 'runyard.db')}"


def parse(name: str, value: Any, key: str, place: str = "") -> Any:
    """The value of a setting from what somebody wrote.

    Args:
        name: a key of SETTINGS.
        value: text, or what a TOML file holds.
        key: the variable or key it stands under, for the error.
        place: the file and line, for the error.

    Raises:
        SettingError: it is no such value.
    """
    setting = SETTINGS[name]
    parsed = converted(value, setting.kind)
    if parsed is None:
        wanted = _WANTED.get(setting.kind, "text")
    elif setting.choices and parsed.lower() not in setting.choices:
        wanted = f"one of {', '.join(setting.choices)}"
    elif setting.least is not None and not parsed >= setting.least:
        wanted = f"{_WANTED[setting.kind]} of at least {setting.least:g}"
    else:
        return parsed
    shown = "********" if setting.secret else repr(value)
    raise SettingError(f"{place}{': ' if place else ''}{key}={shown} is not {wanted}")


def _load() -> None:
    """Find out what files give; where there are none, that is all it costs."""
    global _files, _profile
    places = [name for name in FOLDER_FILES if os.path.isfile(name)]
    if "pyproject.toml" in places and not _is_ours("pyproject.toml"):
        places.remove("pyproject.toml")
    chosen = any(os.environ.get(variable) for variable in PROFILE_VARIABLES)
    folder = os.path.abspath(os.path.expanduser(os.environ.get("RUNYARD_HOME") or SETTINGS["home"].default))
    if not places and not chosen and not os.path.isfile(os.path.join(folder, PROFILES_FILE)):
        _files, _profile = {}, DEFAULT_PROFILE
        return
    from runyard import settings_sources

    _files, _profile = settings_sources.read(places, folder)


def _is_ours(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError:
        return False
    return b"[tool.runyard" in text or b"[tool.prefect" in text
