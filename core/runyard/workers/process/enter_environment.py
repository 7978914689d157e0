"""Turns a fork of the launcher into a run in an environment: fetches its code, then executes its Python."""

from __future__ import annotations

import os
from typing import Any

from runyard.base.errors import InvalidInput, RunyardError
from runyard.workers.environments import environment_store
from runyard.workers.environments.make_environment import environment_for
from runyard.workers.environments.requirement_files import AUTO, find
from runyard.workers.process import run_code
from runyard.workers.process.process_constants import HOOKS_VARIABLE, RUN_MODULE


def enter(job: dict[str, Any], deployment: dict[str, Any] | None, argv: list[str] | None) -> list[str]:
    """Prepare this process to become the run in its environment; create the environment if it is missing.

    Args:
        job: `environment` (`auto`, a requirements file, or an environment's folder) and `python` (the base
            interpreter).
        deployment: as the API returns it.
        argv: a command instead of the flow; it finds the environment's programs first.

    Returns:
        The command to execute.

    Raises:
        RunyardError: the code cannot be fetched, or the environment cannot be created.
    """
    name = str(job["environment"])
    start = os.path.realpath(os.getcwd())
    folder = run_code.bring(deployment)
    path = os.path.join(folder, os.path.expanduser(name))
    if name != AUTO and os.path.isdir(path):
        root, lock = _existing(path, job.get("python")), None
    else:
        # Pull steps put the code into the run's folder, which is removed with the run.
        inside = os.path.commonpath((start, os.path.realpath(folder))) == start
        pulled = inside and bool(deployment and deployment.get("pull_steps"))
        # A run that was stopped while its environment was created has no hooks to call yet.
        may_make = HOOKS_VARIABLE not in os.environ
        held = environment_for(find(name, folder, lasting=not pulled), job.get("python"), _say, may_make)
        root, lock = held.folder, held.lock
    try:
        run_code.hand_over(folder, lock)
    except OSError as error:
        raise RunyardError(f"cannot write a temporary file: {error.strerror}") from error
    programs = os.path.join(root, "bin")
    os.environ["VIRTUAL_ENV"] = root
    os.environ["PATH"] = os.pathsep.join(filter(None, (programs, os.environ.get("PATH"))))
    # -P: without the current folder, whose modules could hide those of the standard library.
    return argv or [environment_store.python_of(root), "-P", "-m", RUN_MODULE]


def _existing(path: str, python: str | None) -> str:
    """Check a virtual environment of the user."""
    path = os.path.abspath(path)
    if python is not None:
        raise InvalidInput(
            f"python and environment: {path} cannot both be set; an environment has its own Python"
        )
    if not os.access(environment_store.python_of(path), os.X_OK):
        raise InvalidInput(f"environment: {path} is not a virtual environment: it has no bin/python")
    return path


def _say(line: str) -> None:
    print(line, flush=True)
