"""Secrets that this process holds, replaced by stars in whatever it logs, prints and reports."""

from __future__ import annotations

import os
import sys
from typing import Any

STARS = "********"
# Shorter ones are in every second word: replacing them would tell more than it hides.
_SHORTEST = 4
_known: set[str] = set()


def register(value: Any) -> None:
    """Never show this text, nor the texts in this collection, from now on."""
    if isinstance(value, dict):
        for item in value.values():
            register(item)
    elif isinstance(value, (list, tuple, set)):
        for item in value:
            register(item)
    elif isinstance(value, (str, bytes)):
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        for part in {text, text.strip(), *text.splitlines()}:
            if len(part) >= _SHORTEST and part not in _known:
                _known.add(part)
                _guard_output()


def known() -> tuple[str, ...]:
    """Every secret, for another process that does this one's work: it is to `register` them."""
    return tuple(_known)


def redact(text: str) -> str:
    """The text with every known secret replaced."""
    if not _known:
        return text
    # The longest first: a part of another secret must not leave the rest of it readable.
    for secret in sorted(_known, key=len, reverse=True):
        if secret in text:
            text = text.replace(secret, STARS)
    return text


def redact_json(text: str) -> str:
    """A JSON text with every known secret replaced in the texts that it holds, however they are written."""
    if not _known:
        return text
    import json

    return json.dumps(_redacted(json.loads(text)), separators=(",", ":"), ensure_ascii=False)


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact(name): _redacted(item) for name, item in value.items()}
    return [_redacted(item) for item in value] if isinstance(value, list) else value


class _Guarded:
    """A stream that redacts what is written to it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, redacted."""
        self._stream.write(redact(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write each line, redacted."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _guard_output() -> None:
    """In a run that a worker launched, what goes to the standard streams is kept as logs: redact it there."""
    if "RUNYARD__FLOW_RUN_ID" not in os.environ:
        return
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, _Guarded):
            setattr(sys, name, _Guarded(stream))
