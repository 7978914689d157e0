"""Text search: LIKE patterns, and the syntax of the log search."""

from __future__ import annotations

import re

from runyard.base.errors import InvalidInput

MAX_QUERY = 200

# An optional sign, then a quoted phrase (with \" for a quote in it) or a word.
_TERM = re.compile(r'([+!-]?)(?:"((?:\\.|[^"\\])*)"|([^\s"]+))')


def like_pattern(text: str) -> str:
    """`text` as a LIKE pattern that matches exactly it, with a backslash as the escape."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def search_terms(query: str) -> list[tuple[str, str]]:
    """The terms of a text search.

    Args:
        query: words. At least one of them must occur. `+word` must occur, `-word` or `!word` must not
            occur. `"a phrase"` is one word.

    Returns:
        Pairs of a role, `any`, `all` or `none`, and the text.

    Raises:
        InvalidInput: the query is longer than 200 characters.
    """
    if len(query) > MAX_QUERY:
        raise InvalidInput(f"the text to search for has {len(query)} characters; the maximum is {MAX_QUERY}")
    roles = {"": "any", "+": "all", "-": "none", "!": "none"}
    found = []
    for sign, phrase, word in _TERM.findall(query):
        text = re.sub(r"\\(.)", r"\1", phrase) if phrase else word
        if text:
            found.append((roles[sign], text))
    return found
