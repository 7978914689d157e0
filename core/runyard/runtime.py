"""The documented path of `runyard.engine.runtime`."""

from runyard.engine.runtime import *
