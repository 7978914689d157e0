"""The block with the credentials of an image registry."""

from __future__ import annotations

from typing import ClassVar

from pydantic import SecretStr

from runyard.blocks.core import Block


class DockerRegistryCredentials(Block):
    """User and password of a registry, for the variable `registry_credentials` of docker pools."""

    _block_type_name: ClassVar[str | None] = "Docker Registry Credentials"

    username: str
    password: SecretStr
    registry_url: str
    reauth: bool = True
