"""The documented path of `runyard.engine.context`."""

from runyard.engine.context import *
