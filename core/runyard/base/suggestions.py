"""Suggestions for misspelt words: the only place that writes `did you mean`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def closest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word that is most similar to another, or None.

    Args:
        cutoff: the minimum similarity, from 0 to 1 (equal).
    """
    from difflib import get_close_matches  # only for errors: it loads slower than this whole room

    return next(iter(get_close_matches(word, known, 1, cutoff)), None)


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "", cutoff: float = 0.6) -> str:
    """The end of an error about an unknown word: `; did you mean 'name'?`.

    Args:
        word: the unknown word.
        known: the valid words.
        otherwise: the text after `; ` if no known word is similar.
        cutoff: see `closest`.
    """
    close = closest(word, known, cutoff)
    if close is not None:
        return f"; did you mean {close!r}?"
    return f"; {otherwise}" if otherwise else ""
