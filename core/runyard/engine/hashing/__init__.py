"""Digests of values and of code, for cache keys."""
