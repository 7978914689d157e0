"""The documented path of `runyard.engine.results.filesystems`."""

from runyard.engine.results.filesystems import *  # noqa: F403
