"""The documented path of `runyard.sdk.artifacts`."""

from runyard.sdk.artifacts import *
