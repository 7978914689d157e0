"""`Variable` in sync and async code."""

from __future__ import annotations

import asyncio

import pytest
from runyard import flow
from runyard.base.errors import Conflict, InvalidInput
from runyard.sdk import variables
from runyard.sdk.variables import Variable

pytestmark = pytest.mark.usefixtures("home")


def test_a_variable_is_set_and_read():
    assert Variable.get("x") is None
    assert Variable.get("x", default=3) == 3
    made = Variable.set("x", {"a": [1]}, tags=["t"])
    assert (made.name, made.value, made.tags) == ("x", {"a": [1]}, ["t"])
    assert Variable.get("x") == {"a": [1]}
    assert variables.get("x") == {"a": [1]}
    with pytest.raises(Conflict, match="overwrite=True"):
        Variable.set("x", 1)
    assert Variable.set("x", 1, overwrite=True) == Variable("x", 1, ["t"])
    assert Variable.unset("x")
    assert not Variable.unset("x")


def test_async_code_awaits_it():
    @flow
    async def main():
        await Variable.set("x", 1)
        await Variable.aset("y", 2)
        found = await Variable.get("x"), await Variable.aget("y"), await Variable.aget("z", default=3)
        await Variable.unset("x")
        await Variable.aunset("y")
        return found

    assert asyncio.run(main()) == (1, 2, 3)


def test_what_cannot_be_is_refused():
    with pytest.raises(InvalidInput, match="invalid variable name 'a b'"):
        Variable.set("a b", 1)
    with pytest.raises(InvalidInput, match="keep more in a JSON block"):
        Variable.set("x", "x" * 6000)


def test_mistakes_are_value_errors_as_in_prefect():
    Variable.set("mine", 1)
    for mistake in (lambda: Variable.set("mine", 2), lambda: Variable.set("no name", 2)):
        with pytest.raises(ValueError):  # noqa: PT011  # any
            mistake()
    assert Variable.get("mine") == 1
