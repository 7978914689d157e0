"""Blocks: configuration and secrets saved by name."""
