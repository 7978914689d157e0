"""`print` inside runs with log_prints: the text goes to the run's log."""

from __future__ import annotations

import builtins
import sys
import threading
from io import StringIO
from typing import Any

from runyard.engine.context import current_flow, current_task
from runyard.engine.logging import get_run_logger

_print = builtins.print
_lock = threading.Lock()
_runs = 0


def install() -> None:
    """Replace `print` by `print_as_log`, until `uninstall` has been called as often."""
    global _print, _runs
    with _lock:
        _runs += 1
        if builtins.print is not print_as_log:
            _print = builtins.print
            builtins.print = print_as_log


def uninstall() -> None:
    """A run with log_prints has ended; after the last one, restore `print`."""
    global _runs
    with _lock:
        _runs -= 1
        if not _runs and builtins.print is print_as_log:
            builtins.print = _print


def print_as_log(*values: Any, **options: Any) -> None:
    """As `print`; in a run with log_prints, the text goes to the run's log.

    Raises:
        TypeError: as `print` raises it.
    """
    context = current_task.get() or current_flow.get()
    file = options.get("file")
    if context is None or not context.log_prints or (file is not None and file is not sys.stdout):
        _print(*values, **options)
        return
    text = StringIO()
    _print(*values, **{**options, "file": text})
    message = text.getvalue()
    if options.get("end") in (None, "\n"):
        message = message[:-1]
    get_run_logger().info("%s", message, stacklevel=2)
