"""How deeply a JSON text is nested: what is stored must be writable again, inside of what answers it."""

from __future__ import annotations

import re

# Values of JSON columns; what writes answers stops at 255 levels, and needs some of them for itself.
MOST_LEVELS = 200

_TEXTS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_OTHER = re.compile(rb"[^\[\]{}]+")


def levels(text: bytes) -> int:
    """How many lists and objects are inside each other, at most; exact only above `MOST_LEVELS`."""
    if text.count(b"[") + text.count(b"{") <= MOST_LEVELS:
        return 0
    deepest = depth = 0
    for bracket in _OTHER.sub(b"", _TEXTS.sub(b"", text)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest
