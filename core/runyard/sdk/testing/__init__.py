"""Help for tests of flows: `harness()` gives one a home of its own."""

from runyard.sdk.testing.harness import harness, prefect_test_harness

__all__ = ["harness", "prefect_test_harness"]
