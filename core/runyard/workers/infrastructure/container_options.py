"""Converts a run's job configuration into the options of docker-py for creating a container.

Does not import the `docker` package, so that it can be tested without it.
"""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from runyard.workers.infrastructure.base import CannotStart, command_words

if TYPE_CHECKING:
    from runyard.workers.infrastructure.base import JobRequest

_HOST = "host.docker.internal"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_.-]+")
_LONGEST_NAME = 200
_URL_VARIABLES = ("RUNYARD_API_URL", "PREFECT_API_URL")
# Options that only the worker sets.
_OURS = frozenset(
    """
    image command environment labels name network_mode networks network volumes
    detach auto_remove remove stream stdout stderr
    """.split()  # noqa: SIM905  # a list of quotes is harder to read
)
# Options that a run's container cannot have, with the reason.
_NOT_FOR_RUNS = {
    "restart_policy": "a run restarts as crash_retries of its deployment allows",
    "tty": "the worker stores the output line by line, without a terminal",
}
# Variables of the template that have the same name in docker-py.
_SAME = ("mem_limit", "memswap_limit", "privileged", "shm_size", "user", "working_dir")


# The required types of variables, as a custom template may not specify them.
_KINDS: dict[str, tuple[type, str]] = {
    "networks": (list, "a list of strings"),
    "volumes": (list, "a list of strings"),
    "container_create_kwargs": (dict, "a mapping"),
    "registry_credentials": (dict, "a mapping"),
    "privileged": (bool, "true or false"),
    "image": (str, "a string"),
}
_POLICIES = ("Always", "IfNotPresent", "IfPossible", "Never")


def checked(job: dict[str, Any]) -> dict[str, Any]:
    """Check the types of a job configuration's values; strings with JSON are parsed.

    Raises:
        CannotStart: a value has the wrong type; the message names its variable.
    """
    job = dict(job)
    for name, (kind, words) in _KINDS.items():
        value = job.get(name)
        if value is None:
            continue
        if isinstance(value, str) and kind is not str:
            with suppress(ValueError):
                value = json.loads(value)
        if not isinstance(value, kind) or (
            isinstance(value, list) and not all(isinstance(one, str) for one in value)
        ):
            raise CannotStart(f"{name}: it must be {words}")
        job[name] = value
    if job.get("image_pull_policy") not in (None, *_POLICIES):
        raise CannotStart(
            f"image_pull_policy: {job['image_pull_policy']!r} is invalid; use one of {', '.join(_POLICIES)}"
        )
    return job


def container_options(request: JobRequest) -> dict[str, Any]:
    """The options of a container, besides its image, name and networks.

    Raises:
        CannotStart: a value is invalid; the message names its variable.
    """
    job = request.job
    if job.get("network_mode") and job.get("networks"):
        raise CannotStart("network_mode and networks cannot be used together: remove one of them")
    mode = network_mode(job, request.env)
    if mode == "none" and not job.get("command"):
        raise CannotStart(
            "network_mode is none, so that the run could not report; remove it, or set a command"
        )
    env = {**request.env, **(job.get("env") or {})}
    more = {
        name: value for name, value in (job.get("container_create_kwargs") or {}).items() if name not in _OURS
    }
    for name in _NOT_FOR_RUNS:
        if more.pop(name, None):
            request.say(f"container_create_kwargs: {name} is left out; {_NOT_FOR_RUNS[name]}")
    hosts = {**_hosts(job.get("extra_hosts")), **_hosts(more.pop("extra_hosts", None))}
    if mode != "host":
        env = {name: _reachable(value) if name in _URL_VARIABLES else value for name, value in env.items()}
        if not str(mode).startswith("container:"):  # it uses the host names of that other container
            hosts.setdefault(_HOST, "host-gateway")
    options: dict[str, Any] = {
        "command": command_words(job.get("command")) or request.command,
        "environment": {name: str(value) for name, value in env.items() if value is not None},
        "labels": {**{k: str(v) for k, v in (job.get("labels") or {}).items()}, **request.labels},
        "detach": True,
        "extra_hosts": hosts or None,
        "volumes": _volumes(job.get("volumes") or []),
    }
    if mode:
        options["network_mode"] = mode
    options |= {name: job[name] for name in _SAME if job.get(name) is not None}
    if job.get("cpus") is not None:
        options["nano_cpus"] = _nano_cpus(job["cpus"])
    return {**more, **options}


def network_mode(job: dict[str, Any], env: dict[str, str]) -> str | None:
    """The network mode: the configured one; else the host's, if the API is on this machine (Linux only)."""
    if job.get("network_mode"):
        return str(job["network_mode"])
    if job.get("networks") or not sys.platform.startswith("linux"):
        return None
    url = env.get("RUNYARD_API_URL") or env.get("PREFECT_API_URL") or ""
    return "host" if urlsplit(url).hostname in _LOOPBACK else None


def _reachable(url: str | None) -> str | None:
    """Replace a loopback address in a URL by the name of the host, for a container with its own network."""
    if not url:
        return url
    parts = urlsplit(url)
    if parts.hostname not in _LOOPBACK:
        return url
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(parts._replace(netloc=f"{_HOST}{port}"))


def _nano_cpus(given: Any) -> int:
    try:
        return round(float(given) * 1e9)
    except (TypeError, ValueError, OverflowError):
        raise CannotStart(f"cpus: {given!r} is not a number") from None


def _volumes(given: list[str]) -> list[str]:
    """Folders and volumes as docker-py expects them; relative folders become absolute (the worker's)."""
    found = []
    for text in given:
        source, colon, target = text.partition(":")
        # The name of a volume contains no slash.
        if colon and (source.startswith((".", "~")) or ("/" in source and not source.startswith("/"))):
            source = os.path.abspath(os.path.expanduser(source))
        found.append(f"{source}{colon}{target}")
    return found


def container_name(request: JobRequest) -> str:
    """The name of a container; the caller adds a number if another container has it."""
    text = _NOT_IN_A_NAME.sub("-", str(request.job.get("name") or request.name))[:_LONGEST_NAME].strip("-_.")
    return text if len(text) > 1 else f"runyard-{text}".strip("-")


def _hosts(given: Any) -> dict[str, str]:
    """Convert a mapping, or a list of `name:address`, into host names with addresses."""
    if isinstance(given, dict):
        return {str(name): str(address) for name, address in given.items()}
    found = {}
    for text in given or ():
        name, colon, address = str(text).partition(":")
        if not colon:
            raise CannotStart(f"extra_hosts: {text!r} is not of the form NAME:ADDRESS")
        found[name] = address
    return found
