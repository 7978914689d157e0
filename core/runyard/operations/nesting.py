"""How deeply a JSON text is nested. A stored value must be writable again, inside a response."""

from __future__ import annotations

import re

# The limit for JSON columns. Responses can have 255 levels, and some of them surround the value.
MOST_LEVELS = 200

_TEXTS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_OTHER = re.compile(rb"[^\[\]{}]+")


def levels(text: bytes) -> int:
    """The greatest number of nested lists and objects. Exact only above `MOST_LEVELS`."""
    if text.count(b"[") + text.count(b"{") <= MOST_LEVELS:
        return 0
    deepest = depth = 0
    for bracket in _OTHER.sub(b"", _TEXTS.sub(b"", text)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest
