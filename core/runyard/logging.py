"""The documented path of `runyard.engine.logging`."""

from runyard.engine.logging import *
