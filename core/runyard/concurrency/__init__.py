"""The documented path of `runyard.engine.concurrency`."""

from runyard.engine.concurrency import *
