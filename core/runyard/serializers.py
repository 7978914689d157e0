"""The documented path of `runyard.engine.results.serializers`."""

from runyard.engine.results.serializers import *
