"""Container images of deployments in Python; built and pushed by the same steps as in a project file."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import IO, Any

from runyard.base.errors import InvalidInput
from runyard.deployments.steps.docker_steps import build_docker_image, push_docker_image


class DockerImage:
    """An image to build from the current folder.

    Args:
        name: such as `registry.example.com/team/etl`; it may end in `:tag`.
        tag: default: the current time.
        dockerfile: a file, or `auto`: generate one, with the folder's requirements.txt.
        build_backend: accepted; the engine decides how it builds.
        stream_progress_to: a text file for the engine's output, instead of standard output.
        build_kwargs: options of `build_docker_image`, such as `platform`, `buildargs` or `nocache`.

    Raises:
        InvalidInput: two tags are given.
    """

    def __init__(
        self,
        name: str,
        tag: str | None = None,
        dockerfile: str = "auto",
        build_backend: str = "docker-py",
        stream_progress_to: IO[str] | None = None,
        **build_kwargs: Any,
    ) -> None:
        head, colon, tail = name.rpartition(":")
        if colon and "/" not in tail:
            if tag:
                raise InvalidInput(f"the image {name!r} has a tag already; leave out tag={tag!r}")
            name, tag = head, tail
        self.name = name
        self.tag = tag or datetime.now(UTC).strftime("%Y-%m-%dt%H-%M-%Sz")
        self.dockerfile = dockerfile
        self.build_backend = build_backend
        self.stream_progress_to = stream_progress_to
        self.build_kwargs = build_kwargs

    @property
    def reference(self) -> str:
        """`name:tag`."""
        return f"{self.name}:{self.tag}"

    def build(self) -> None:
        """Build the image.

        Raises:
            InvalidInput: an option is unknown, or `auto` would hide an existing Dockerfile.
            MissingExtra: the package docker is not installed.
            RunyardError: the engine does not answer, or the build failed.
        """
        with self._shown():
            build_docker_image(self.name, dockerfile=self.dockerfile, tag=self.tag, **self.build_kwargs)

    def push(self) -> None:
        """Push the image to its registry.

        Raises:
            MissingExtra: the package docker is not installed.
            RunyardError: the engine or the registry refused.
        """
        with self._shown():
            push_docker_image(self.name, tag=self.tag)

    def _shown(self) -> contextlib.AbstractContextManager[Any]:
        if self.stream_progress_to is None:
            return contextlib.nullcontext()
        return contextlib.redirect_stdout(self.stream_progress_to)


def provide(image: Any, build: bool, push: bool) -> str:
    """Build and push an image if requested; return its reference.

    Args:
        image: a name, or a DockerImage.
        build: build it from the current folder.
        push: push what was built.

    Raises:
        RunyardError: it cannot be built or pushed.
    """
    if not build:
        return image if isinstance(image, str) else str(image.reference)
    made = DockerImage(image) if isinstance(image, str) else image
    made.build()
    if push:
        made.push()
    reference: str = made.reference
    return reference
