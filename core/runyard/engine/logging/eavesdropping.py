"""Captures the records of a logger in a block as one text: `prefect.logging.LogEavesdropper`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


class LogEavesdropper(logging.Handler):
    """A block that captures a logger's records: `with LogEavesdropper("apprise") as log: ...; log.text()`.

    Args:
        eavesdrop_on: the logger's name.
        level: the lowest level that is captured.
    """

    def __init__(self, eavesdrop_on: str, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self._logger = logging.getLogger(eavesdrop_on)
        self._before = logging.NOTSET
        self._lines: list[str] = []

    def __enter__(self) -> Self:
        self._before = self._logger.level
        self._logger.addHandler(self)
        self._logger.setLevel(self.level)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._logger.removeHandler(self)
        self._logger.setLevel(self._before)

    def emit(self, record: logging.LogRecord) -> None:
        """Capture a record."""
        self._lines.append(self.format(record))

    def text(self) -> str:
        """The captured records, one per line."""
        return "\n".join(self._lines)
