"""In which container this process runs, as the mounts tell that an engine or a node made for it."""

from __future__ import annotations

import re

_MOUNTS = "/proc/self/mountinfo"
# What is mounted, and where: a file of the engine as /etc/hostname, one of the node for last words.
_OF_DOCKER = re.compile(r" \S*/containers/([0-9a-f]{64})/(?:hostname|hosts|resolv\.conf) /etc/\S+ ")
_OF_A_POD = re.compile(r" \S*/pods/([0-9a-f-]{36})/containers/([^/\s]+)/[0-9a-f]+ /dev/termination-log ")


def of_docker() -> str | None:
    """The id of the Docker container in which this process runs; None where it does not."""
    found = _OF_DOCKER.search(_mounts())
    return found[1] if found else None


def of_pod(uid: str) -> str:
    """The name of the container, of a pod, in which this process runs; empty where nothing tells it."""
    found = _OF_A_POD.search(_mounts())
    return found[2] if found and found[1] == uid else ""


def _mounts() -> str:
    try:
        with open(_MOUNTS, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
