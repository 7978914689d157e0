"""The block with the configuration of a cluster."""

from __future__ import annotations

import os
from typing import Any, ClassVar

import yaml
from pydantic import field_validator

from runyard.blocks.core import Block


class KubernetesClusterConfig(Block):
    """A kubeconfig and one of its contexts, for the variable `cluster_config` of kubernetes pools.

    Args:
        config: the kubeconfig, as a mapping or as text.
        context_name: the name of the context.
    """

    _block_type_name: ClassVar[str | None] = "Kubernetes Cluster Config"

    config: dict[str, Any]
    context_name: str

    @field_validator("config", mode="before")
    @classmethod
    def _of_text(cls, value: Any) -> Any:
        return yaml.safe_load(value) if isinstance(value, str) else value

    @classmethod
    def from_file(cls, path: str | None = None, context_name: str | None = None) -> KubernetesClusterConfig:
        """Read a kubeconfig.

        Args:
            path: default: `~/.kube/config`.
            context_name: default: the file's current context.

        Raises:
            OSError: it cannot be read.
            ValueError: it is invalid, or does not have the context.
        """
        where = os.path.expanduser(path or "~/.kube/config")
        with open(where, encoding="utf-8") as file:
            config = yaml.safe_load(file) or {}
        names = [context.get("name") for context in config.get("contexts") or ()]
        name = context_name or config.get("current-context")
        if name not in names:
            raise ValueError(
                f"{where} has no context {name!r}; it has {', '.join(map(repr, names)) or 'none'}"
            )
        return cls(config=config, context_name=str(name))
