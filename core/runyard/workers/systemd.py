"""The systemd unit of a worker.

Facts: systemd.unit(5) (specifiers), systemd.service(5) (command lines), systemd.exec(5), systemd.syntax(7).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# Until systemd kills what has not stopped, beyond what the worker itself waits for.
_MARGIN_SECONDS = 15


def unit(
    command: Sequence[str],
    description: str,
    environment: Mapping[str, str],
    stop_seconds: float,
    of_user: bool = False,
    user: str = "root",
) -> str:
    """The text of a unit file.

    Args:
        command: what to start; the first word is an absolute path.
        description: for people.
        environment: variables; secrets belong into the file that the unit names, which may be missing.
        stop_seconds: how long the worker may take to stop after SIGTERM.
        of_user: for `systemctl --user`; else for the system.
        user: as whom a unit of the system runs: whose home it is, by name or number.

    Raises:
        ValueError: a word holds a control character, which a unit cannot say.
    """
    for text in (*command, description, *environment, *environment.values()):
        if any(ord(char) < 32 or ord(char) == 127 for char in text):
            raise ValueError(f"{text!r} holds a control character")
    secrets = "-%h/.config/runyard/worker.env" if of_user else "-/etc/runyard/worker.env"
    lines = [
        "[Unit]",
        f"Description={description.replace('%', '%%')}",
        "Wants=network-online.target",
        "After=network-online.target",
        "",
        "[Service]",
        "Type=exec",
        *([] if of_user else [f"User={user}"]),
        f"ExecStart={' '.join(_word(word, in_command=True) for word in command)}",
        *(f"Environment={_word(f'{name}={value}')}" for name, value in environment.items()),
        "# API keys and the like: NAME=VALUE lines, readable by root or its owner alone.",
        f"EnvironmentFile={secrets}",
        "# SIGTERM goes to the worker, which lets its runs finish; SIGKILL, at the end of the time, to all.",
        "KillMode=mixed",
        f"TimeoutStopSec={int(stop_seconds) + _MARGIN_SECONDS}",
        "Restart=always",
        "RestartSec=5",
        "",
        "[Install]",
        f"WantedBy={'default.target' if of_user else 'multi-user.target'}",
    ]
    return "\n".join(lines) + "\n"


def _word(text: str, in_command: bool = False) -> str:
    """One word as systemd reads it back: no specifiers, no variables, no splitting."""
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    if in_command:
        text = text.replace("$", "$$")
    plain = all(char.isalnum() or char in "/._-=:@,+%" for char in text) and text
    return text if plain else f'"{text}"'
