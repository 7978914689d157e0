"""The documented path of `runyard.domain.schedules.specifications`."""

from runyard.domain.schedules.specifications import *
