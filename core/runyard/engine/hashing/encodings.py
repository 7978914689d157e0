"""What the writers of encodings share: how parts are put together, and what they ask of the encoder."""

from __future__ import annotations

import marshal
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

# The format of `marshal` without references: equal values give equal bytes, whichever object they are.
FORMAT = 2


class Encodes(Protocol):
    """The encoder of a digest, as `runyard.engine.hashing.digests.Encoder` describes it."""

    with_globals: bool

    def encode(self, value: Any) -> bytes:
        """The bytes of a value."""

    def encode_apart(self, value: Any) -> tuple[bytes, bool]:
        """As `encode`, with whether the value refers to nothing around it."""

    def is_closed(self) -> bool:
        """Whether what was written since the present object began refers to nothing around that object."""

    def items(self, tag: bytes, values: Iterable[Any]) -> bytes:
        """Values one after another."""

    def mapping(self, value: Any) -> bytes:
        """A dict, in the order of its keys."""

    def reduced(self, value: Any, leave_out: frozenset[str] = frozenset()) -> bytes:
        """An object, as the pickle protocol takes it apart; but for some attributes."""


def frame(tag: bytes, parts: Iterable[bytes]) -> bytes:
    """Encodings one after another, so that no others give the same bytes."""
    return tag + marshal.dumps(list(parts), FORMAT)
