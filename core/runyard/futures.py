"""The documented path of `runyard.engine.futures`."""

from runyard.engine.futures import *
