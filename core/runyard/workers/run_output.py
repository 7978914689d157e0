"""The output of runs: the worker reads their pipes, splits the output into lines and stores them as logs."""

from __future__ import annotations

import codecs
import os
from typing import TYPE_CHECKING, Any

from runyard.base import clock
from runyard.base.errors import ApiUnavailable, RunyardError, StoreError
from runyard.base.redaction import Secrets, redact
from runyard.base.texts import counted, visible
from runyard.engine.log_budget import RECORD_BYTES, Budget
from runyard.workers import terminal

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK = 1 << 16
# A longer line becomes several records, so that a line without an end cannot fill the memory.
MAX_LINE_CHARACTERS = 32_768
# After this much output, lines that arrive together share a record: each record has overhead.
PACKED_FROM_BYTES = 10_000_000
_INFO, _WARNING = 20, 30


class Pipe:
    """One output stream of a run; `read` is called when the selector reports data.

    Args:
        keep: called with lines, without line ends; None if they are only shown.
        echo: the worker's own stream on which to show the lines, with control characters escaped except
            colours; None: do not show them.
        hide: removes the secrets from a text; called after the text was read.
        reach: how many characters at the end of an incomplete line `hide` may still need.
    """

    def __init__(
        self,
        keep: Callable[[list[str]], None] | None,
        echo: str | None = None,
        hide: Callable[[str], str] = redact,
        reach: Callable[[], int] = lambda: 0,
    ) -> None:
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        self.open = True
        self.kept = keep is not None
        self._keep = keep
        self._echo = echo
        self._hide = hide
        self._reach = reach
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def read(self) -> bool:
        """Read at most one chunk; return whether more may be available."""
        try:
            data = os.read(self.read_end, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self._end()
            return False
        self._take(self._rest + self._decoder.decode(data))
        return True

    def drain(self) -> None:
        """Read all available data; a process that outlives the run may still hold the other end."""
        while self.read():
            pass
        if self.open:
            self._end()

    def close(self) -> None:
        """Close the read end."""
        self.open = False
        os.close(self.read_end)

    def _end(self) -> None:
        self.open = False
        rest = self._rest + self._decoder.decode(b"", True)
        if rest:
            self._take(f"{rest}\n")

    def _take(self, text: str) -> None:
        whole = text.rfind("\n") + 1
        lines = self._hide(text[:whole]).split("\n")[:-1] if whole else []
        rest = text[whole:]
        reach = self._reach()
        if len(rest) > MAX_LINE_CHARACTERS + reach:
            # The end may contain the beginning of a secret whose rest has not arrived yet.
            rest = self._hide(rest)
            at = max(len(rest) - reach, 0)
            lines.append(rest[:at])
            rest = rest[at:]
        self._rest = rest
        if lines:
            self._give(lines)

    def _give(self, lines: list[str]) -> None:
        lines = [line.removesuffix("\r") for line in lines]
        if self._keep is not None:
            self._keep([piece for line in lines for piece in _pieces(line)])
        if self._echo is not None:
            terminal.write(self._echo, "".join(f"{visible(line, colours=True)}\n" for line in lines))


def _pieces(line: str) -> list[str]:
    if len(line) <= MAX_LINE_CHARACTERS:
        return [line]
    return [line[at : at + MAX_LINE_CHARACTERS] for at in range(0, len(line), MAX_LINE_CHARACTERS)]


class RunOutput:
    """Sends the output of one run to its logs, without secrets and up to a limit.

    Args:
        logs: the buffer of the logs.
        flow_run_id: the run.
    """

    def __init__(self, logs: LogBuffer, flow_run_id: str) -> None:
        self.secrets = Secrets()
        self._logs = logs
        self._flow_run_id = flow_run_id
        self._budget: Budget[tuple[str, str, str]] = Budget()

    def hide(self, text: str) -> str:
        """Remove secrets from a text: those that the run reported, and those that the worker passed to it."""
        return self.secrets.redact(redact(text))

    def keep(self, stream: str, lines: list[str], moments: list[int] | None = None) -> None:
        """Store lines of a stream, with their times in microseconds since 1970 (0 or missing: now)."""
        now = clock.format_time(clock.now())
        texts = [clock.format_time(clock.from_us(at)) if at else now for at in moments or [0] * len(lines)]
        pairs = list(zip(lines, texts, strict=True))
        if self._budget.spent > PACKED_FROM_BYTES and not self._budget.over:
            pairs = _packed(pairs)
        for line, moment in pairs:
            was_over = self._budget.over
            if self._budget.admits((stream, line, moment), len(line)):
                self._logs.add(self._flow_run_id, f"runyard.{stream}", line, timestamp=moment)
            elif not was_over:
                self._logs.add(self._flow_run_id, "runyard.worker", self._budget.notice(), _WARNING)

    def finish(self) -> None:
        """Store the last part of the output that exceeded the limit; called at the end of the run."""
        end = self._budget.take_end()
        for stream, line, moment in end:
            self._logs.add(self._flow_run_id, f"runyard.{stream}", line, timestamp=moment)


def _packed(lines: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Join lines into as few records as possible; each record gets the time of its last line."""
    packs: list[list[str]] = [[]]
    moments = [""]
    size = 0
    for line, moment in lines:
        size += len(line) + 1
        if size > MAX_LINE_CHARACTERS and packs[-1]:
            packs.append([])
            moments.append("")
            size = len(line) + 1
        packs[-1].append(line)
        moments[-1] = moment
    return [("\n".join(pack), moment) for pack, moment in zip(packs, moments, strict=True)]


class LogBuffer:
    """Buffers log records of all runs and writes them in groups.

    Args:
        write: writes a list of log bodies; raises an error if it fails, and is called again later.
    """

    # Above this size the worker stops reading pipes, so that the runs wait while the database is unavailable.
    FULL_BYTES = 32_000_000
    # The size of one transaction; over HTTP it is one body, in which a character may take six bytes.
    GROUP_BYTES = 1_000_000

    def __init__(self, write: Callable[[list[dict[str, Any]]], None]) -> None:
        self._write = write
        self._waiting: list[dict[str, Any]] = []
        self._bytes = 0

    @property
    def full(self) -> bool:
        """Whether the buffer is full: the caller must not add more for now."""
        return self._bytes >= self.FULL_BYTES

    def __len__(self) -> int:
        return len(self._waiting)

    def add(
        self, flow_run_id: str, logger: str, message: str, level: int = _INFO, timestamp: str | None = None
    ) -> None:
        """Add a log record of a run; the default time is now."""
        self._bytes += _size(message)
        self._waiting.append(
            {
                "flow_run_id": flow_run_id,
                "name": logger,
                "level": level,
                "message": message.replace("\x00", "\N{REPLACEMENT CHARACTER}"),
                "timestamp": timestamp or clock.format_time(clock.now()),
            }
        )

    def flush(self) -> None:
        """Write all records; unwritten records stay in the buffer, refused ones are dropped.

        Raises:
            StoreError, ApiUnavailable: the database or the API is unavailable.
        """
        while self._waiting:
            group = self._group()
            try:
                self._write(group)
            except (StoreError, ApiUnavailable):
                raise
            except RunyardError as error:
                self._write_each(group, error)
            self._bytes -= sum(_size(body["message"]) for body in group)
            del self._waiting[: len(group)]

    def _group(self) -> list[dict[str, Any]]:
        size = 0
        for at, body in enumerate(self._waiting):
            size += _size(body["message"])
            if size > self.GROUP_BYTES and at:
                return self._waiting[:at]
        return self._waiting[:]

    def _write_each(self, group: list[dict[str, Any]], error: RunyardError) -> None:
        """Write the records of a refused group one by one, as possibly only one of them is invalid."""
        refused = 0
        for body in group:
            try:
                self._write([body])
            except (StoreError, ApiUnavailable):
                raise
            except RunyardError as reason:
                refused, error = refused + 1, reason
        if refused:
            terminal.say_to_terminal("ERROR", f"refused and lost: {counted(refused, 'log record')}: {error}")


def _size(message: str) -> int:
    return len(message) + RECORD_BYTES
