"""The code of a run on this machine: pulled, or the folder of its deployment; fetched once per run.

A process that has fetched the code and executes another program passes on the folder of the code, the
secrets that it has read, and the lock of the environment of that program.
"""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any

from runyard.base import descriptors, redaction
from runyard.base.errors import EntrypointError
from runyard.deployments.steps.execute import run_pull_steps

# The variable that names (`descriptors.name_of`) the open file with this data.
_VARIABLE = "RUNYARD__HANDED_OVER"


def bring(deployment: dict[str, Any] | None) -> str:
    """Fetch the code of a deployment; return its folder.

    Args:
        deployment: as the API returns it; None: use the current folder.

    Raises:
        RunyardError: the code cannot be fetched.
    """
    handed = _take()
    if handed is not None:
        return str(handed["folder"])
    before = os.getcwd()
    if deployment is None:
        return before
    folder = run_pull_steps(deployment["pull_steps"]) if deployment.get("pull_steps") else before
    if folder == before and deployment.get("path"):
        folder = str(deployment["path"])
        if not os.path.isdir(folder):
            raise EntrypointError(f"the deployment's path {folder} is not a folder on this machine")
    return folder


def hand_over(folder: str, lock: int | None) -> None:
    """Pass on the code's folder and the known secrets to the program that this process executes next.

    Args:
        folder: the folder of the code.
        lock: a file that the program must keep open.

    Raises:
        OSError: the temporary file cannot be written.
    """
    told: dict[str, Any] = {"folder": folder, "secrets": list(redaction.known())}
    if lock is not None:
        os.set_inheritable(lock, True)
        told["lock"] = descriptors.name_of(lock)
    # A file without a name, readable only by its owner, as it contains secrets.
    with tempfile.TemporaryFile() as file:
        file.write(json.dumps(told).encode())
        file.flush()
        number = os.dup(file.fileno())
    os.set_inheritable(number, True)
    os.environ[_VARIABLE] = descriptors.name_of(number)


def _take() -> dict[str, Any] | None:
    name = os.environ.pop(_VARIABLE, None)
    number = descriptors.find(name) if name else None
    if number is None:
        return None
    with open(number, encoding="utf-8") as file:
        file.seek(0)
        told: dict[str, Any] = json.load(file)
    redaction.register(told["secrets"])
    lock = descriptors.find(told["lock"]) if told.get("lock") else None
    if lock is not None:
        os.set_inheritable(lock, False)
    return told
