"""The documented path of `runyard.engine.cache_policies`."""

from runyard.engine.cache_policies import *
