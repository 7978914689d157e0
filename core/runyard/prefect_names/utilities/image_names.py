"""The names of `prefect.utilities.dockerutils` that scripts use: image names and the engine's client."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runyard.base.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "docker_client",
    "parse_image_tag",
    "python_version_micro",
    "python_version_minor",
    "split_repository_path",
]


def python_version_minor() -> str:
    """Such as `3.12`."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def python_version_micro() -> str:
    """Such as `3.12.4`."""
    return f"{python_version_minor()}.{sys.version_info.micro}"


def parse_image_tag(name: str) -> tuple[str, str | None]:
    """The name of an image and its tag, or its digest."""
    if "@" in name:
        image, _, digest = name.partition("@")
        return image, digest
    image, colon, tag = name.rpartition(":")
    return (image, tag) if colon and "/" not in tag else (name, None)


def split_repository_path(repository_path: str) -> tuple[str | None, str]:
    """The registry and folder of an image (or None), and its own name."""
    namespace, _, repository = repository_path.rpartition("/")
    return namespace or None, repository


@contextmanager
def docker_client() -> Iterator[Any]:
    """A client of the library docker from the environment, for one block.

    Raises:
        MissingExtra: the package docker is not installed.
    """
    try:
        import docker
    except ImportError:
        raise MissingExtra("the library docker is missing; install runyard[docker]") from None
    client = docker.from_env()
    try:
        yield client
    finally:
        client.close()
