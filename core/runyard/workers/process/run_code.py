"""The code of a run on this machine: pulled, or the folder of its deployment; once a run, whatever runs it.

A process that has fetched the code and becomes another program hands over what it knows: where the code is,
the secrets it has read, and the lock of the environment that the program runs in.
"""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any

from runyard.base import descriptors, redaction
from runyard.base.errors import EntrypointError
from runyard.deployments.steps.execute import run_pull_steps

# In the environment of the other program: an open file, by `descriptors.name_of`.
_VARIABLE = "RUNYARD__HANDED_OVER"


def bring(deployment: dict[str, Any] | None) -> str:
    """Bring the code of a deployment here; the folder that holds it.

    Args:
        deployment: as the API shows it; None: the current folder is what there is.

    Raises:
        RunyardError: it cannot be had.
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
    """Let the program that this process becomes find the code and know the secrets.

    Args:
        folder: of the code.
        lock: a file that it is to hold open.

    Raises:
        OSError: there is no room for it.
    """
    told: dict[str, Any] = {"folder": folder, "secrets": list(redaction.known())}
    if lock is not None:
        os.set_inheritable(lock, True)
        told["lock"] = descriptors.name_of(lock)
    # Without a name, and for its owner only: secrets are in it.
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
