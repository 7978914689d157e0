"""The documented path of `runyard.engine.results.cache_policies`."""

from runyard.engine.results.cache_policies import *  # noqa: F403
