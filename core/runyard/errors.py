"""The documented path of `runyard.base.errors`."""

from runyard.base.errors import *
