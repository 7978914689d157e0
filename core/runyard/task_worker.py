"""The documented path of `runyard.workers.task_worker`."""

from runyard.workers.task_worker import *
