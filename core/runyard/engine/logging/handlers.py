"""Handlers of runs' log records: to the console, and through the journal into the database."""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import Any

from runyard.base import clock, descriptors, ids, texts
from runyard.base.redaction import redact
from runyard.engine.context import current_flow, current_journal, current_task
from runyard.operations.runs.run_records import LogRow

# In a run of a worker: the open file (`descriptors.name_of`) whose lines the worker shows but does not store,
# because log records are stored already; empty for no console. The worker stores other output as logs.
CONSOLE_VARIABLE = "RUNYARD__CONSOLE"

# Longer messages are split into several records: nothing is lost, and no row becomes too large.
_LONGEST = 200_000
# The range of a 32-bit column.
_LEVELS = (-(2**31), 2**31 - 1)
_exceptions = logging.Formatter()


def _text(record: logging.LogRecord) -> str:
    """The message with the traceback below it, without secrets."""
    try:
        text = record.getMessage()
    except Exception as error:
        # An argument does not match the format or cannot be formatted: log the unformatted message.
        text = f"{texts.told(record.msg)} (not formatted: {type(error).__name__}: {texts.told(error)})"
    if record.exc_info:
        # Shortened: an exception's text may contain all the data it is about.
        text = f"{text}\n{texts.shortened(_exceptions.formatException(record.exc_info))}"
    if record.stack_info:
        text = f"{text}\n{record.stack_info}"
    return texts.storable(redact(text))


class ConsoleHandler(logging.Handler):
    """Writes `HH:MM:SS.mmm | INFO    | Flow run 'calm-otter' - message` to stderr.

    Args:
        stream: a text file to write to instead.
        highlighter, styles: accepted for compatibility; lines are not coloured.
        level: the lowest level that is written.
    """

    def __init__(
        self, stream: Any = None, highlighter: Any = None, styles: Any = None, level: int | str = 0
    ) -> None:
        super().__init__(level)
        self.stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; sys.stderr is looked up each time, since programs replace it."""
        try:
            if self.formatter is not None:
                line = texts.storable(redact(self.formatter.format(record))) + "\n"
            else:
                wall = time.strftime("%H:%M:%S", time.localtime(record.created))
                label = getattr(record, "run_label", None) or record.name
                text = _text(record)
                line = f"{wall}.{int(record.msecs):03d} | {record.levelname:<7} | {label} - {text}\n"
            if self.stream is not None:
                self.stream.write(line)
            else:
                _print(line)
        except Exception:
            self.handleError(record)


def _print(line: str) -> None:
    console = os.environ.get(CONSOLE_VARIABLE)
    if console is None:
        sys.stderr.write(line)
    elif console:
        # The user's code may have closed the file, and opened another one with the same descriptor.
        number = descriptors.find(console)
        try:
            if number is not None:
                os.write(number, line.encode("utf-8", "replace"))
        except OSError:
            pass  # the worker has ended


def rows_of(record: logging.LogRecord, flow_run_id: str | None, task_run_id: str | None) -> list[LogRow]:
    """The rows of a record, usually one."""
    text, moment = _text(record), clock.agreed_us(int(record.created * 1e6))
    level = min(max(int(record.levelno), _LEVELS[0]), _LEVELS[1])
    parts = (text[at : at + _LONGEST] for at in range(0, max(len(text), 1), _LONGEST))
    name = texts.name(record.name)
    return [LogRow(ids.new_id(), name, level, part, moment, flow_run_id, task_run_id) for part in parts]


class JournalHandler(logging.Handler):
    """Stores records with their run."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass the record to the journal of its run; records without a run are not stored."""
        try:
            given: dict[str, Any] = record.__dict__
            if given.get("run_record_stored"):
                return
            flow, task = current_flow.get(), current_task.get()
            journal = given.get("run_journal") or (
                flow.journal if flow is not None else current_journal.get()
            )
            if journal is None:
                return
            flow_run_id = given.get("flow_run_id") or (flow.flow_run.id if flow is not None else None)
            task_run_id = given.get("task_run_id")
            if task_run_id is None and "run_label" not in given and task is not None:
                task_run_id = task.task_run.id
            for row in rows_of(record, flow_run_id, task_run_id):
                journal.log(row)
        except Exception:
            self.handleError(record)


class CaplogHandler(logging.Handler):
    """Passes records to pytest's handlers on the root logger: our loggers do not propagate to it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass the record to each such handler that accepts its level and is not on our logger too."""
        own = logging.getLogger("runyard").handlers
        for handler in logging.getLogger().handlers:
            is_pytests = type(handler).__module__ == "_pytest.logging"
            if is_pytests and record.levelno >= handler.level and handler not in own:
                handler.handle(record)


# Prefect's names of these classes.
PrefectConsoleHandler = ConsoleHandler
APILogHandler = JournalHandler
