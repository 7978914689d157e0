"""A replacement for `typing.Generic` at run time, because `typing` is slow to import.

Subscripts have no effect.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self


class Generic:
    """A base for classes that type checkers treat as generic."""

    __slots__ = ()

    def __class_getitem__(cls, _parameters: Any) -> type[Self]:
        """Make `State[int]` in annotations the class itself."""
        return cls
