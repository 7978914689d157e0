"""The steps that build and push an image, on a Docker Engine."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from runyard.base.errors import InvalidInput, MissingExtra, RunyardError
from runyard.deployments.steps.credentials import plain

_AUTO = """\
FROM {base}
WORKDIR /opt/prefect/{name}
{requirements}COPY . /opt/prefect/{name}/
RUN python -m pip install --no-cache-dir runyard=={version}
"""
_REQUIREMENTS = """\
COPY requirements.txt /opt/prefect/{name}/requirements.txt
RUN python -m pip install --no-cache-dir -r requirements.txt
"""
_BUILD_OPTIONS = frozenset(
    ("pull", "platform", "buildargs", "labels", "target", "network_mode", "extra_hosts", "rm", "squash",
     "cache_from", "shmsize", "isolation", "nocache")
)  # fmt: skip
# The images that this process has built. Equal inputs give the same image, which several deployments may
# share.
_built: dict[str, dict[str, Any]] = {}


def build_docker_image(
    image_name: str,
    dockerfile: str = "Dockerfile",
    tag: str | None = None,
    additional_tags: Sequence[str] | None = None,
    ignore_cache: bool = False,
    persist_dockerfile: bool = False,
    dockerfile_output_path: str = "Dockerfile.generated",
    build_backend: str = "docker-py",
    path: str = ".",
    base_image: str | None = None,
    **build_kwargs: Any,
) -> dict[str, Any]:
    """Build an image from a directory.

    Args:
        image_name: without its tag, such as `registry.example.com/team/etl`.
        dockerfile: a file below `path`; or `auto`: generate one that installs requirements.txt and Runyard
            and copies the directory to /opt/prefect/.
        tag: default: the current time.
        additional_tags: more tags of the same image.
        ignore_cache: build again even if this process has built the same inputs, without cached layers.
        persist_dockerfile: keep the generated file.
        dockerfile_output_path: the name of the generated file.
        build_backend: accepted; the engine decides how it builds.
        path: the build context.
        base_image: the base of the generated file; default: python:X.Y-slim of this interpreter.
        build_kwargs: platform, buildargs, labels, target, pull, network_mode, ...

    Returns:
        image_name, tag, image (`name:tag`), image_id and additional_tags.

    Raises:
        InvalidInput: an input is invalid.
        MissingExtra: the package docker is not installed.
        RunyardError: the engine does not respond, or the build failed; names the failed step.
    """
    if re.search(r"\s", image_name) or not image_name:
        raise InvalidInput(f"invalid image_name {image_name!r}")
    unknown = sorted(set(build_kwargs) - _BUILD_OPTIONS)
    if unknown:
        raise InvalidInput(
            f"unknown build option {unknown[0]!r}; valid are: {', '.join(sorted(_BUILD_OPTIONS))}"
        )
    key = json.dumps(
        [image_name, dockerfile, tag, additional_tags, os.path.abspath(path), build_kwargs], default=str
    )
    if key in _built and not ignore_cache:
        return _built[key]
    tag = tag or datetime.now(UTC).strftime("%Y-%m-%dt%H-%M-%Sz")
    made = dockerfile_output_path if dockerfile == "auto" else None
    if made:
        _write_auto(path, made, base_image)
    options = {"pull": False, **build_kwargs, "nocache": ignore_cache or bool(build_kwargs.get("nocache"))}
    try:
        with _engine() as engine:
            image_id = _build(engine, path, made or dockerfile, f"{image_name}:{tag}", options)
            for each in additional_tags or ():
                engine.tag(image_id, image_name, each)
    finally:
        if made and not persist_dockerfile:
            os.unlink(os.path.join(path, made))
    result = {
        "image_name": image_name,
        "tag": tag,
        "image": f"{image_name}:{tag}",
        "image_id": image_id,
        "additional_tags": list(additional_tags or ()),
    }
    _built[key] = result
    return result


def push_docker_image(
    image_name: str,
    tag: str | None = None,
    credentials: Mapping[str, Any] | None = None,
    additional_tags: Sequence[str] | None = None,
    ignore_cache: bool = False,
    build_backend: str = "docker-py",
) -> dict[str, Any]:
    """Push an image to its registry.

    Args:
        image_name: without its tag.
        tag: default: latest.
        credentials: username, password and registry_url for the login.
        additional_tags: more tags to push.
        ignore_cache: accepted.
        build_backend: accepted.

    Returns:
        image_name, tag, image and additional_tags.

    Raises:
        MissingExtra: the package docker is not installed.
        RunyardError: the engine or the registry refused it.
    """
    tag = tag or "latest"
    login = None
    if credentials:
        login = {"username": credentials.get("username"), "password": plain(credentials.get("password"))}
    with _engine() as engine:
        for each in (tag, *(additional_tags or ())):
            print(f"Pushing {image_name}:{each}", flush=True)
            with _engine_errors("push"):
                lines = engine.push(image_name, tag=each, stream=True, decode=True, auth_config=login)
                _follow(lines, f"pushing {image_name}:{each}")
    return {
        "image_name": image_name,
        "tag": tag,
        "image": f"{image_name}:{tag}",
        "additional_tags": list(additional_tags or ()),
    }


def _write_auto(path: str, made: str, base_image: str | None) -> None:
    if os.path.exists(os.path.join(path, "Dockerfile")):
        raise InvalidInput(
            "dockerfile: auto generates one, but a Dockerfile exists; use dockerfile: Dockerfile"
        )
    from importlib import metadata

    name = os.path.basename(os.path.abspath(path))
    has_requirements = os.path.isfile(os.path.join(path, "requirements.txt"))
    text = _AUTO.format(
        base=base_image or f"python:{sys.version_info.major}.{sys.version_info.minor}-slim",
        name=name,
        requirements=_REQUIREMENTS.format(name=name) if has_requirements else "",
        version=metadata.version("runyard"),
    )
    with open(os.path.join(path, made), "w", encoding="utf-8") as file:
        file.write(text)


def _build(engine: Any, path: str, dockerfile: str, reference: str, options: dict[str, Any]) -> str:
    """Build, print the engine's output, and return the image's id."""
    if not os.path.isfile(os.path.join(path, dockerfile)):
        raise InvalidInput(f"file {os.path.join(os.path.abspath(path), dockerfile)} not found")
    print(f"Building {reference}", flush=True)
    with _engine_errors("build"):
        lines = engine.build(
            path=path, dockerfile=dockerfile, tag=reference, decode=True, **{"rm": True, **options}
        )
        _follow(lines, f"building {reference}")
        return str(engine.inspect_image(reference)["Id"])


def _follow(lines: Iterable[Mapping[str, Any]], what: str) -> None:
    """Print the engine's output.

    Raises:
        RunyardError: the engine reported an error; names the failed step of the Dockerfile.
    """
    step = failure = ""
    # Read to the end even after an error: only then is the engine's connection released.
    for line in lines:
        text = str(line.get("stream") or line.get("status") or "").rstrip()
        if text.startswith("Step "):
            step = f" at {text}"
        if line.get("error"):
            failure = failure or f"{what} failed{step}: {str(line['error']).strip().splitlines()[-1]}"
        # Skip the progress bars of layers, which change a hundred times a second.
        if text and "progressDetail" not in line:
            print(text, flush=True)
    if failure:
        raise RunyardError(failure)


@contextmanager
def _engine() -> Iterator[Any]:
    """Context manager: the Docker Engine's API."""
    try:
        import docker
    except ImportError:
        raise MissingExtra('Docker needs the extra docker: pip install "runyard[docker]"') from None
    with _engine_errors("answer"):
        client = docker.from_env()
    try:
        yield client.api
    finally:
        client.close()


class _engine_errors:  # noqa: N801  # used as a function
    """Converts the SDK's errors into one-line errors."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is not None and type(error).__module__.startswith(("docker.", "requests.")):
            first = str(error).splitlines()[0]
            raise RunyardError(f"the Docker Engine cannot {self._what}: {first}") from error
