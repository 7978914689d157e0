"""The documented path of `runyard.sdk.variables`."""

from runyard.sdk.variables import *
