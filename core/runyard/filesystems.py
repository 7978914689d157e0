"""The documented path of `runyard.blocks.filesystems`."""

from runyard.blocks.filesystems import *
