"""The documented path of `runyard.engine.transactions`."""

from runyard.engine.transactions import *
