"""What saving and loading blocks raises; a ValueError too, since that is what scripts for Prefect catch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runyard.base.errors import Conflict, InvalidInput, NotFound

if TYPE_CHECKING:
    from pydantic import ValidationError


class BlockNotFound(NotFound, ValueError):
    """No block is saved by that name, or its type is not known here."""


class BlockExists(Conflict, ValueError):
    """A block of that type is saved by that name already."""


class InvalidBlock(InvalidInput, ValueError):
    """A name is none, or saved data do not fit the type."""


def problems(error: ValidationError) -> str:
    """What is wrong in one line, without the values: they may be secret."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}".removeprefix(": ") for one in found)
