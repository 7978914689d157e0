"""Concurrency limits, their slots, and named locks."""
