"""Concurrency limits: their slots, and the named locks."""
