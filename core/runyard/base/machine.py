"""Identifies this machine, its boot and its processes, to prove that a process has died.

A process is identified by its number and its start time, which are unique within a boot. On systems
other than Linux there is no identity and no proof.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_INTERFACES = "/sys/class/net"


@lru_cache(maxsize=1)
def boot_id() -> str:
    """The id of the machine's boot; empty if the system has none."""
    return _read(_BOOT_ID)


@lru_cache(maxsize=1)
def place() -> str | None:
    """A text that identifies this machine, across boots if possible; None if nothing does.

    It is derived from the machine's id, its name and the addresses of its network cards, because copied
    machines have the same id. Without an id, as in many containers, it is the boot and the process namespace.
    """
    boot, namespace = boot_id(), pid_namespace()
    if not boot or not namespace:
        return None
    machine_id = _read("/etc/machine-id")
    parts = [machine_id, os.uname().nodename, *_cards()] if machine_id else [boot, namespace]
    import hashlib

    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def identity(launcher_pid: int | None = None) -> tuple[str | None, str | None]:
    """The identity of this process, by which others can prove its death: JSON, or None.

    Args:
        launcher_pid: the process that owns the processes of the runs, if it is another one.
    """
    here, start = place(), started(os.getpid())
    if here is None or start is None:
        return None, None
    proof = {"kind": "process", "boot": boot_id(), "pids": pid_namespace(), "worker": [os.getpid(), start]}
    if launcher_pid is not None:
        launcher = started(launcher_pid)
        if launcher is None:
            return None, None  # it has just ended; the next claim uses a new launcher
        proof["launcher"] = [launcher_pid, launcher]
    return here, json.dumps(proof, separators=(",", ":"))


@lru_cache(maxsize=1)
def pid_namespace() -> str:
    """The namespace of process numbers; empty if unknown."""
    try:
        return str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        return ""


def started(pid: int) -> int | None:
    """The start time of a process, in ticks since the boot; None if it has ended (or is a zombie)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else int(fields[19])


def is_alive(pid: int, start: int) -> bool:
    """Whether the process with this number and start time is alive; True in doubt."""
    found = started(pid)
    if found is not None:
        return found == start
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # A process of another user, which this system may hide.
        return not os.path.exists(f"/proc/{pid}")
    # It is our own, so if we cannot read it, it has ended.
    return False


def is_gone(at: str | None, proof: str | None) -> bool:
    """Whether the process of an `identity` has certainly ended, as far as this process can tell."""
    if at is None or proof is None or at != place():
        return False
    try:
        facts = json.loads(proof)
        if facts["kind"] != "process":
            return False
        if facts["boot"] != boot_id():
            return True
        return bool(facts["pids"] == pid_namespace()) and not is_alive(*facts["worker"])
    except (ValueError, TypeError, KeyError):
        return False  # from a newer version or another program


def children(pid: int) -> list[int]:
    """The child processes of a process."""
    try:
        names = os.listdir("/proc")
    except OSError:
        return []
    found = []
    for name in filter(str.isdigit, names):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(name))
    return found


def _cards() -> list[str]:
    """The addresses of hardware network cards; virtual ones, which programs create, do not count."""
    try:
        names = sorted(os.listdir(_INTERFACES))
    except OSError:
        return []
    cards = [name for name in names if os.path.exists(f"{_INTERFACES}/{name}/device")]
    return [_read(f"{_INTERFACES}/{name}/address") for name in cards]


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except (OSError, ValueError):
        return ""
