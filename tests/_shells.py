"""Shells in which a test presses TAB: bash, zsh and fish, each in a terminal of its own."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import time
from contextlib import suppress

from _tools import need

_SECONDS = 60.0
_KEYS = {"TERM": "xterm", "LC_ALL": "C.UTF-8", "HISTFILE": "/dev/null"}
_ARGUMENTS = {
    "bash": ["--norc", "--noprofile", "-i"],
    "zsh": ["-f", "-i"],
    "fish": ["--no-config", "-i"],
}
# `_words` writes its arguments; what the shell itself offers after TAB goes to a second file.
_BEGIN = {
    "bash": """
        bind 'set bell-style none' 'set enable-bracketed-paste off'; PS1='> '
        _words() { printf '%s\\n' "$@" > "$OUT.part"; mv "$OUT.part" "$OUT"; }
        . ./script
    """,
    "zsh": """
        unsetopt beep; PS1='> '; zstyle ':completion:*' list-prompt ''
        autoload -U compinit; compinit -u -D
        _words() { printf '%s\\n' "$@" > "$OUT.part"; mv "$OUT.part" "$OUT"; }
        . ./script
    """,
    "fish": """
        function fish_prompt; echo '> '; end; function fish_greeting; end
        function _words; printf '%s\\n' $argv > "$OUT.part"; mv "$OUT.part" "$OUT"; end
        source ./script
    """,
}
_ZSH_OFFERS = """
compadd() {
    local -a hits
    builtin compadd -A hits "$@"
    (( $#hits )) && print -rl -- $hits >> "$OUT.offers"
    builtin compadd "$@"
}
"""


class Shell:
    """An interactive shell in a folder that has the completion script as `script`.

    Args:
        kind: bash, zsh or fish.
        program: the folder of the program that is completed.
    """

    def __init__(self, kind, folder, program):
        self.kind, self.folder, self.out = kind, folder, folder / f"{kind}.out"
        need(kind)
        self.environment = {
            **os.environ, **_KEYS, "HOME": str(folder), "OUT": str(self.out),
            "PATH": f"{program}{os.pathsep}{os.environ['PATH']}",
        }  # fmt: skip
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(kind, [kind, *_ARGUMENTS[kind]], self.environment)
        (folder / "begin").write_text(_BEGIN[kind] + (_ZSH_OFFERS if kind == "zsh" else ""))
        self.screen, self.shown = b"", 0
        self.type(f"{'source' if kind == 'fish' else '.'} ./begin; _words ready\n")
        assert self.words() == ["ready"]

    def type(self, keys):
        """Type on its keyboard."""
        os.write(self.terminal, keys.encode())

    def words(self):
        """What `_words` wrote, once it has."""
        deadline = time.monotonic() + _SECONDS
        while not self.out.exists():
            assert time.monotonic() < deadline, self.screen.decode(errors="replace")
            self._read()
        found = self.out.read_text().splitlines()
        self.out.unlink()
        # Until the shell reads keys again, the terminal itself would handle them.
        while b"> " not in self.screen[self.shown :]:
            assert time.monotonic() < deadline, self.screen.decode(errors="replace")
            self._read()
        self.shown = len(self.screen)
        return found

    def _read(self):
        if select.select([self.terminal], [], [], 0.02)[0]:
            with suppress(OSError):
                self.screen += os.read(self.terminal, 65536)

    def completed(self, line):
        """The words of a line after TAB, as a command would receive them. An empty word ends with a space."""
        # The keys after TAB wait until the shell has completed. `.` shows whether a space follows.
        self.type(f"{line}\t.\x01_words \n")
        return self.words()

    def offers(self, line):
        """All that the shell itself offers for the end of a line."""
        if self.kind == "fish":
            done = subprocess.run(
                ["fish", "--no-config", "-c", "source ./script; complete -C $LINE"],
                cwd=self.folder, env={**self.environment, "LINE": line}, capture_output=True, text=True,
                check=True, timeout=_SECONDS,
            )  # fmt: skip
            return [each.partition("\t")[0] for each in done.stdout.splitlines()]
        found = self.folder / f"{self.kind}.out.offers"
        found.unlink(missing_ok=True)
        if self.kind == "bash":
            self.type(
                '_offers() { _runyard_completion "$@"; '
                'printf \'%s\\n\' "${COMPREPLY[@]}" > "$OUT.offers"; }; '
                "complete -F _offers runyard; _words set\n"
            )
            self.words()
        self.completed(line)
        if self.kind == "bash":
            self.type("complete -F _runyard_completion runyard; _words set\n")
            self.words()
        return found.read_text().splitlines() if found.exists() else []

    def close(self):
        """End it."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)
