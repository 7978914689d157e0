"""The documented path of `runyard.sdk.flows`."""

from runyard.sdk.flows import *
