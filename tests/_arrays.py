"""Helpers of the tests about cache keys of arrays and frames."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import settings

# Importing the libraries takes a part of the first example's time.
unhurried = settings(deadline=None)
np = pytest.importorskip("numpy", reason="numpy is not installed")


def pandas():
    return pytest.importorskip("pandas", reason="pandas is not installed")


def again(value):
    return pickle.loads(pickle.dumps(value))
