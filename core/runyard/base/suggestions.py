"""What a misspelt word is most like: the one place where `did you mean` is written."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def closest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word that is most like another, or None.

    Args:
        cutoff: how like it has to be, from 0 to 1 (the same).
    """
    from difflib import get_close_matches  # only for an error: it takes longer to load than this whole room

    return next(iter(get_close_matches(word, known, 1, cutoff)), None)


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "", cutoff: float = 0.6) -> str:
    """The end of an error about an unknown word: `; did you mean 'name'?`.

    Args:
        word: what was given.
        known: what could be meant.
        otherwise: said instead, after `; `, where nothing known is like it.
        cutoff: as of `closest`.
    """
    close = closest(word, known, cutoff)
    if close is not None:
        return f"; did you mean {close!r}?"
    return f"; {otherwise}" if otherwise else ""
