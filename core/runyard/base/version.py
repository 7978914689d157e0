"""The version of Runyard."""

VERSION = "0.1.0"
