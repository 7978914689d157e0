"""The table of the settings: their names, types, defaults, helps and limits."""

from __future__ import annotations

from typing import Any, NamedTuple


class Setting(NamedTuple):
    """One row of the table.

    `kind` is str, int, float or bool; `alias` the name Prefect gives it, `also` its other names there;
    `choices` the only values of a text, in any case; `starts` how a text that is not empty begins;
    `least` and `most` the smallest and the largest number. No number is infinite or none.
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
        "sqlite:///FILE or postgresql://...; by default the file runyard.db in the home.",
        "PREFECT_API_DATABASE_CONNECTION_URL",
        secret=True,
        also=("PREFECT_SERVER_DATABASE_CONNECTION_URL",),
        starts=_DATABASES,
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
        "The API, as http://127.0.0.1:4200/api; empty: none.",
        "PREFECT_API_URL",
        starts=_WEB,
    ),
    "ui_url": Setting(
        str, "", "Where people see runs; by default beside the API.", "PREFECT_UI_URL", starts=_WEB
    ),
    "api_auth_string": Setting(str, "", "user:password for the API.", "PREFECT_API_AUTH_STRING", secret=True),
    "server_allowed_hosts": Setting(
        str,
        "",
        "Comma-separated names by which callers may know the API, besides loopback's; * for any.",
    ),
    "server_max_body_bytes": Setting(int, 8_388_608, "The largest body that the API takes.", least=1024),
    "server_max_result_bytes": Setting(
        int,
        134_217_728,
        "The same for bodies that hold kept results; they take 4/3 of their size.",
        least=1024,
    ),
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
        float, 100.0, "How much of a run's logs is kept, besides the end of them; 0: all."
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
        float,
        15.0,
        "A worker renews and looks for lost runs every third of it, at most every 5 s.",
        least=0.1,
    ),
    "worker_heartbeat_seconds": Setting(
        float, 5.0, "How often a worker says that it is alive.", "PREFECT_WORKER_HEARTBEAT_SECONDS", least=0.1
    ),
    "worker_poll_seconds": Setting(
        float, 0.05, "How often an idle worker looks whether the database changed.", least=0.001
    ),
    "worker_shutdown_grace_seconds": Setting(
        float, 30.0, "How long a stopping worker lets its runs finish before it cancels them."
    ),
    "worker_kill_grace_seconds": Setting(
        float, 10.0, "How long a cancelled run has between SIGTERM and SIGKILL."
    ),
    "worker_api_host": Setting(
        str,
        "",
        "The address of this machine at which pods find the API that a kubernetes worker serves to them; by "
        "default the one from which the cluster is reached.",
    ),
    "worker_webserver_host": Setting(
        str, "127.0.0.1", "Address of the health check.", "PREFECT_WORKER_WEBSERVER_HOST"
    ),
    "worker_webserver_port": Setting(
        int, 8080, "Port of the health check.", "PREFECT_WORKER_WEBSERVER_PORT", most=65_535
    ),
    "environments_keep_days": Setting(
        float, 30.0, "How long a virtual environment of runs is kept that no run uses; 0: for ever."
    ),
    "flow_lease_seconds": Setting(
        float, 120.0, "As takeover_after_seconds, for a flow started by hand.", least=0.1
    ),
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
    "retention_runs_days": Setting(
        float,
        90.0,
        "How long runs that are over are kept, with all that belongs to them; 0: for ever.",
    ),
    "retention_logs_days": Setting(
        float, 30.0, "How long log records are kept, and never longer than their runs; 0: as long as these."
    ),
    "retention_outcomes_days": Setting(
        float,
        7.0,
        "How long the outcomes of background tasks are kept for their futures; 0: as long as runs.",
    ),
    "scheduler_keep_skips_days": Setting(
        float,
        90.0,
        "How long it is kept which instants of a schedule made no run, and why; 0: for ever.",
        least=0,
    ),
    "journal_flush_seconds": Setting(
        float, 0.02, "How late at most what a run does is written to the database."
    ),
    "journal_max_records": Setting(
        int, 20_000, "How many records may wait for a slow disk before the run waits too.", least=1
    ),
    "flow_default_retries": Setting(
        int,
        0,
        "Retries of flows that name none.",
        "PREFECT_FLOW_DEFAULT_RETRIES",
        also=("PREFECT_FLOWS_DEFAULT_RETRIES",),
    ),
    "flow_default_retry_delay_seconds": Setting(
        float,
        0.0,
        "The wait before each retry of flows that name none.",
        "PREFECT_FLOW_DEFAULT_RETRY_DELAY_SECONDS",
        also=("PREFECT_FLOWS_DEFAULT_RETRY_DELAY_SECONDS",),
    ),
    "task_default_retries": Setting(
        int,
        0,
        "Retries of tasks that name none.",
        "PREFECT_TASK_DEFAULT_RETRIES",
        also=("PREFECT_TASKS_DEFAULT_RETRIES",),
    ),
    "task_default_retry_delay_seconds": Setting(
        float,
        0.0,
        "The wait before each retry of tasks that name none.",
        "PREFECT_TASK_DEFAULT_RETRY_DELAY_SECONDS",
        also=("PREFECT_TASKS_DEFAULT_RETRY_DELAY_SECONDS",),
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
    ),
    "cli_prompt": Setting(
        bool,
        None,
        "Whether commands ask questions; by default when a person is at the terminal.",
        "PREFECT_CLI_PROMPT",
    ),
    "warn_idle_settings": Setting(
        bool, True, "Whether what starts work names the variables PREFECT_... that do nothing here."
    ),
    "debug": Setting(bool, False, "Show tracebacks of Runyard's own errors.", "PREFECT_DEBUG_MODE"),
}
