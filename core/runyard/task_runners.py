"""The documented path of `runyard.engine.task_runners`."""

from runyard.engine.task_runners import *
