"""Texts from users' code: made such that every store takes them, of bounded size, and never an error."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# The most characters of a state's message, of an exception in a log, and of a name.
MESSAGE = 20_000
NAME = 255
_INDEXED_BYTES = 1000
# Besides Ctrl-C, what stops the process or the run at this moment, by its name: they are defined above here.
_STOPS = ("TerminationSignal", "RunTimedOut")
# How deep a JSON value may be nested: serializers of the API end at 255, with what stands around the value.
DEPTH = 200
# What a terminal obeys instead of showing it: control characters but for line ends and tabs, and what turns
# the direction of writing.
_OBEYED = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
_NO_COLOUR = r"(?!\x1b\[[0-9;]*m)"


def visible(text: str, colours: bool = False) -> str:
    """The text as a terminal may get it: what it would obey is spelled out, such as `\\x1b`.

    Args:
        colours: leave codes of colours as they are.
    """
    if text.isprintable():
        return text
    import re

    pattern = _NO_COLOUR + _OBEYED if colours else _OBEYED
    return re.sub(pattern, lambda found: ascii(found.group())[1:-1], text.replace("\r\n", "\n"))


def storable(text: str) -> str:
    """The text as every database can hold it: a lone surrogate is spelled out (`\\udce9`), NUL replaced.

    In a JSON text the spelling is JSON's own, so that the value is read back as it was.
    """
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return text.encode("utf-8", "backslashreplace").decode()
    return text


def shortened(text: str, limit: int = MESSAGE) -> str:
    """At most `limit` characters of a text: its beginning and, three quarters, its end."""
    if len(text) <= limit:
        return text
    gap = f"\n... ({len(text) - limit:,} characters left out) ...\n" if limit > 1000 else "..."
    room = limit - len(gap)
    head = room // 4
    return f"{text[:head]}{gap}{text[len(text) - room + head :]}"


def message(value: object) -> str:
    """A state's message: storable text of at most `MESSAGE` characters, whatever was given."""
    text = value if type(value) is str else told(value)
    if len(text) > MESSAGE:
        text = shortened(text)
    return storable(text)


def name(value: object) -> str:
    """A name: storable text of at most `NAME` characters, whatever was given."""
    text = value if type(value) is str else told(value)
    return storable(text if len(text) <= NAME else shortened(text, NAME))


def counted(number: int, noun: str) -> str:
    """A number of things in words: `1 record`, `3,000 records`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def indexed(key: str) -> str:
    """A key as every database can find a row by it: a long one, and no storable text, by a digest.

    PostgreSQL refuses keys of more than about 2,700 bytes.
    """
    if len(key) <= _INDEXED_BYTES and key.isascii() and "\0" not in key:
        return key
    data = key.encode("utf-8", "surrogatepass")
    readable = storable(key)
    if len(data) <= _INDEXED_BYTES and readable == key:
        return key
    from hashlib import sha256

    return f"{readable[:100]}-{sha256(data).hexdigest()}"


def told(value: object, way: Callable[[Any], str] = str) -> str:
    """`str` or `repr` of an object; where its own code fails, what kind it is and by what it failed.

    What stops the process goes on: Ctrl-C and SIGTERM may come at this moment as at any other.
    """
    try:
        # Of a subclass of str, the plain text.
        return "".join((way(value),))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) or type(error).__name__ in _STOPS:
            raise
        return f"<{type(value).__name__} object; {way.__name__}() of it raised {type(error).__name__}>"


def is_too_deep(value: Any, text: str) -> bool:
    """Whether a JSON value is nested deeper than `DEPTH`.

    Args:
        value: the value.
        text: it as JSON, which mostly tells at once that it is not.
    """
    if text.count("[") + text.count("{") <= DEPTH:
        return False
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEPTH:
            return True
        below: list[Any] = []
        for item in level:
            inner = item.values() if isinstance(item, dict) else item
            below.extend(one for one in inner if isinstance(one, (dict, list, tuple)))
        level = below
    return False


def with_storable_keys(value: Any, text: str) -> Any:
    """A value of JSON whose keys can be written as UTF-8, which no answer could be with half a surrogate pair
    in one: it is spelled out. Values keep theirs.

    Args:
        value: what the text holds.
        text: the JSON, in which such a key is rare: looking for it first is quick.
    """
    return _storable_keys(value) if "\\ud" in text else value


def _storable_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {storable(key): _storable_keys(item) for key, item in value.items()}
    return [_storable_keys(item) for item in value] if isinstance(value, list) else value
