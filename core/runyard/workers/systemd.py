"""The systemd unit of a worker.

Facts: systemd.unit(5) (specifiers), systemd.service(5) (command lines), systemd.exec(5), systemd.syntax(7).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# How much longer than the worker itself systemd waits before it kills the rest.
_MARGIN_SECONDS = 15


def unit(
    command: Sequence[str],
    description: str,
    environment: Mapping[str, str],
    stop_seconds: float,
    of_user: bool = False,
    user: str = "root",
) -> str:
    """Create the text of a unit file.

    Args:
        command: the command to start; the first word is an absolute path.
        description: the description for users.
        environment: variables; put secrets into the file that the unit names, which may be missing.
        stop_seconds: how long the worker may take to stop after SIGTERM.
        of_user: create a unit for `systemctl --user`, else for the system.
        user: the user, by name or number, of a system unit.

    Raises:
        ValueError: a word contains a control character, which a unit cannot express.
    """
    for text in (*command, description, *environment, *environment.values()):
        if any(ord(char) < 32 or ord(char) == 127 for char in text):
            raise ValueError(f"{text!r} contains a control character")
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
        "# Secrets such as API keys: NAME=VALUE lines, readable only by root or the owner.",
        f"EnvironmentFile={secrets}",
        "# SIGTERM goes to the worker, which lets its runs finish. After the timeout SIGKILL goes to all.",
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
    """Quote one word for systemd: no specifiers, no variables, no splitting."""
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    if in_command:
        text = text.replace("$", "$$")
    plain = all(char.isalnum() or char in "/._-=:@,+%" for char in text) and text
    return text if plain else f'"{text}"'
