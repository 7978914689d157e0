"""The exceptions of saving and loading blocks; also ValueErrors, which scripts for Prefect catch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runyard.base.errors import Conflict, InvalidInput, NotFound

if TYPE_CHECKING:
    from pydantic import ValidationError


class BlockNotFound(NotFound, ValueError):
    """The block does not exist, or its type is unknown."""


class BlockExists(Conflict, ValueError):
    """A block of that type and name exists."""


class InvalidBlock(InvalidInput, ValueError):
    """A name is invalid, or saved data are not valid for the type."""


def problems(error: ValidationError) -> str:
    """The faults in one line, without the values, which may be secret."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}".removeprefix(": ") for one in found)
