"""The image of a run where nothing else is said."""

from __future__ import annotations

import sys

from runyard.base.version import VERSION


def default_image() -> str:
    """The image that holds this Runyard for this Python."""
    return f"runyard/runyard:{VERSION}-python{sys.version_info.major}.{sys.version_info.minor}"
