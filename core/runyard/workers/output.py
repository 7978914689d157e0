"""What runs print: pipes read by the worker, cut into lines, kept as the runs' logs."""

from __future__ import annotations

import codecs
import os
import sys
from typing import TYPE_CHECKING, Any

from runyard import clock
from runyard.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK = 1 << 16
# A longer line is kept as several records, so that one line without an end cannot fill the memory.
MAX_LINE_CHARACTERS = 32_768
_INFO = 20


class Pipe:
    """One stream of a run, read when the selector says so.

    Args:
        name: `stdout` or `stderr`.
        keep: called with each line, without its end.
        echo: whether the worker's own stream of that name shows the lines too.
    """

    def __init__(self, name: str, keep: Callable[[str, str], None], echo: bool) -> None:
        self.name = name
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        self.open = True
        self._keep = keep
        self._echo = echo
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def read(self) -> bool:
        """Take what has arrived, one chunk at most; whether there may be more."""
        try:
            data = os.read(self.read_end, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self.open = False
            self._take(self._decoder.decode(b"", True), last=True)
            return False
        self._take(self._decoder.decode(data), last=False)
        return True

    def drain(self) -> None:
        """Take all that is there now; a process that outlives the run may still hold the other end."""
        while self.read():
            pass
        if self.open:
            self.open = False
            self._take(self._decoder.decode(b"", True), last=True)

    def close(self) -> None:
        """Close the read end."""
        self.open = False
        os.close(self.read_end)

    def _take(self, text: str, last: bool) -> None:
        *lines, rest = (self._rest + text).split("\n")
        # Secrets that the worker gave to the run, by its job variables.
        lines = [redact(line) for line in lines]
        if last and rest:
            lines, rest = [*lines, redact(rest)], ""
        while len(rest) > MAX_LINE_CHARACTERS:
            lines.append(rest[:MAX_LINE_CHARACTERS])
            rest = rest[MAX_LINE_CHARACTERS:]
        self._rest = rest
        for line in lines:
            line = line.removesuffix("\r")
            for start in range(0, len(line) or 1, MAX_LINE_CHARACTERS):
                self._keep(self.name, line[start : start + MAX_LINE_CHARACTERS])
        if self._echo and lines:
            stream = sys.stdout if self.name == "stdout" else sys.stderr
            try:
                stream.write("".join(f"{line}\n" for line in lines))
                stream.flush()
            except OSError:
                self._echo = False  # nobody looks at the worker any more; its runs go on


class LogBuffer:
    """Lines of all runs on their way to the database, written in groups.

    Args:
        write: writes a list of log bodies; raises when it cannot, and is asked again later.
    """

    # Beyond this the worker stops reading pipes, so that runs wait for a database that is away.
    FULL = 50_000
    GROUP = 1_000

    def __init__(self, write: Callable[[list[dict[str, Any]]], None]) -> None:
        self._write = write
        self._waiting: list[dict[str, Any]] = []

    @property
    def full(self) -> bool:
        """Whether no more should be read for now."""
        return len(self._waiting) >= self.FULL

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, flow_run_id: str, logger: str, message: str, level: int = _INFO) -> None:
        """Keep one line of a run, as of now."""
        self._waiting.append(
            {
                "flow_run_id": flow_run_id,
                "name": logger,
                "level": level,
                "message": message.replace("\x00", "\N{REPLACEMENT CHARACTER}"),
                "timestamp": clock.format_time(clock.now()),
            }
        )

    def flush(self) -> None:
        """Write all; what could not be written stays."""
        while self._waiting:
            group = self._waiting[: self.GROUP]
            self._write(group)
            del self._waiting[: len(group)]
