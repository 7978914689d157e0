"""The documented path of `runyard.client.schemas.filters`."""

from runyard.client.schemas.filters import *
