"""`print` inside runs with log_prints: the text goes to the run's log."""

from __future__ import annotations

import builtins
import sys
from typing import Any

from runyard.context import current_flow, current_task

_print = builtins.print


def install() -> None:
    """Make `print` look whether it is called in a run that wants it; done once per process."""
    if builtins.print is not print_as_log:
        global _print
        _print = builtins.print
        builtins.print = print_as_log


def print_as_log(*values: Any, sep: str | None = None, end: str | None = None, **options: Any) -> None:
    """As `print`; in a run that logs what is printed, the text goes to its log."""
    context = current_task.get() or current_flow.get()
    file = options.get("file")
    if context is None or not context.log_prints or (file is not None and file is not sys.stdout):
        _print(*values, sep=sep, end=end, **options)
        return
    from runyard.logging import get_run_logger

    text = (" " if sep is None else sep).join(str(value) for value in values)
    if end is not None and end != "\n":
        text += end
    get_run_logger().info("%s", text)
