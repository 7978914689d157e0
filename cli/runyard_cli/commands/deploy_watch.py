"""`runyard deploy --watch`: deploys again whenever a file of the project is saved."""

from __future__ import annotations

import subprocess
import sys
import time

from runyard_cli.shared import output as out

_LOOK_SECONDS = 0.3


def watch(project_file: str, arguments: list[str]) -> None:
    """Deploy now and after every change, until interrupted. A failing deploy waits for the next change.

    Every deploy is a process of its own: the code that it loads is the code that was saved.

    Args:
        project_file: the prefect.yaml; the Python files below its folder are looked at too.
        arguments: of the deploy, without --watch.
    """
    from runyard.deployments.dev.saved_files import SavedFiles

    # -P: without the current folder, whose modules could hide those of the standard library.
    command = [sys.executable, "-P", "-m", "runyard_cli.main", *arguments]
    files = SavedFiles(project_file)
    while True:
        subprocess.run(command, check=False)
        out.progress("Waiting for changes; Ctrl-C ends.")
        while not (saved := files.changed()):
            time.sleep(_LOOK_SECONDS)
        out.progress(f"{saved[0]} changed; deploying")
