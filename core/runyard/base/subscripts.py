"""What stands for `typing.Generic` at run time: `typing` is slow to import. Subscripts change nothing."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self


class Generic:
    """A base for classes that type checkers take for generic ones."""

    __slots__ = ()

    def __class_getitem__(cls, _parameters: Any) -> type[Self]:
        """`State[int]` in annotations stands for the class."""
        return cls
