"""The documented path of `runyard.sdk.testing`."""

from runyard.sdk.testing import *
