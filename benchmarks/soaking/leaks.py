"""What a soak left behind on the machine, and which of its processes complained of a locked database."""

from __future__ import annotations

import glob
import os
import re
import time

# What an installation on SQLite, and its workers and servers, may have in their home.
_HOME = re.compile(r"runyard\.db(-wal|-shm)?$|api\.token$")
_LOCKED = re.compile(r"database (table )?is locked|SQLITE_BUSY|deadlock", re.IGNORECASE)
_GRACE_SECONDS = 10.0


def leaks(folder: str) -> list[str]:
    """Processes, scratch folders and files that are still there, one line each.

    Args:
        folder: the soak's; its processes are known by it, and their temporary files are in its `tmp`.
    """
    deadline = time.monotonic() + _GRACE_SECONDS
    while (processes := _processes(folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    found = [f"process left: {each}" for each in processes]
    found += [f"left in the temporary folder: {each}" for each in sorted(os.listdir(f"{folder}/tmp"))]
    home = f"{folder}/home"
    if os.path.isdir(home):
        names = (os.path.relpath(path, home) for path in glob.glob(f"{home}/**", recursive=True))
        found += [f"left in the home: {name}" for name in names if name != "." and not _HOME.match(name)]
    return found


def _processes(folder: str) -> list[str]:
    mark, found = f"SOAK_FOLDER={folder}".encode(), []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                ours = mark in file.read().split(b"\0")
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                command = file.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it ended, or is somebody else's
        if ours:
            found.append(f"{pid} {command[:100]}")
    return found


def locked(folder: str) -> list[str]:
    """Lines of what the processes printed that tell of a lock as no user may see it."""
    found = []
    for path in sorted(glob.glob(f"{folder}/*.log")):
        with open(path, encoding="utf-8", errors="replace") as file:
            found += [f"{os.path.basename(path)}: {line.strip()}" for line in file if _LOCKED.search(line)]
    return found
