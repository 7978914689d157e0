"""The default image of runs."""

from __future__ import annotations

import sys

from runyard.base.version import VERSION


def default_image() -> str:
    """The image with this version of Runyard and Python."""
    return f"runyard/runyard:{VERSION}-python{sys.version_info.major}.{sys.version_info.minor}"
