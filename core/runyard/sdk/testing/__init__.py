"""Helpers for tests of flows: `harness()` creates a temporary home."""

from runyard.sdk.testing.harness import harness, prefect_test_harness

__all__ = ["harness", "prefect_test_harness"]
