"""Programs that some tests need: found, installed if allowed (root, with apt), else the test is skipped."""

from __future__ import annotations

import fcntl
import functools
import glob
import os
import shutil
import subprocess
import tempfile

import pytest
from _postgres import programs


def faketime() -> str | None:
    """The library that sets the clock of single processes."""
    return next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)


# What is needed: how it is found, and the package that has it.
_TOOLS = {
    "git": (lambda: shutil.which("git"), "git"),
    "postgresql": (programs, "postgresql"),
    "faketime": (faketime, "libfaketime"),
    "dockerd": (lambda: shutil.which("dockerd"), "docker.io"),
    "docker-compose": (lambda: shutil.which("docker-compose"), "docker-compose"),
    "docker-registry": (lambda: shutil.which("docker-registry"), "docker-registry"),
    "htpasswd": (lambda: shutil.which("htpasswd"), "apache2-utils"),
    "groff": (lambda: shutil.which("groff"), "groff-base"),
    "bash": (lambda: shutil.which("bash"), "bash"),
    "zsh": (lambda: shutil.which("zsh"), "zsh"),
    "fish": (lambda: shutil.which("fish"), "fish"),
    "debootstrap": (lambda: shutil.which("debootstrap"), "debootstrap"),
}


def need(tool: str) -> str:
    """The path of a tool; skips the test, with the reason in one line, if it is missing."""
    find, package = _TOOLS[tool]
    found = find() or (_install(package) and find())
    if not found:
        pytest.skip(f"{tool} is not installed; as root: apt-get install {package}")
    return found


@functools.cache
def _install(package: str) -> bool:
    """Install a system package, once; return whether that may have worked."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}  # so it never asks
    command = ["apt-get", "install", "--yes", "--no-install-recommends", package]
    # One at a time: the processes of pytest-xdist ask for the same.
    with open(os.path.join(tempfile.gettempdir(), "runyard-tests-apt.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for step in (command, ["apt-get", "update"], command):
            try:
                done = subprocess.run(
                    step,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=600,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return False
            if step is command and done.returncode == 0:
                return True
    return False
