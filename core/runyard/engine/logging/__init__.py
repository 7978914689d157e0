"""Logging of runs: `get_run_logger`, the setup of the loggers, and the loggers of flow and task runs."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from runyard import settings
from runyard.base.errors import SettingError
from runyard.base.exceptions import MissingContextError
from runyard.compat.imports import is_alias
from runyard.engine.context import TaskRunContext, current_flow, current_task
from runyard.engine.logging.handlers import CaplogHandler, ConsoleHandler, JournalHandler, rows_of

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from runyard.engine.context import FlowRunContext, TaskRunContext
    from runyard.engine.journal import Journal
    from runyard.engine.run_objects import FlowRun, TaskRun
    from runyard.operations.runs.run_records import LogRow

DEBUG, INFO, WARNING, ERROR = logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR
FLOW_RUNS = "runyard.flow_runs"
TASK_RUNS = "runyard.task_runs"
_ready: tuple[str, str] | None = None
# The logger that `get_run_logger` returns outside of any run, inside `disable_run_logger()`.
_SILENT = logging.Logger("runyard.silent")
_SILENT.disabled = True


class RunLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose records belong to one run."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the run to the record, together with the caller's `extra`."""
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs

    def getChild(self, suffix: str, extra: dict[str, object] | None = None) -> RunLogger:  # as of Logger
        """The logger `suffix` below this one, whose records belong to the same run.

        Args:
            extra: further attributes of its records.
        """
        return RunLogger(self.logger.getChild(suffix), {**(self.extra or {}), **(extra or {})})


def get_run_logger(
    context: FlowRunContext | TaskRunContext | None = None, **extra: Any
) -> logging.Logger | logging.LoggerAdapter[logging.Logger]:
    """The logger of the current run.

    Args:
        context: the context of another run.
        extra: further attributes of its records.

    Raises:
        MissingContextError: outside of any run.
    """
    found = context or current_task.get() or current_flow.get()
    if found is None and logging.getLogger(FLOW_RUNS).disabled and logging.getLogger(TASK_RUNS).disabled:
        return _SILENT
    if found is None:
        raise MissingContextError("no run context: get_run_logger() must be called inside a flow or a task")
    if isinstance(found, TaskRunContext):
        return task_logger(found.task_run, current_flow.get(), **extra)
    return flow_logger(found.flow_run, found.journal, **extra)


def get_logger(name: str | None = None) -> logging.Logger:
    """A logger below `runyard`; its records go to the console, and are not stored with a run."""
    setup()
    if name and not name.startswith("runyard"):
        name = f"runyard.{name}"
    return logging.getLogger(name or "runyard")


def disable_run_logger() -> Any:
    """A block in which run loggers are silent, for tests of functions that use one."""
    from contextlib import contextmanager

    @contextmanager
    def silent() -> Any:
        loggers = [logging.getLogger(FLOW_RUNS), logging.getLogger(TASK_RUNS)]
        before = [logger.disabled for logger in loggers]
        for logger in loggers:
            logger.disabled = True
        try:
            yield
        finally:
            for logger, value in zip(loggers, before, strict=True):
                logger.disabled = value

    return silent()


def flow_logger(run: FlowRun, journal: Journal, **extra: Any) -> RunLogger:
    """The logger of a flow run."""
    setup()
    facts = {"flow_run_id": run.id, "flow_run_name": run.name, "flow_name": run.flow_name}
    return RunLogger(
        logging.getLogger(FLOW_RUNS),
        {**facts, "run_label": f"Flow run {run.name!r}", "run_journal": journal, **extra},
    )


def stored_by_report(run: FlowRun, level: int, message: str, *args: Any) -> LogRow | None:
    """The row of a log record about a report, which the report itself stores.

    Args:
        run: the run.
        level, message, args: of the record, which is logged with `run_record_stored` afterwards.

    Returns:
        The row; None if the configuration of the loggers may change or drop the record.
    """
    setup()
    logger = logging.getLogger(FLOW_RUNS)
    plain = (
        not logger.filters
        and logging.getLogRecordFactory() is logging.LogRecord
        and any(
            type(handler) is JournalHandler and handler.level <= level and not handler.filters
            for handler in logger.handlers
        )
    )
    if not plain or not logger.isEnabledFor(level):
        return None
    record = logging.LogRecord(FLOW_RUNS, level, "", 0, message, args, None)
    first, *more = rows_of(record, run.id, None)
    return None if more else first


def task_logger(run: TaskRun, flow: FlowRunContext | None, **extra: Any) -> RunLogger:
    """The logger of a task run."""
    setup()
    facts: dict[str, Any] = {
        "flow_run_id": run.flow_run_id, "task_run_id": run.id, "task_run_name": run.name,
    }  # fmt: skip
    if flow is not None:
        facts["flow_run_name"] = flow.flow_run.name
        facts["run_journal"] = flow.journal
    return RunLogger(logging.getLogger(TASK_RUNS), {**facts, "run_label": f"Task run {run.name!r}", **extra})


def flow_run_logger(flow_run: FlowRun, flow: Any = None, **extra: Any) -> RunLogger:
    """The logger of a given flow run, for example in a hook."""
    setup()
    facts = {"flow_run_id": flow_run.id, "flow_run_name": flow_run.name}
    if flow is not None:
        facts["flow_name"] = flow.name
    return RunLogger(
        logging.getLogger(FLOW_RUNS), {**facts, "run_label": f"Flow run {flow_run.name!r}", **extra}
    )


def task_run_logger(task_run: TaskRun, task: Any = None, **extra: Any) -> RunLogger:
    """The logger of a given task run, for example in a hook."""
    if task is not None:
        extra = {"task_name": task.name, **extra}
    return task_logger(task_run, current_flow.get(), **extra)


def logs_tasks_at(level: int) -> bool:
    """Whether records of task runs at a level are enabled; cheaper than creating a record."""
    setup()
    return logging.getLogger(TASK_RUNS).isEnabledFor(level)


def setup() -> None:
    """Set the loggers' level and handlers; again only if the settings or the handlers have changed."""
    global _ready
    level, others = settings.get("logging_level").upper(), settings.get("logging_extra_loggers")
    if _ready == (level, others) and _is_kept(FLOW_RUNS) and _is_kept(TASK_RUNS):
        return
    if not isinstance(logging.getLevelName(level), int):
        raise SettingError(f"invalid RUNYARD_LOGGING_LEVEL={level!r}; use DEBUG, INFO, WARNING or ERROR")
    root = logging.getLogger("runyard")
    for suffix in _SHARED:
        _share(logging.getLogger(f"runyard{suffix}"), logging.getLogger(f"prefect{suffix}"))
    if _ready is not None or root.level == logging.NOTSET:
        root.setLevel(level)
    if _ready is None:
        root.propagate = False
    _put(root, ConsoleHandler())
    if "_pytest.logging" in sys.modules:
        _put(root, CaplogHandler())
    for name in (FLOW_RUNS, TASK_RUNS):
        _put(logging.getLogger(name), JournalHandler())
    for name in filter(None, (part.strip() for part in others.split(","))):
        other = logging.getLogger(name)
        if not any(isinstance(handler, JournalHandler) for handler in other.handlers):
            other.addHandler(JournalHandler())
            other.setLevel(level)
    _ready = (level, others)


# The loggers that also have a name below `prefect`, which scripts use to configure them.
_SHARED = ("", FLOW_RUNS.removeprefix("runyard"), TASK_RUNS.removeprefix("runyard"))


def _share(ours: logging.Logger, theirs: logging.Logger) -> None:
    """Make Prefect's logger share all attributes with ours: configuring one configures both.

    Other code may already refer to both objects, so neither can replace the other; they share their
    `__dict__`. If Prefect itself is imported in this process, nothing changes.
    """
    prefect = sys.modules.get("prefect")
    if theirs.__dict__ is ours.__dict__ or (prefect is not None and not is_alias(prefect)):
        return
    ours.handlers += [handler for handler in theirs.handlers if handler not in ours.handlers]
    ours.filters += [each for each in theirs.filters if each not in ours.filters]
    ours.disabled = ours.disabled or theirs.disabled
    if theirs.level:
        ours.setLevel(theirs.level)
    theirs.__dict__ = ours.__dict__


def _put(logger: logging.Logger, handler: logging.Handler) -> None:
    """Add a handler to a logger that has no handler of this class; handlers of users stay unchanged."""
    if not any(type(each) is type(handler) for each in logger.handlers):
        logger.handlers.append(handler)


def _is_kept(name: str) -> bool:
    """Whether a logger still has our handler, which `logging.config.dictConfig` may have removed."""
    return any(type(handler).__name__ == "JournalHandler" for handler in logging.getLogger(name).handlers)


def __getattr__(name: str) -> Any:
    # Prefect exports this class from the same module.
    if name == "LogEavesdropper":
        # Nothing but its users needs it.
        from runyard.engine.logging.eavesdropping import LogEavesdropper

        return LogEavesdropper
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
