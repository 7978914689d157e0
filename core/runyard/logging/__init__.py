"""Logging of runs: `get_run_logger`, the console's format, and records kept with the run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from runyard import settings
from runyard.context import current_flow, current_task
from runyard.errors import SettingError
from runyard.exceptions import MissingContextError

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from runyard.context import FlowRunContext, TaskRunContext
    from runyard.engine.journal import Journal
    from runyard.engine.runs import FlowRun, TaskRun

DEBUG, WARNING = logging.DEBUG, logging.WARNING
FLOW_RUNS = "runyard.flow_runs"
TASK_RUNS = "runyard.task_runs"
_ready: tuple[str, str] | None = None
# What functions that ask for a run's logger get outside of any run, within `disable_run_logger()`.
_SILENT = logging.Logger("runyard.silent")
_SILENT.disabled = True


class RunLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose records belong to one run."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the run to the record, keeping what the caller adds."""
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


def get_run_logger(
    context: FlowRunContext | TaskRunContext | None = None, **extra: Any
) -> logging.Logger | logging.LoggerAdapter[logging.Logger]:
    """The logger of the run around the calling code.

    Args:
        context: another run's context.
        extra: further attributes of its records.

    Raises:
        MissingContextError: outside of any run.
    """
    from runyard.context import TaskRunContext

    found = context or current_task.get() or current_flow.get()
    if found is None and logging.getLogger(FLOW_RUNS).disabled and logging.getLogger(TASK_RUNS).disabled:
        return _SILENT
    if found is None:
        raise MissingContextError("no run context: get_run_logger() must be called inside a flow or a task")
    if isinstance(found, TaskRunContext):
        return task_logger(found.task_run, current_flow.get(), **extra)
    return flow_logger(found.flow_run, found.journal, **extra)


def get_logger(name: str | None = None) -> logging.Logger:
    """A logger below `runyard`; its records show on the console and belong to no run by themselves."""
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
    """The logger of a flow run that a hook or the like was given."""
    setup()
    facts = {"flow_run_id": flow_run.id, "flow_run_name": flow_run.name}
    if flow is not None:
        facts["flow_name"] = flow.name
    return RunLogger(
        logging.getLogger(FLOW_RUNS), {**facts, "run_label": f"Flow run {flow_run.name!r}", **extra}
    )


def task_run_logger(task_run: TaskRun, task: Any = None, **extra: Any) -> RunLogger:
    """The logger of a task run that a hook or the like was given."""
    if task is not None:
        extra = {"task_name": task.name, **extra}
    return task_logger(task_run, current_flow.get(), **extra)


def logs_tasks_at(level: int) -> bool:
    """Whether records of task runs at a level go anywhere: cheaper than making one."""
    setup()
    return logging.getLogger(TASK_RUNS).isEnabledFor(level)


def setup() -> None:
    """Give the loggers their level and handlers; again only when the settings changed."""
    global _ready
    level, others = settings.get("logging_level").upper(), settings.get("logging_extra_loggers")
    if _ready == (level, others):
        return
    from runyard.logging.handlers import ConsoleHandler, JournalHandler

    if not isinstance(logging.getLevelName(level), int):
        raise SettingError(f"RUNYARD_LOGGING_LEVEL={level!r} is no level; use DEBUG, INFO, WARNING or ERROR")
    root = logging.getLogger("runyard")
    root.setLevel(level)
    root.propagate = False
    root.handlers[:] = [ConsoleHandler()]
    for name in (FLOW_RUNS, TASK_RUNS):
        logging.getLogger(name).handlers[:] = [JournalHandler()]
    for name in filter(None, (part.strip() for part in others.split(","))):
        other = logging.getLogger(name)
        if not any(isinstance(handler, JournalHandler) for handler in other.handlers):
            other.addHandler(JournalHandler())
            other.setLevel(level)
    _ready = (level, others)
