"""Detects the container in which this process runs, from the mounts that an engine or a node created."""

from __future__ import annotations

import re

_MOUNTS = "/proc/self/mountinfo"
# Source and target of a mount: the engine's file at /etc/hostname, the node's termination log.
_OF_DOCKER = re.compile(r" \S*/containers/([0-9a-f]{64})/(?:hostname|hosts|resolv\.conf) /etc/\S+ ")
_OF_A_POD = re.compile(r" \S*/pods/([0-9a-f-]{36})/containers/([^/\s]+)/[0-9a-f]+ /dev/termination-log ")


def of_docker() -> str | None:
    """The id of the Docker container in which this process runs, or None."""
    found = _OF_DOCKER.search(_mounts())
    return found[1] if found else None


def of_pod(uid: str) -> str:
    """The name of the container, in a given pod, in which this process runs; empty if unknown."""
    found = _OF_A_POD.search(_mounts())
    return found[2] if found and found[1] == uid else ""


def _mounts() -> str:
    try:
        with open(_MOUNTS, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
