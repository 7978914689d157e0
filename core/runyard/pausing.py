"""The documented path of `runyard.sdk.pausing`."""

from runyard.sdk.pausing import *
