"""The documented path of `runyard.sdk.input`."""

from runyard.sdk.input import *
