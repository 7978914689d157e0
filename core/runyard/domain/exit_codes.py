"""Explains the exit codes of processes."""

from __future__ import annotations

import signal

_HINTS = {
    0: "The process ended without reporting the end of the run.",
    1: "A general error; see the run's logs.",
    125: "The container could not run.",
    126: "The command is not executable.",
    127: "The command was not found.",
    137: "It was killed (SIGKILL), likely for using too much memory.",
    143: "It was terminated (SIGTERM).",
    247: "It was killed, likely for using too much memory.",
    0xC000013A: "It was interrupted with Ctrl-C.",
    -signal.SIGKILL: "It was killed (SIGKILL): by hand, or for using too much memory.",
    -signal.SIGTERM: "It was terminated (SIGTERM): by hand, or because its machine shut down.",
}


def describe_exit(code: int) -> str:
    """One line about an unexpected exit code.

    Args:
        code: as the operating system reports it; negative: the number of the signal that ended the process.
    """
    hint = _HINTS.get(code)
    if hint is None and code < 0:
        try:
            hint = f"It was ended by {signal.Signals(-code).name}."
        except ValueError:
            hint = f"It was ended by signal {-code}."
    return f"Process exited with status code {code}. {hint or 'See the logs of the run.'}"
