"""`runyard deploy --watch`: deploys again whenever a file of the project is saved."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from runyard_cli.shared import output as out

_LOOK_SECONDS = 0.3
_SKIPPED = frozenset(("__pycache__", "node_modules", "site-packages", "venv", "build", "dist"))


def watch(project_file: str, arguments: list[str]) -> None:
    """Deploy now and after every change, until interrupted. A failing deploy waits for the next change.

    Every deploy is a process of its own: the code that it loads is the code that was saved.

    Args:
        project_file: the prefect.yaml; the Python files below its folder are looked at too.
        arguments: of the deploy, without --watch.
    """
    command = [sys.executable, "-m", "runyard_cli.main", *arguments]
    seen: dict[str, tuple[int, int]] = {}
    while True:
        now = _stamps(project_file)
        if now != seen:
            if seen:
                changed = sorted(name for name in {*now, *seen} if now.get(name) != seen.get(name))
                out.progress(f"{os.path.relpath(changed[0])} changed; deploying")
            seen = now
            subprocess.run(command, check=False)
            out.progress("Waiting for changes; Ctrl-C ends.")
        time.sleep(_LOOK_SECONDS)


def _stamps(project_file: str) -> dict[str, tuple[int, int]]:
    """When each file of the project was last changed, and its size.

    A file that is looked at while it is written may get its end in the same tick of the file system's clock.
    """
    folder = os.path.dirname(os.path.abspath(project_file))
    found: dict[str, tuple[int, int]] = {}
    names = [os.path.abspath(project_file)]
    for base, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name[0] != "." and name not in _SKIPPED]
        names += [os.path.join(base, name) for name in files if name.endswith(".py")]
    for name in names:
        try:
            told = os.stat(name)
        except FileNotFoundError:
            continue
        found[name] = (told.st_mtime_ns, told.st_size)
    return found
