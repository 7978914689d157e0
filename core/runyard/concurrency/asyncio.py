"""The documented path of `runyard.engine.concurrency.asyncio`."""

from runyard.engine.concurrency.asyncio import *
