"""The documented path of `runyard.engine.concurrency.sync`."""

from runyard.engine.concurrency.sync import *
