"""The documented path of `runyard.domain.states`."""

from runyard.domain.states import *
