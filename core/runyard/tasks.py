"""The documented path of `runyard.sdk.tasks`."""

from runyard.sdk.tasks import *
