"""How a run finds its flow: by a file or by a module."""

from __future__ import annotations

from enum import Enum


class EntrypointType(Enum):
    """How a run finds its flow."""

    FILE_PATH = "file_path"
    MODULE_PATH = "module_path"
