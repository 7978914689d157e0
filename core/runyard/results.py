"""The documented path of `runyard.engine.results.result_stores`."""

from runyard.engine.results.result_stores import *
