"""Jobs as containers of a Docker Engine."""

from __future__ import annotations

import os
import re
import shlex
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from runyard import __version__
from runyard.errors import extra_missing
from runyard.workers.infrastructure.base import RUN_LABEL, CannotStart, FoundJob, JobEnd, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runyard.workers.infrastructure.base import JobRequest

try:
    import docker
    from docker.errors import APIError, DockerException, ImageNotFound, NotFound
    from requests.exceptions import RequestException
except ImportError as error:
    raise extra_missing("docker", "docker") from error

_HOST = "host.docker.internal"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
# A container whose process was killed by the kernel, or by `docker kill`.
_KILLED = 137
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_.-]+")
_LONGEST_NAME = 200
_MOST_NAMES = 1_000
_URL_VARIABLES = ("RUNYARD_API_URL", "PREFECT_API_URL")
# What the worker decides itself.
_OURS = frozenset(
    ("image", "command", "environment", "labels", "name", "network_mode", "networks", "volumes", "detach")
)
# An answer of the engine takes seconds where its disk is busy; a wait for an end has no limit.
_ANSWER_SECONDS = 60


def default_image() -> str:
    """The image that holds this Runyard for this Python."""
    return f"runyard/runyard:{__version__}-python{sys.version_info.major}.{sys.version_info.minor}"


class DockerInfrastructure:
    """The engine that the environment names (`DOCKER_HOST` and the like), or this machine's.

    Raises:
        Unreachable: there is none.
    """

    def __init__(self) -> None:
        try:
            self._client = docker.from_env(
                timeout=int(os.environ.get("DOCKER_CLIENT_TIMEOUT", _ANSWER_SECONDS))
            )
            self._id = str(self._client.info()["ID"])
        except (DockerException, RequestException, ValueError) as error:
            raise _unreachable(error) from None

    def place(self) -> str:
        """The engine's own id."""
        return f"docker:{self._id}"

    def start(self, request: JobRequest) -> str:
        """Start a container; see Infrastructure."""
        try:
            image = self._image(request)
            return self._create(image, request)
        except (APIError, DockerException) as error:
            raise CannotStart(f"the container could not be started: {_told(error)}") from None
        except RequestException as error:
            raise _unreachable(error) from None

    def _image(self, request: JobRequest) -> str:
        job = request.job
        image = job.get("image") or default_image()
        policy = job.get("image_pull_policy") or ("Always" if _is_moving(image) else "IfNotPresent")
        present = self._has(image)
        if policy == "Never" or (policy == "IfNotPresent" and present):
            if not present:
                raise CannotStart(
                    f"the image {image!r} is not on this engine, and image_pull_policy is Never"
                )
            return image
        request.say(f"Pulling image {image!r}")
        try:
            self._client.images.pull(image, auth_config=_credentials(job.get("registry_credentials")))
        except (ImageNotFound, APIError) as error:
            if policy == "IfPossible" and present:
                request.say(
                    f"Image {image!r} could not be pulled ({_told(error)}); the one that is here is used"
                )
                return image
            raise CannotStart(f"the image {image!r} could not be pulled: {_told(error)}") from None
        request.say(f"Pulled image {image!r}")
        return image

    def _has(self, image: str) -> bool:
        try:
            self._client.images.get(image)
        except ImageNotFound:
            return False
        return True

    def _create(self, image: str, request: JobRequest) -> str:
        options = container_options(request)
        networks = request.job.get("networks") or []
        if networks:
            options["network"] = networks[0]
        name = _name(request)
        for number in range(_MOST_NAMES):
            try:
                container = self._client.containers.create(
                    image, name=name if not number else f"{name}-{number}", **options
                )
                break
            except APIError as error:
                if error.status_code != 409 or "name" not in str(error.explanation):
                    raise
        else:
            raise CannotStart(
                f"{_MOST_NAMES} containers are named {name!r}; remove some, or set another name"
            )
        try:
            for other in networks[1:]:
                self._client.networks.get(other).connect(container)
            container.start()
        except BaseException:
            self.remove(container.id)
            raise
        return str(container.id)

    def find(self, labels: dict[str, str]) -> list[FoundJob]:
        """Our containers that have all these labels; see Infrastructure."""
        wanted = [RUN_LABEL, *(f"{name}={value}" for name, value in labels.items())]
        try:
            found = self._client.api.containers(all=True, filters={"label": wanted})
        except (DockerException, RequestException) as error:
            raise _unreachable(error) from None
        return [
            FoundJob(each["Id"], dict(each.get("Labels") or {}), each.get("State") != "created")
            for each in found
        ]

    def follow(self, job_id: str, since: float | None) -> Iterator[tuple[str, bytes]]:
        """What a container prints; see Infrastructure."""
        try:
            # Its connection is one of its own, since it is open for as long as the container runs.
            stream = self._client.api._get(
                self._client.api._url("/containers/{0}/logs", job_id),
                params={"stdout": 1, "stderr": 1, "follow": 1, "since": since or 0, "timestamps": 0},
                stream=True,
                timeout=None,
            )
            self._client.api._raise_for_status(stream)
            yield from _frames(stream)
        except NotFound:
            return
        except (DockerException, RequestException, OSError) as error:
            raise _unreachable(error) from None

    def wait(self, job_id: str) -> JobEnd:
        """Wait for the end of a container; see Infrastructure."""
        try:
            code = int(self._client.api.wait(job_id, timeout=None)["StatusCode"])
            state = self._client.api.inspect_container(job_id)["State"]
        except NotFound:
            return JobEnd(None, "its container was removed while it ran")
        except (DockerException, RequestException, OSError) as error:
            raise _unreachable(error) from None
        return JobEnd(code, _reason(code, state))

    def stop(self, job_id: str, grace_seconds: float) -> None:
        """SIGTERM now, SIGKILL later; see Infrastructure."""
        try:
            if grace_seconds > 0:
                self._client.api.stop(job_id, timeout=max(1, round(grace_seconds)))
            else:
                self._client.api.kill(job_id)
        except NotFound:
            pass
        except APIError as error:
            if error.status_code != 409:  # it does not run any more
                raise _unreachable(error) from None
        except (DockerException, RequestException) as error:
            raise _unreachable(error) from None

    def remove(self, job_id: str) -> None:
        """Remove a container that ended; see Infrastructure."""
        try:
            self._client.api.remove_container(job_id, v=True, force=True)
        except NotFound:
            pass
        except APIError as error:
            if error.status_code != 409:  # it is being removed already
                raise _unreachable(error) from None
        except (DockerException, RequestException) as error:
            raise _unreachable(error) from None

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


def container_options(request: JobRequest) -> dict[str, Any]:
    """What a container is created with, besides its image, name and networks."""
    job = request.job
    mode = network_mode(job, request.env)
    env = {**request.env, **(job.get("env") or {})}
    more = {
        name: value for name, value in (job.get("container_create_kwargs") or {}).items() if name not in _OURS
    }
    hosts = {**_list_or_map(job.get("extra_hosts")), **_list_or_map(more.pop("extra_hosts", None))}
    if mode != "host":
        hosts.setdefault(_HOST, "host-gateway")
        env = {name: _reachable(value) if name in _URL_VARIABLES else value for name, value in env.items()}
    command = job.get("command")
    options: dict[str, Any] = {
        "command": shlex.split(command) if isinstance(command, str) else command or request.command,
        "environment": {name: str(value) for name, value in env.items() if value is not None},
        "labels": {**{k: str(v) for k, v in (job.get("labels") or {}).items()}, **request.labels},
        "detach": True,
        "extra_hosts": hosts or None,
        "volumes": _volumes(job.get("volumes") or []),
    }
    if mode:
        options["network_mode"] = mode
    for name, theirs in _SAME.items():
        if job.get(name) is not None:
            options[theirs] = job[name]
    if job.get("cpus") is not None:
        options["nano_cpus"] = int(float(job["cpus"]) * 1e9)
    return {**more, **options}


# Variables of the template that docker-py knows by the same, or by another name.
_SAME = {
    "mem_limit": "mem_limit",
    "memswap_limit": "memswap_limit",
    "privileged": "privileged",
    "shm_size": "shm_size",
    "user": "user",
    "working_dir": "working_dir",
}


def network_mode(job: dict[str, Any], env: dict[str, str]) -> str | None:
    """The network mode: as said; else the host's, where the API is on this machine and the system can."""
    if job.get("network_mode"):
        return str(job["network_mode"])
    if job.get("networks") or not sys.platform.startswith("linux"):
        return None
    url = env.get("RUNYARD_API_URL") or env.get("PREFECT_API_URL") or ""
    return "host" if urlsplit(url).hostname in _LOOPBACK else None


def _reachable(url: str | None) -> str | None:
    """The URL as a container sees it that has a network of its own."""
    if not url:
        return url
    parts = urlsplit(url)
    if parts.hostname not in _LOOPBACK:
        return url
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(parts._replace(netloc=f"{_HOST}{port}"))


def _volumes(given: list[str]) -> list[str]:
    """Folders, named and anonymous volumes; a relative folder is one of the worker's."""
    found = []
    for text in given:
        source, colon, target = text.partition(":")
        if colon and source.startswith((".", "~")):
            source = os.path.abspath(os.path.expanduser(source))
        found.append(f"{source}{colon}{target}")
    return found


def _credentials(given: Any) -> dict[str, str] | None:
    if not given:
        return None
    values = given if isinstance(given, dict) else given.model_dump()
    password = values.get("password")
    secret = getattr(password, "get_secret_value", None)
    return {
        "username": str(values.get("username")),
        "password": str(secret() if secret else password),
        "serveraddress": str(values.get("registry_url")),
    }


def _is_moving(image: str) -> bool:
    """Whether an image's name may mean another image tomorrow: it has no tag, or `latest`."""
    last = image.rpartition("/")[2]
    return "@" not in last and (":" not in last or last.endswith(":latest"))


def _name(request: JobRequest) -> str:
    text = _NOT_IN_A_NAME.sub("-", str(request.job.get("name") or request.name)).strip("-_.")
    return text[:_LONGEST_NAME] or "runyard"


def _list_or_map(given: Any) -> dict[str, str]:
    if not given:
        return {}
    if isinstance(given, dict):
        return {str(name): str(value) for name, value in given.items()}
    return dict(str(text).split(":", 1) for text in given)


def _frames(stream: Any) -> Iterator[tuple[str, bytes]]:
    """The frames of a log: a byte that tells the stream, three of nothing, four of length, the bytes.

    Source: Docker Engine API, "Stream format" of attaching to a container.
    """
    raw = stream.raw
    while True:
        header = _exactly(raw, 8)
        if header is None:
            return
        body = _exactly(raw, int.from_bytes(header[4:], "big"))
        if body is None:
            return
        yield ("stderr" if header[0] == 2 else "stdout"), body


def _exactly(raw: Any, size: int) -> bytes | None:
    parts = []
    while size:
        part = raw.read(size)
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _reason(code: int, state: dict[str, Any]) -> str | None:
    if state.get("OOMKilled"):
        return "its container ran out of memory and was killed; give it more by mem_limit"
    if state.get("Error"):
        return f"its container ended: {state['Error']}"
    return "its container was killed" if code == _KILLED else None


def _told(error: Exception) -> str:
    text = getattr(error, "explanation", None) or str(error)
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    return " ".join(str(text).split())


def _unreachable(error: Exception) -> Unreachable:
    return Unreachable(
        f"the Docker Engine does not answer ({_told(error)}); is it running, and may this user use it? "
        "Try: docker info"
    )
