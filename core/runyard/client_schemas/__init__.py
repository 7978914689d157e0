"""The documented path of `runyard.client.schemas`."""
