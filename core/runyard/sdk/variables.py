"""Variables: named JSON values that flows read and set."""

from __future__ import annotations

from typing import Any

from runyard.base.errors import Conflict, InvalidInput, NotFound
from runyard.base.syncing import async_twin, sync_compatible
from runyard.client.engine_client import shared_client
from runyard.operations.records import stored_variables as operations


class VariableExists(Conflict, ValueError):
    """A variable with this name already exists."""


class InvalidVariable(InvalidInput, ValueError):
    """The name or the value of a variable is invalid."""


def _client() -> Any:
    return shared_client()


def _get(name: str, default: Any = None) -> Any:
    try:
        return _client().call(operations.read_variable_by_name, name).value
    except NotFound:
        return default


def _set(name: str, value: Any, tags: list[str] | None = None, overwrite: bool = False) -> Variable:
    try:
        body = operations.VariableCreate(name=name, value=value, tags=tags)
    except ValueError as error:
        raise InvalidVariable(_problem(name, error)) from None
    client = _client()
    try:
        client.call(operations.create_variable, body)
    except Conflict:
        if not overwrite:
            raise VariableExists(
                f"variable {name!r} exists already; use overwrite=True (--overwrite) to replace it"
            ) from None
        given: dict[str, Any] = {"value": body.value, **({"tags": tags} if tags is not None else {})}
        client.call(operations.update_variable_by_name, name, operations.VariableUpdate(**given))
    found = client.call(operations.read_variable_by_name, name)
    return Variable(found.name, found.value, found.tags)


def _problem(name: str, error: Any) -> str:
    first = error.errors()[0]
    if first["loc"] == ("name",):
        return f"invalid variable name {name!r}: use letters, digits, _ and - only"
    return str(first["msg"]).removeprefix("Value error, ")


def _unset(name: str) -> bool:
    try:
        _client().call(operations.delete_variable_by_name, name)
    except NotFound:
        return False
    return True


class Variable:
    """A variable.

    Args:
        name: letters, digits, `_` and `-`.
        value: any JSON value.
        tags: labels.
    """

    def __init__(self, name: str, value: Any, tags: list[str] | None = None) -> None:
        self.name = name
        self.value = value
        self.tags = tags or []

    def __repr__(self) -> str:
        return f"Variable(name={self.name!r}, value={self.value!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Variable) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # it is compared by value, which may change

    @staticmethod
    @sync_compatible
    def get(name: str, default: Any = None) -> Any:
        """The value of a variable, or `default` if it does not exist; async code awaits the call."""
        return _get(name, default)

    @staticmethod
    @sync_compatible
    def set(name: str, value: Any, tags: list[str] | None = None, overwrite: bool = False) -> Variable:
        """Set a variable; async code awaits the call.

        Args:
            overwrite: whether to replace an existing variable; its tags stay unless new ones are given.

        Raises:
            VariableExists: a variable with this name already exists.
            InvalidInput: the name or the value is invalid.
        """
        return _set(name, value, tags, overwrite)

    @staticmethod
    @sync_compatible
    def unset(name: str) -> bool:
        """Delete a variable; returns whether it existed. Async code awaits the call."""
        return _unset(name)

    aget = staticmethod(async_twin(_get))
    aset = staticmethod(async_twin(_set))
    aunset = staticmethod(async_twin(_unset))


# Prefect 2's functions.
get = Variable.get
set = Variable.set  # its name
