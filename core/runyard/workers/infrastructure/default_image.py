"""The default image of a run."""

from __future__ import annotations

import sys

from runyard.base.version import VERSION


def default_image() -> str:
    """The image that contains this version of Runyard and of Python."""
    return f"runyard/runyard:{VERSION}-python{sys.version_info.major}.{sys.version_info.minor}"
