"""The names of `prefect.utilities.names`, `.slugify` and `.text` that scripts use."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

from runyard.base import ids
from runyard.base.suggestions import closest

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "fuzzy_match_string",
    "generate_slug",
    "obfuscate",
    "obfuscate_string",
    "slugify",
    "truncated_to",
]

_STARS = 8
_OTHER = re.compile(r"[^a-zA-Z0-9]+")
# Letters that do not decompose into a letter and an accent.
_LETTERS = str.maketrans({
    "ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L",
    "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i",
})  # fmt: skip


def generate_slug(n_words: int) -> str:
    """A random name of several words, such as `calm-otter`."""
    words: list[str] = []
    while len(words) < n_words:
        words += ids.new_name().split("-")
    return "-".join(words[-n_words:] if n_words else [])


def obfuscate_string(s: str, show_tail: bool = False) -> str:
    """Replace a string by stars.

    Args:
        show_tail: show as many of its last characters, up to four, as it has more than ten.
    """
    shown = min(4, max(0, len(s) - 10)) if show_tail else 0
    return "*" * (_STARS - shown) + (s[-shown:] if shown else "")


def obfuscate(s: Any, show_tail: bool = False) -> str:
    """Like `obfuscate_string`, for any value."""
    return obfuscate_string(str(s), show_tail)


def slugify(
    text: str | bytes,
    max_length: int = 0,
    separator: str = "-",
    lowercase: bool = True,
    stopwords: Iterable[str] = (),
) -> str:
    """A text as a slug: unaccented letters and digits, with `separator` between the words.

    Args:
        max_length: of the result; 0: no limit.
        stopwords: words that are removed.
    """
    shown = text.decode("utf-8", "ignore") if isinstance(text, bytes) else str(text)
    plain = unicodedata.normalize("NFKD", shown.translate(_LETTERS)).encode("ascii", "ignore").decode()
    left_out = {word.lower() for word in stopwords}
    words = [word for word in _OTHER.split(plain) if word and word.lower() not in left_out]
    slug = separator.join(words)
    if lowercase:
        slug = slug.lower()
    return slug[:max_length].strip(separator) if max_length > 0 else slug


def truncated_to(length: int, value: str | None) -> str:
    """Shorten a long text in its middle, with the number of omitted characters."""
    if not value:
        return ""
    left = len(value) - length
    if left <= 0:
        return value
    half = length // 2
    short = f"{value[:half]}...{left} additional characters...{value[-half:] if half else ''}"
    return short if len(short) < len(value) else value


def fuzzy_match_string(
    word: str, possibilities: Iterable[str], *, n: int = 1, cutoff: float = 0.6
) -> str | None:
    """The possibility that is most similar to a word, or None."""
    return closest(word, possibilities, cutoff)
