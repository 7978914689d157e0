"""The table of all settings: name, type, default, help text and valid values."""

from __future__ import annotations

from typing import Any, NamedTuple


class Setting(NamedTuple):
    """One row of the table.

    `kind` is str, int, float or bool. `alias` is Prefect's name of the setting, `also` its other names there.
    `choices` are the valid values of a text, in any case; `starts` are its valid prefixes, unless it is
    empty. `least` and `most` are the limits of a number; infinity and NaN are always invalid.
    """

    kind: type
    default: Any
    help: str
    alias: str | None = None
    secret: bool = False
    also: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()
    least: float = 0
    most: float = 1_000_000_000


_PARTITION = ("stop", "continue")
_WEB = ("http://", "https://")
_DATABASES = ("sqlite", "postgres")

SETTINGS: dict[str, Setting] = {
    "home": Setting(str, "~/.runyard", "Folder of the database, the results and the logs."),
    "database_url": Setting(
        str,
        "",
        "sqlite:///FILE or postgresql://...; default: the file runyard.db in the home.",
        "PREFECT_API_DATABASE_CONNECTION_URL",
        secret=True,
        also=("PREFECT_SERVER_DATABASE_CONNECTION_URL",),
        starts=_DATABASES,
    ),
    "database_timeout_seconds": Setting(
        float, 60.0, "How long to wait for the database while another process writes."
    ),
    "encryption_key": Setting(
        str,
        "",
        "The encryption key of the secrets, or several, the newest first; default: the file secret.key in "
        "the home.",
        "PREFECT_API_ENCRYPTION_KEY",
        secret=True,
    ),
    "api_url": Setting(
        str,
        "",
        "URL of the API, such as http://127.0.0.1:4200/api; empty: use the database directly.",
        "PREFECT_API_URL",
        starts=_WEB,
    ),
    "ui_url": Setting(
        str,
        "",
        "URL of the page that shows runs; default: derived from the API's URL.",
        "PREFECT_UI_URL",
        starts=_WEB,
    ),
    "api_auth_string": Setting(str, "", "user:password of the API.", "PREFECT_API_AUTH_STRING", secret=True),
    "server_allowed_hosts": Setting(
        str,
        "",
        "Comma-separated host names that requests to the API may use, besides loopback names; *: any.",
    ),
    "server_max_body_bytes": Setting(int, 8_388_608, "Maximum size of a request body.", least=1024),
    "server_max_result_bytes": Setting(
        int,
        134_217_728,
        "Maximum size of a request body with results; a result takes 4/3 of its size.",
        least=1024,
    ),
    "logging_level": Setting(
        str,
        "INFO",
        "Lowest level of the log records that are shown and stored.",
        "PREFECT_LOGGING_LEVEL",
        choices=("debug", "info", "warning", "warn", "error", "critical", "fatal", "notset"),
    ),
    "logging_log_prints": Setting(
        bool,
        False,
        "Default of `log_prints`: write `print` output to the run's logs.",
        "PREFECT_LOGGING_LOG_PRINTS",
    ),
    "logging_extra_loggers": Setting(
        str,
        "",
        "Comma-separated loggers whose records are also stored with the run.",
        "PREFECT_LOGGING_EXTRA_LOGGERS",
    ),
    "logging_max_megabytes_per_run": Setting(
        float, 100.0, "Maximum size of a run's stored logs, besides their end; 0: no limit."
    ),
    "prefect_imports": Setting(
        str,
        "auto",
        "Whether `import prefect` imports Runyard: always, never, or auto (if Prefect is not installed, and "
        "always in deployed flows).",
        choices=("always", "never", "auto"),
    ),
    "default_work_pool_name": Setting(
        str,
        "",
        "Work pool of deployments that name none.",
        "PREFECT_DEFAULT_WORK_POOL_NAME",
        also=("PREFECT_DEPLOYMENTS_DEFAULT_WORK_POOL_NAME",),
    ),
    "takeover_after_seconds": Setting(
        float,
        120.0,
        "How long after its last lease renewal a run is taken over without proof of its executor's death.",
        least=1,
    ),
    "on_partition": Setting(
        str,
        "stop",
        "What a worker does that cannot renew its leases: stop its runs, or continue.",
        choices=_PARTITION,
    ),
    "worker_lease_seconds": Setting(
        float,
        15.0,
        "A worker renews its leases and checks for lost runs after each third of this time, at least every "
        "5 s.",
        least=0.1,
    ),
    "worker_heartbeat_seconds": Setting(
        float, 5.0, "How often a worker sends a heartbeat.", "PREFECT_WORKER_HEARTBEAT_SECONDS", least=0.1
    ),
    "worker_poll_seconds": Setting(
        float, 0.05, "How often an idle worker checks for changes of the database.", least=0.001
    ),
    "worker_shutdown_grace_seconds": Setting(
        float, 30.0, "How long a stopping worker lets its runs finish before it cancels them."
    ),
    "worker_kill_grace_seconds": Setting(
        float, 10.0, "Time between SIGTERM and SIGKILL when a run is cancelled."
    ),
    "worker_api_host": Setting(
        str,
        "",
        "Address of this machine at which pods reach the API that a kubernetes worker serves; default: the "
        "address from which the worker reaches the cluster.",
    ),
    "worker_webserver_host": Setting(
        str, "127.0.0.1", "Address of the health check.", "PREFECT_WORKER_WEBSERVER_HOST"
    ),
    "worker_webserver_port": Setting(
        int, 8080, "Port of the health check.", "PREFECT_WORKER_WEBSERVER_PORT", most=65_535
    ),
    "environments_keep_days": Setting(
        float, 30.0, "How long an unused virtual environment of runs is kept; 0: forever."
    ),
    "flow_lease_seconds": Setting(
        float, 120.0, "Like takeover_after_seconds, for a flow run that a script started.", least=0.1
    ),
    "flow_default_crash_retries": Setting(int, 0, "Default of `crash_retries` of deployments."),
    "scheduler_late_seconds": Setting(
        float,
        15.0,
        "How long after its scheduled time a waiting run becomes Late.",
        "PREFECT_API_SERVICES_LATE_RUNS_AFTER_SECONDS",
        also=("PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS",),
    ),
    "retention_runs_days": Setting(
        float,
        90.0,
        "How long finished runs and their data are kept; 0: forever.",
    ),
    "retention_logs_days": Setting(
        float,
        30.0,
        "How long log records are kept, but not longer than their runs; 0: as long as their runs.",
    ),
    "retention_outcomes_days": Setting(
        float,
        7.0,
        "How long outcomes of background tasks are kept for their futures; 0: as long as runs.",
    ),
    "scheduler_keep_skips_days": Setting(
        float,
        90.0,
        "How long the records of skipped schedule times are kept; 0: forever.",
        least=0,
    ),
    "journal_flush_seconds": Setting(
        float, 0.02, "Maximum delay before a run's records are written to the database."
    ),
    "journal_max_records": Setting(
        int, 20_000, "Maximum number of unwritten records before the run waits for the disk.", least=1
    ),
    "flow_default_retries": Setting(
        int,
        0,
        "Default of `retries` of flows.",
        "PREFECT_FLOW_DEFAULT_RETRIES",
        also=("PREFECT_FLOWS_DEFAULT_RETRIES",),
    ),
    "flow_default_retry_delay_seconds": Setting(
        float,
        0.0,
        "Default of `retry_delay_seconds` of flows.",
        "PREFECT_FLOW_DEFAULT_RETRY_DELAY_SECONDS",
        also=("PREFECT_FLOWS_DEFAULT_RETRY_DELAY_SECONDS",),
    ),
    "task_default_retries": Setting(
        int,
        0,
        "Default of `retries` of tasks.",
        "PREFECT_TASK_DEFAULT_RETRIES",
        also=("PREFECT_TASKS_DEFAULT_RETRIES",),
    ),
    "task_default_retry_delay_seconds": Setting(
        float,
        0.0,
        "Default of `retry_delay_seconds` of tasks.",
        "PREFECT_TASK_DEFAULT_RETRY_DELAY_SECONDS",
        also=("PREFECT_TASKS_DEFAULT_RETRY_DELAY_SECONDS",),
    ),
    "results_persist_by_default": Setting(
        bool,
        False,
        "Default of `persist_result` of flows and tasks.",
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT",
    ),
    "results_default_serializer": Setting(
        str,
        "pickle",
        "Default of `result_serializer`: pickle, json, compressed/pickle or compressed/json.",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER",
    ),
    "results_default_storage": Setting(
        str,
        "",
        "Default of `result_storage`: a path, a URL, or TYPE/NAME of a saved filesystem; default: the "
        "database.",
        "PREFECT_DEFAULT_RESULT_STORAGE_BLOCK",
        also=("PREFECT_RESULTS_DEFAULT_STORAGE_BLOCK",),
    ),
    "results_local_storage_path": Setting(
        str,
        "",
        "Folder of large results; default: the folder storage in the home.",
        "PREFECT_LOCAL_STORAGE_PATH",
        also=("PREFECT_RESULTS_LOCAL_STORAGE_PATH",),
    ),
    "results_inline_bytes": Setting(
        int, 65_536, "Results up to this size are stored in the database, larger ones in files."
    ),
    "tasks_refresh_cache": Setting(
        bool,
        False,
        "Default of `refresh_cache` of tasks: run the task even if its result is cached.",
        "PREFECT_TASKS_REFRESH_CACHE",
    ),
    "task_runner_max_workers": Setting(
        int,
        0,
        "Threads for submitted tasks; 0: four times the cores, at least 16.",
        "PREFECT_TASK_RUNNER_THREAD_POOL_MAX_WORKERS",
        also=("PREFECT_TASKS_RUNNER_THREAD_POOL_MAX_WORKERS",),
    ),
    "cli_prompt": Setting(
        bool,
        None,
        "Whether commands ask questions; default: only on a terminal.",
        "PREFECT_CLI_PROMPT",
    ),
    "warn_idle_settings": Setting(
        bool, True, "Whether commands that start work warn of PREFECT_... variables without effect."
    ),
    "debug": Setting(bool, False, "Show tracebacks of Runyard's own errors.", "PREFECT_DEBUG_MODE"),
}
