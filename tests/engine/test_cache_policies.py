"""Cache policies: their algebra, and digests of values."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runyard.base.exceptions import HashError
from runyard.engine import cache_policies
from runyard.engine.cache_policies import DEFAULT, INPUTS, NO_CACHE, RUN_ID, TASK_SOURCE
from runyard.engine.hashing.digests import hash_objects


def test_policies_combine():
    assert DEFAULT == INPUTS + TASK_SOURCE + RUN_ID
    assert INPUTS + NO_CACHE == INPUTS
    assert NO_CACHE + INPUTS == INPUTS
    assert (INPUTS + TASK_SOURCE) + (INPUTS - "x") == TASK_SOURCE + (INPUTS - "x")
    assert TASK_SOURCE - "x" == TASK_SOURCE
    assert DEFAULT.of_one_run
    assert not (INPUTS + TASK_SOURCE).of_one_run


def test_policies_refuse_what_makes_no_sense():
    with pytest.raises(TypeError, match="only names of inputs"):
        INPUTS - 3  # type: ignore[operator]
    with pytest.raises(ValueError, match="different isolation_level"):
        INPUTS.configure(isolation_level="SERIALIZABLE") + TASK_SOURCE.configure(
            isolation_level="READ_COMMITTED"
        )
    with pytest.raises(TypeError, match="does not implement compute_key"):
        cache_policies.CachePolicy().compute_key(None, {}, {})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(), inner, max_size=4),
    max_leaves=8,
)


@given(VALUES, VALUES)
def test_equal_values_have_equal_digests_and_others_do_not(one, other):
    import copy

    assert hash_objects(one) == hash_objects(copy.deepcopy(one))
    if repr(one) != repr(other) and one != other:
        assert hash_objects(one) != hash_objects(other)


def test_a_set_has_the_same_digest_in_every_process():
    import subprocess
    import sys

    code = (
        "from runyard.engine.hashing.digests import hash_objects as h\n"
        "print(h({'a', 'bc', 'def'}, {1: {'x', 'y'}}))"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(answers) == 1


def test_what_cannot_be_digested_says_so():
    with pytest.raises(HashError, match="no key can be made"):
        hash_objects(threading.Lock())
