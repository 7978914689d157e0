"""The interface of the encoder for the hashing modules, and the function that combines encodings."""

from __future__ import annotations

import marshal
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

# The format of `marshal` without references: equal values give equal bytes, even if objects are shared.
FORMAT = 2


class Encodes(Protocol):
    """The interface of `runyard.engine.hashing.digests.Encoder`."""

    with_globals: bool

    def encode(self, value: Any) -> bytes:
        """The encoding of a value."""

    def encode_apart(self, value: Any) -> tuple[bytes, bool]:
        """As `encode`, plus whether the encoding is independent of the objects that contain the value."""

    def is_closed(self) -> bool:
        """Whether the encoding of the current object so far is independent of the objects that contain it."""

    def items(self, tag: bytes, values: Iterable[Any]) -> bytes:
        """Encode values in their order."""

    def mapping(self, value: Any) -> bytes:
        """Encode a dict, sorted by its keys."""

    def reduced(self, value: Any, leave_out: frozenset[str] = frozenset()) -> bytes:
        """Encode an object by the parts that the pickle protocol returns, without some attributes."""


def frame(tag: bytes, parts: Iterable[bytes]) -> bytes:
    """Concatenate encodings unambiguously."""
    return tag + marshal.dumps(list(parts), FORMAT)
