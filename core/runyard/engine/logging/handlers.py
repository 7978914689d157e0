"""Where records of runs go: to the console, and through the journal into the database."""

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

# In a worker's run: the open file whose lines the worker shows and does not keep, by `descriptors.name_of`;
# empty for none. What a run prints itself is kept as its logs; its records are kept already.
CONSOLE_VARIABLE = "RUNYARD__CONSOLE"

# Longer messages are cut into several records: nothing is lost, and no row gets huge.
_LONGEST = 200_000
# Numbers that a column of 32 bits holds.
_LEVELS = (-(2**31), 2**31 - 1)
_exceptions = logging.Formatter()


def _text(record: logging.LogRecord) -> str:
    """The message, with the traceback below it, and no secrets."""
    try:
        text = record.getMessage()
    except Exception as error:
        # An argument that does not fit, or cannot be shown: what is left says more than no record.
        text = f"{texts.told(record.msg)} (not formatted: {type(error).__name__}: {texts.told(error)})"
    if record.exc_info:
        # Bounded: an exception may hold all the data that it is about.
        text = f"{text}\n{texts.shortened(_exceptions.formatException(record.exc_info))}"
    if record.stack_info:
        text = f"{text}\n{record.stack_info}"
    return texts.storable(redact(text))


class ConsoleHandler(logging.Handler):
    """Writes `HH:MM:SS.mmm | INFO    | Flow run 'calm-otter' - message` to stderr.

    Args:
        stream: a text file in its place.
        highlighter: accepted for compatibility: lines are not coloured.
        styles: likewise.
        level: of the records that are written, at least.
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
        # The user's code may have closed it, and opened another file of that number since.
        number = descriptors.find(console)
        try:
            if number is not None:
                os.write(number, line.encode("utf-8", "replace"))
        except OSError:
            pass  # the worker is gone


def rows_of(record: logging.LogRecord, flow_run_id: str | None, task_run_id: str | None) -> list[LogRow]:
    """A record as it is stored: mostly one row."""
    text, moment = _text(record), clock.agreed_us(int(record.created * 1e6))
    level = min(max(int(record.levelno), _LEVELS[0]), _LEVELS[1])
    parts = (text[at : at + _LONGEST] for at in range(0, max(len(text), 1), _LONGEST))
    name = texts.name(record.name)
    return [LogRow(ids.new_id(), name, level, part, moment, flow_run_id, task_run_id) for part in parts]


class JournalHandler(logging.Handler):
    """Keeps records with their run."""

    def emit(self, record: logging.LogRecord) -> None:
        """Hand the record to the journal of its run; without a run there is nothing to keep it with."""
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
    """Hands records to what pytest puts on the root logger, such as caplog's: ours do not propagate."""

    def emit(self, record: logging.LogRecord) -> None:
        """Hand the record on, where the handler wants its level and does not stand on our logger itself."""
        own = logging.getLogger("runyard").handlers
        for handler in logging.getLogger().handlers:
            is_pytests = type(handler).__module__ == "_pytest.logging"
            if is_pytests and record.levelno >= handler.level and handler not in own:
                handler.handle(record)


# The names under which Prefect has the same.
PrefectConsoleHandler = ConsoleHandler
APILogHandler = JournalHandler
