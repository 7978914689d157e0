"""Tracebacks without the frames of the engine."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

_LIBRARY = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def without_engine(error: BaseException) -> BaseException:
    """Remove the engine's frames from an exception's traceback."""
    first = trace = _users_frame(error.__traceback__)
    while trace is not None:
        trace.tb_next = _users_frame(trace.tb_next)
        trace = trace.tb_next
    if first is not None:
        error.__traceback__ = first
    return error


def _users_frame(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_LIBRARY):
        trace = trace.tb_next
    return trace
