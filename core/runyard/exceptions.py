"""The documented path of `runyard.base.exceptions`."""

from runyard.base.exceptions import *
