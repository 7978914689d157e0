"""Jobs as containers of a Docker Engine."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from runyard.base.errors import extra_missing
from runyard.base.url_passwords import hidden
from runyard.workers.infrastructure import own_container
from runyard.workers.infrastructure.base import RUN_LABEL, CannotStart, FoundJob, JobEnd, Unreachable
from runyard.workers.infrastructure.container_options import (
    checked,
    container_name,
    container_options,
)
from runyard.workers.infrastructure.default_image import default_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runyard.workers.infrastructure.base import JobRequest

try:
    import docker
    from docker.errors import APIError, DockerException, ImageNotFound, NotFound
    from docker.utils import parse_repository_tag
    from requests.exceptions import RequestException
except ImportError as error:
    raise extra_missing("docker", "docker") from error

# The exit code if the kernel or `docker kill` killed the container's process.
_KILLED = 137
# The exit code that an engine reports if a container ended while the engine was stopped.
_UNKNOWN = 255
_MOST_NAMES = 1_000
# The size of a log frame's header.
_HEADER_BYTES = 8
_STREAMS = {1: "stdout", 2: "stderr", 3: "warning"}
_NOT_IMPLEMENTED = 501
# An engine with a busy disk may need seconds to respond. A wait for the end of a container has no limit.
_ANSWER_SECONDS = 60
# For a loop that must renew leases: a short timeout, and a pause before the next attempt.
_PEER_SECONDS, _ASK_AGAIN_SECONDS = 2.0, 30.0
_TIMEOUT_VARIABLE = "DOCKER_CLIENT_TIMEOUT"
# The interval at which a pull checks whether the run is still wanted.
_LOOK_SECONDS = 0.1
_STOPPED = "it was stopped before its container was started"


class DockerInfrastructure:
    """The Docker Engine that the environment names (`DOCKER_HOST` etc.), else the one of this machine.

    Raises:
        Unreachable: the engine does not respond.
    """

    def __init__(self) -> None:
        try:
            self._client = docker.from_env(timeout=_timeout_seconds())
            self._id = str(self._client.info()["ID"])
            # The address under which containers with their own network reach this machine.
            self.host_address = self._gateway()
            # The read position of each container's output: the time of the last frame, and its number.
            self._read: dict[str, tuple[str, int]] = {}
            self._ask_again_at = 0.0
        except (DockerException, RequestException, ValueError) as error:
            raise _unreachable(error) from None

    def _gateway(self) -> str | None:
        """This machine's address on the engine's bridge, which containers know as `host-gateway`."""
        try:
            pools = self._client.networks.get("bridge").attrs["IPAM"]["Config"] or []
        except NotFound:  # an engine may be configured without a bridge
            return None
        for pool in pools:
            if pool.get("Gateway"):
                return str(pool["Gateway"])
            if pool.get("Subnet"):  # engines omit the gateway if it is the first address
                return str(next(ip_network(pool["Subnet"], strict=False).hosts()))
        return None

    def place(self) -> str:
        """The engine's unique id."""
        return f"docker:{self._id}"

    def here(self) -> list[str] | None:
        """This worker's container and its start time, if it runs in this engine; see Infrastructure."""
        its = own_container.of_docker()
        try:
            return None if its is None else self.life_of(its)
        except (DockerException, RequestException, OSError):
            return None

    def is_gone(self, here: list[str]) -> bool:
        """Whether the container of another worker has ended or was restarted; see Infrastructure."""
        if time.monotonic() < self._ask_again_at:
            return False
        try:
            return self.life_of(here[0]) != here
        except (DockerException, RequestException, OSError):
            self._ask_again_at = time.monotonic() + _ASK_AGAIN_SECONDS
            return False

    def life_of(self, container: str) -> list[str] | None:
        """Identify the current start of a container; None if the container does not run."""
        api = self._client.api
        try:
            answer = api._result(
                api._get(api._url("/containers/{0}/json", container), timeout=_PEER_SECONDS), json=True
            )
        except NotFound:
            return None
        state = answer["State"]
        return [container, str(state["StartedAt"])] if state["Running"] else None

    def start(self, request: JobRequest) -> str:
        """Start a container; see Infrastructure."""
        request = replace(request, job=checked(request.job))
        options = container_options(request)
        try:
            return self._create(self._image(request), options, request)
        except (APIError, DockerException) as error:
            raise CannotStart(f"the container could not be started: {_told(error)}") from None
        except RequestException as error:
            raise _unreachable(error) from None

    def _image(self, request: JobRequest) -> str:
        job = request.job
        image = job.get("image") or default_image()
        if {"", ".", ".."} & set(image.split("/")):  # these parts would change the path of the request
            raise CannotStart(f"image: {image!r} is not a valid image name")
        policy = job.get("image_pull_policy") or ("Always" if _is_moving(image) else "IfNotPresent")
        present = self._has(image)
        if policy == "Never" or (policy == "IfNotPresent" and present):
            if not present:
                raise CannotStart(
                    f"the image {image!r} is not on this engine, and image_pull_policy is Never"
                )
            return image
        request.say(f"Pulling image {image!r}")
        problem = self._pulled(image, request)
        if problem is not None:
            if policy == "IfPossible" and present:
                request.say(f"Image {image!r} could not be pulled ({problem}); using the local one")
                return image
            raise CannotStart(f"the image {image!r} could not be pulled: {problem}")
        request.say(f"Pulled image {image!r}")
        return image

    def _pulled(self, image: str, request: JobRequest) -> str | None:
        """Pull an image; return the problem, or None. A registry may respond slowly; if the run is cancelled
        meanwhile, the wait ends.
        """
        credentials = _credentials(request.job.get("registry_credentials"))
        done: Future[str | None] = Future()

        def pull() -> None:
            try:
                done.set_result(self._pull(image, credentials, request.is_wanted))
            except BaseException as error:
                done.set_exception(error)

        threading.Thread(target=pull, name="runyard-pull", daemon=True).start()
        while not wait([done], _LOOK_SECONDS).done:
            if not request.is_wanted():
                raise CannotStart(_STOPPED)
        return done.result()

    def _pull(
        self, image: str, credentials: dict[str, str] | None, is_wanted: Callable[[], bool]
    ) -> str | None:
        """Pull an image; return the problem, without the password, or None."""
        repository, tag = parse_repository_tag(image)
        problem = None
        try:
            # The engine reports a failed pull in the stream of its progress.
            for line in self._client.api.pull(
                repository, tag or "latest", stream=True, decode=True, auth_config=credentials
            ):
                problem = line.get("error") or problem
                if not is_wanted():
                    return _STOPPED  # the engine aborts a pull when its client disconnects
        except APIError as error:
            problem = _told(error)
        password = (credentials or {}).get("password")
        return problem.replace(password, "********") if problem and password else problem

    def _has(self, image: str) -> bool:
        try:
            self._client.images.get(image)
        except ImageNotFound:
            return False
        return True

    def _create(self, image: str, options: dict[str, Any], request: JobRequest) -> str:
        networks = request.job.get("networks") or []
        if networks:
            options["network"] = networks[0]
        name = container_name(request)
        for number in range(_MOST_NAMES):
            try:
                container = self._client.containers.create(
                    image, name=name if not number else f"{name}-{number}", **options
                )
                break
            except APIError as error:
                if error.status_code != 409 or "name" not in str(error.explanation):
                    raise
            except TypeError as error:  # docker-py does not know the argument
                raise CannotStart(f"container_create_kwargs: {error}") from None
        else:
            raise CannotStart(
                f"{_MOST_NAMES} containers are named {name!r}; remove some, or use another name"
            )
        try:
            for other in networks[1:]:
                self._client.networks.get(other).connect(container)
            if not request.is_wanted():
                raise CannotStart(_STOPPED)
            container.start()
        except BaseException:
            with suppress(Unreachable):  # report the first error, not this one
                self.remove(container.id)
            raise
        return str(container.id)

    def find(self, labels: dict[str, str]) -> list[FoundJob]:
        """Find our containers that have all these labels; see Infrastructure."""
        wanted = [RUN_LABEL, *(f"{name}={value}" for name, value in labels.items())]
        try:
            found = self._client.api.containers(all=True, filters={"label": wanted})
        except (DockerException, RequestException) as error:
            raise _unreachable(error) from None
        return [
            FoundJob(
                each["Id"],
                dict(each.get("Labels") or {}),
                each.get("State") != "created",
                each.get("State") in ("exited", "dead"),
            )
            for each in found
        ]

    def follow(
        self, job_id: str, since: float | None
    ) -> Iterator[tuple[str, bytes] | tuple[str, bytes, int]]:
        """Yield a container's output; see Infrastructure.

        After a broken connection it continues where it stopped, by the engine's timestamps.
        """
        last, count = self._read.get(job_id, ("", 0))
        begin = _seconds(last) if last else since or 0
        skip = count
        try:
            # Its own connection, as it stays open as long as the container runs.
            stream = self._client.api._get(
                self._client.api._url("/containers/{0}/logs", job_id),
                params={"stdout": 1, "stderr": 1, "follow": 1, "since": begin, "timestamps": 1},
                stream=True,
                timeout=None,
            )
            self._client.api._raise_for_status(stream)
            for name, frame in _frames(stream):
                if name == "warning":  # an error message of the engine, without a time
                    yield name, b"The engine cannot read what the container prints: " + frame.strip()
                    continue
                moment, _, data = frame.partition(b" ")
                at = moment.decode("ascii", "replace")
                if at == last and skip:
                    skip -= 1
                    continue
                last, count = (at, count + 1) if at == last else (at, 1)
                skip = 0
                self._read[job_id] = last, count
                yield name, data, _microseconds(at)
            self._read.pop(job_id, None)
        except NotFound:
            self._read.pop(job_id, None)
        except APIError as error:
            if error.status_code != _NOT_IMPLEMENTED:
                raise _unreachable(error) from None
            yield "stderr", f"The output of this container cannot be kept: {_told(error)}\n".encode()
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
        """Send SIGTERM now and SIGKILL later; see Infrastructure."""
        try:
            if grace_seconds > 0:
                self._client.api.stop(job_id, timeout=max(1, round(grace_seconds)))
            else:
                self._client.api.kill(job_id)
        except NotFound:
            pass
        except APIError as error:
            if error.status_code != 409:  # it no longer runs
                raise _unreachable(error) from None
        except (DockerException, RequestException) as error:
            raise _unreachable(error) from None

    def remove(self, job_id: str) -> None:
        """Remove an ended container; see Infrastructure."""
        try:
            self._client.api.remove_container(job_id, v=True, force=True)
        except NotFound:
            pass
        except APIError as error:
            if error.status_code != 409:  # its removal is already in progress
                raise _unreachable(error) from None
        except (DockerException, RequestException) as error:
            raise _unreachable(error) from None

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _credentials(given: dict[str, Any] | None) -> dict[str, str] | None:
    if not given:
        return None
    return {
        "username": str(given.get("username")),
        "password": str(given.get("password")),
        "serveraddress": str(given.get("registry_url")),
    }


def _is_moving(image: str) -> bool:
    """Whether an image's name may mean another image later: it has no tag, or the tag `latest`."""
    last = image.rpartition("/")[2]
    return "@" not in last and (":" not in last or last.endswith(":latest"))


def _frames(stream: Any) -> Iterator[tuple[str, bytes]]:
    """Split a log into frames: one byte for the stream, three zero bytes, four for the length, the data.

    Source: Docker Engine API, "Stream format" of attaching to a container.
    """
    rest = b""
    for chunk in stream.iter_content(None):
        data, at = rest + chunk, 0
        while len(data) - at >= _HEADER_BYTES:
            begin = at + _HEADER_BYTES
            end = begin + int.from_bytes(data[at + 4 : begin], "big")
            if end > len(data):
                break
            yield _STREAMS.get(data[at], "stdout"), data[begin:end]
            at = end
        rest = data[at:]


def _microseconds(moment: str) -> int:
    """Convert a timestamp of the engine to microseconds since 1970, truncated."""
    whole, _, fraction = _seconds(moment).partition(".")
    return int(whole) * 1_000_000 + int(fraction[:6])


def _seconds(moment: str) -> str:
    """Convert a timestamp of the engine to the format of `since`: seconds since 1970 with nanoseconds."""
    whole, _, fraction = moment.removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    return f"{seconds}.{fraction:0<9}"


def _reason(code: int, state: dict[str, Any]) -> str | None:
    if state.get("OOMKilled"):
        return "its container ran out of memory and was killed; raise mem_limit"
    if state.get("Error"):
        return f"its container ended: {state['Error']}"
    if code == _UNKNOWN:
        return "its container ended while its engine was stopped: both were killed, or the machine stopped"
    if code != _KILLED:
        return None
    return "its container or the process in it was killed: by another program, or as memory ran out"


def _told(error: BaseException) -> str:
    text = getattr(error, "explanation", None) or str(error)
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    return " ".join(str(text).split())


def _timeout_seconds() -> int:
    given = os.environ.get(_TIMEOUT_VARIABLE) or str(_ANSWER_SECONDS)
    if not given.isdecimal() or int(given) == 0:
        raise Unreachable(f"{_TIMEOUT_VARIABLE} is {given!r}; set a whole number of seconds, or unset it")
    return int(given)


def _unreachable(error: Exception) -> Unreachable:
    host = hidden(os.environ.get("DOCKER_HOST") or "")
    at = f" at {host} (DOCKER_HOST)" if host else ""
    return Unreachable(
        f"the Docker Engine{at} does not answer ({_cause(error)}); is it running, and may this user use it? "
        "Try: docker info"
    )


def _cause(error: BaseException) -> str:
    """The system's error message; libraries wrap it in other exceptions and texts."""
    inner: BaseException | None = error
    while inner is not None:
        for found in (inner, *inner.args):
            if isinstance(found, OSError) and found.strerror:
                return found.strerror
        inner = inner.__cause__ or inner.__context__
    return _told(error)
