"""Loading flows from their entrypoints, and finding them in files."""
