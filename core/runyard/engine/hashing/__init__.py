"""Digests of values and of code, which cache keys are made of."""
