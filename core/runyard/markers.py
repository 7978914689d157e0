"""The documented path of `runyard.base.markers`."""

from runyard.base.markers import *
