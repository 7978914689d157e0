"""Container images of deployments that Python makes: built and pushed by the `docker` program."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from typing import Any

from runyard.errors import InvalidInput, RunyardError

_DOCKERFILE = """\
FROM {base}
WORKDIR /opt/flows
COPY . /opt/flows
RUN pip install --no-cache-dir runyard{requirements}
"""


class DockerImage:
    """An image to build from the current folder.

    Args:
        name: such as `registry.example.com/team/etl`; it may end in `:tag`.
        tag: by default the moment.
        dockerfile: a file, or `auto`: one is generated, with the folder's requirements.txt.
        build_kwargs: `platform`, `buildargs`, `nocache`, `pull`, `target`.
    """

    def __init__(
        self, name: str, tag: str | None = None, dockerfile: str = "auto", **build_kwargs: Any
    ) -> None:
        head, colon, tail = name.rpartition(":")
        if colon and "/" not in tail:
            if tag:
                raise InvalidInput(f"the image {name!r} has a tag already; leave out tag={tag!r}")
            name, tag = head, tail
        self.name = name
        self.tag = tag or datetime.now(UTC).strftime("%Y-%m-%dt%H-%M-%Sz")
        self.dockerfile = dockerfile
        self.build_kwargs = build_kwargs

    @property
    def reference(self) -> str:
        """`name:tag`."""
        return f"{self.name}:{self.tag}"

    def build(self) -> None:
        """Build it.

        Raises:
            RunyardError: docker is missing, or failed.
        """
        if self.dockerfile != "auto":
            self._build(self.dockerfile)
            return
        if os.path.exists("Dockerfile"):
            raise InvalidInput('there is a Dockerfile here; say DockerImage(..., dockerfile="Dockerfile")')
        with tempfile.NamedTemporaryFile("w", suffix=".Dockerfile", encoding="utf-8") as file:
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            more = " -r requirements.txt" if os.path.exists("requirements.txt") else ""
            file.write(_DOCKERFILE.format(base=f"python:{version}-slim", requirements=more))
            file.flush()
            self._build(file.name)

    def push(self) -> None:
        """Push it to its registry.

        Raises:
            RunyardError: docker is missing, or failed.
        """
        _docker("push", self.reference)

    def _build(self, dockerfile: str) -> None:
        options: list[str] = []
        for name, value in self.build_kwargs.items():
            if name == "buildargs":
                options += [word for key, each in value.items() for word in ("--build-arg", f"{key}={each}")]
            elif name in ("platform", "target"):
                options += [f"--{name}", str(value)]
            elif name in ("nocache", "pull"):
                options += [f"--{'no-cache' if name == 'nocache' else name}"] if value else []
            else:
                raise InvalidInput(f"DockerImage has no option {name}")
        _docker("build", "--tag", self.reference, "--file", dockerfile, *options, ".")


def provide(image: Any, build: bool, push: bool) -> str:
    """See that an image is there; its reference.

    Args:
        image: a name, or a DockerImage.
        build: build it from the current folder.
        push: push what was built.

    Raises:
        RunyardError: docker is missing, or failed.
    """
    if not build:
        return image if isinstance(image, str) else str(image.reference)
    made = DockerImage(image) if isinstance(image, str) else image
    made.build()
    if push:
        made.push()
    reference: str = made.reference
    return reference


def _docker(*arguments: str) -> None:
    print(f"docker {' '.join(arguments)}", flush=True)
    try:
        done = subprocess.run(["docker", *arguments], check=False)
    except FileNotFoundError:
        raise RunyardError(
            "docker is not installed on this machine; say build=False for an image that is there"
        ) from None
    if done.returncode:
        raise RunyardError(f"docker {arguments[0]} failed, see above")
