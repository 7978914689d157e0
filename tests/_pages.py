"""Does what a page of the documentation says: writes its files and types its commands, in a fresh folder.

- A block with `title="FILE"` is a file.
- In a `console` block, what follows `$ ` is typed, in one shell for the whole page. Lines of output that the
  page shows must appear in that order; `...` stands for anything.
- `<!-- second terminal -->` before a block: its last command runs in the background until the page ends. The
  page goes on when it has printed the lines that are shown, or else its first line.
- `<!-- exit code N -->` before a block: what its commands return.
- `<!-- not run: REASON -->` before a block: its file is not written, its commands are not typed.
"""

from __future__ import annotations

import os
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]+) -->\n)?"
    r"```(?P<kind>\w+)(?: title=\"(?P<title>[^\"\n]+)\")?\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_SECONDS = 120
_END = "=== the command has ended"


@dataclass(frozen=True)
class Block:
    """A file to write (`title`), or commands to type."""

    mark: str
    kind: str
    title: str
    text: str

    def commands(self) -> list[tuple[str, list[str]]]:
        """Each command with the lines of output that are shown for it."""
        found: list[tuple[str, list[str]]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif found and found[-1][0].endswith("\\"):
                found[-1] = (f"{found[-1][0]}\n{line}", [])
            elif line.strip() != "...":
                found[-1][1].append(line)
        return found


def blocks(page: str) -> list[Block]:
    """The files and commands of a page, but for those that are marked as not run."""
    found = [
        Block(one["mark"] or "", one["kind"], one["title"] or "", one["text"])
        for one in _BLOCK.finditer(page)
        if one["title"] or one["kind"] == "console"
    ]
    return [block for block in found if not block.mark.startswith("not run: ")]


class Reader:
    """A shell on this machine, for which nothing of the tests' own settings counts."""

    def __init__(self, folder: Path, replaced: dict[str, str] | None = None) -> None:
        """
        Args:
            folder: where the reader starts; the home is created beside it.
            replaced: words of the page and what stands for them here, such as a port.
        """
        self._replaced = replaced or {}
        folder.mkdir()
        self._folder = folder
        self._environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("RUNYARD_", "PREFECT_"))
        } | {
            "RUNYARD_HOME": str(folder.parent / "home"),
            "HOME": str(folder.parent),
            "PATH": os.pathsep.join((os.path.dirname(sys.executable), os.environ["PATH"])),
            "NO_COLOR": "1",
            "PYTHONUNBUFFERED": "1",
        }
        self._running: list[subprocess.Popen[bytes]] = []
        self._shell = self._start(["bash", "--norc"], stdin=subprocess.PIPE)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_error: object) -> None:
        for process in [*reversed(self._running), self._shell]:  # a worker before its server
            try:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(20)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def follow(self, page: str) -> None:
        """Write the page's files and type its commands."""
        for block in blocks(page):
            text = block.text
            for word, other in self._replaced.items():
                text = text.replace(word, other)
            block = Block(block.mark, block.kind, block.title, text)
            if block.title:
                target = self._folder / block.title
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(block.text)
            elif block.mark == "second terminal":
                self._run_beside(block.commands())
            else:
                expected = int(block.mark.removeprefix("exit code ")) if block.mark.startswith("exit") else 0
                for command, lines in block.commands():
                    self._type(command, lines, expected)

    def _start(self, arguments: list[str], stdin: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            arguments, cwd=self._folder, env=self._environment, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True, stdin=stdin,
        )  # fmt: skip

    def _type(self, command: str, lines: list[str], expected: int) -> None:
        assert self._shell.stdin
        typed = f"eval {shlex.quote(command)} </dev/null\nprintf '\\n{_END} %s %s\\n' $? \"$PWD\"\n"
        self._shell.stdin.write(typed.encode())
        self._shell.stdin.flush()
        output = _read(self._shell, command, _END)
        said, _, end = output.rpartition(f"\n{_END} ")
        code, _, folder = end.strip().partition(" ")
        self._folder = Path(folder)
        assert int(code) == expected, f"$ {command}\nexit code {code}\n{said}"
        missing = _not_shown(lines, said)
        assert missing is None, f"$ {command}\nnot shown: {missing}\n{said}"

    def _run_beside(self, commands: list[tuple[str, list[str]]]) -> None:
        *first, (last, lines) = commands
        script = "\n".join(["set -e", *(command for command, _ in first), f"exec {last}"])
        process = self._start(["bash", "-c", script], stdin=subprocess.DEVNULL)
        self._running.append(process)
        output = _read(process, last, "\n")
        while _not_shown(lines, output) is not None:
            output += _read(process, last, "\n")


def _not_shown(lines: list[str], output: str) -> str | None:
    """The first of the lines that does not follow the ones before it in the output."""
    rest = iter(output.splitlines())
    for line in lines:
        pattern = re.compile(".*".join(re.escape(part) for part in line.split("...")))
        if not any(pattern.fullmatch(one) for one in rest):
            return line
    return None


def _read(process: subprocess.Popen[bytes], command: str, end: str) -> str:
    """What the process writes until a line starts with `end`, and the rest of that line."""
    assert process.stdout
    output, deadline = b"", time.monotonic() + _SECONDS
    while end.encode() not in output or not output.endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        more = os.read(process.stdout.fileno(), 65536) if ready else b""
        assert more, f"$ {command}\n{'ended' if ready else 'no end'}\n{output.decode(errors='replace')}"
        output += more
    return output.decode(errors="replace")
