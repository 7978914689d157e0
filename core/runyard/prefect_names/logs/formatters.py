"""The names of `prefect.logging.formatters` that scripts use: formats for any handler."""

from __future__ import annotations

import json
import logging
import traceback
from typing import Any

__all__ = ["JsonFormatter", "PrefectFormatter"]


class PrefectFormatter(logging.Formatter):
    """Formats for runs, and one for all other records.

    Args:
        format: for records outside runs, as in `logging.Formatter`.
        datefmt: for times.
        style: of all formats: `%`, `{` or `$`.
        validate: whether the formats are checked.
        defaults: values for missing fields.
        task_run_fmt: for records of task runs; they have `task_run_name` and `flow_run_name`.
        flow_run_fmt: for records of flow runs; they have `flow_run_name` and `flow_name`.

    Raises:
        ValueError: a format is invalid.
    """

    def __init__(
        self,
        format: str | None = None,
        datefmt: str | None = None,
        style: Any = "%",
        validate: bool = True,
        *,
        defaults: dict[str, Any] | None = None,
        task_run_fmt: str | None = None,
        flow_run_fmt: str | None = None,
    ) -> None:
        super().__init__(format, datefmt, style, validate, defaults=defaults)

        def of(text: str | None) -> logging.Formatter | None:
            if text is None:
                return None
            return logging.Formatter(text, datefmt, style, validate, defaults=defaults)

        self._for_tasks = of(task_run_fmt)
        self._for_flows = of(flow_run_fmt)

    def formatMessage(self, record: logging.LogRecord) -> str:  # as of logging.Formatter
        """The line of a record."""
        chosen: logging.Formatter | None = None
        if record.name.endswith(".task_runs"):
            chosen = self._for_tasks
        elif record.name.endswith(".flow_runs"):
            chosen = self._for_flows
        if chosen is None:
            return super().formatMessage(record)
        record.asctime = chosen.formatTime(record, chosen.datefmt)
        return chosen.formatMessage(record)

    def usesTime(self) -> bool:  # as of logging.Formatter
        """Whether any of the formats shows the time."""
        others = (self._for_tasks, self._for_flows)
        return super().usesTime() or any(each is not None and each.usesTime() for each in others)


class JsonFormatter(logging.Formatter):
    """A record as one JSON object.

    Args:
        fmt: `pretty` for several lines.
        dmft: accepted for compatibility.
        style: likewise.
    """

    def __init__(self, fmt: str | None = None, dmft: str | None = None, style: str = "%") -> None:
        super().__init__()
        self._indent = 2 if fmt == "pretty" else None

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON: its fields, the message, and the exception as type, message and traceback."""
        fields = dict(record.__dict__)
        fields["message"] = record.getMessage()
        if record.exc_info:
            kind, error, trace = record.exc_info
            fields["exc_info"] = {
                "type": kind.__name__ if kind else None,
                "message": str(error),
                "traceback": "".join(traceback.format_tb(trace)) if trace else None,
            }
        return json.dumps(fields, default=str, indent=self._indent)
