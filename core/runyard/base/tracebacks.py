"""Exceptions as their readers want them: in one bounded line, or with the user's frames alone."""

from __future__ import annotations

import os

from runyard.base import texts
from runyard.base.redaction import redact

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


def describe(error: BaseException) -> str:
    """`ValueError: message`, or only the class name if the exception has no message.

    The text has a limited length. This never raises, even if the exception's own code does.
    """
    text = texts.message(redact(texts.told(error)))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def shown(error: BaseException) -> str:
    """The `repr` of an exception, limited and redacted as in `describe`."""
    return texts.message(redact(texts.told(error, repr)))
