"""Texts from user code, made storable and of limited length; these functions never raise."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

# The maximum lengths of a state's message (and of an exception in a log) and of a name.
MESSAGE = 20_000
NAME = 255
_INDEXED_BYTES = 1000
# Exceptions, besides Ctrl-C, that stop the process or the run now, by name, because higher rooms define them.
_STOPS = ("TerminationSignal", "RunTimedOut")
# The maximum depth of a JSON value: the API's serializers stop at 255, including the levels around the value.
DEPTH = 200
# What a terminal executes instead of showing it: control characters except line ends and tabs, and characters
# that change the writing direction.
_OBEYED = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
_NO_COLOUR = r"(?!\x1b\[[0-9;]*m)"


def visible(text: str, colours: bool = False) -> str:
    r"""Escape what a terminal would execute, such as `\x1b`.

    Args:
        colours: keep colour codes; what they set ends with the text, as it would colour or hide what follows.
    """
    if text.isprintable():
        return text
    import re

    pattern = _NO_COLOUR + _OBEYED if colours else _OBEYED
    shown = re.sub(pattern, lambda found: ascii(found.group())[1:-1], text.replace("\r\n", "\n"))
    if colours and "\x1b" in shown:
        *_, last = re.finditer(r"\x1b\[([0-9;]*)m", shown)
        if last.group(1).strip("0;"):
            shown += "\x1b[0m"
    return shown


def storable(text: str) -> str:
    r"""Make a text storable in every database: escape lone surrogates (`\udce9`) and replace NUL.

    In JSON texts, the escape is JSON's own, so the value is read back unchanged.
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
    """Shorten a text to `limit` characters: one quarter from its beginning, the rest from its end."""
    if len(text) <= limit:
        return text
    gap = f"\n... ({len(text) - limit:,} characters left out) ...\n" if limit > 1000 else "..."
    room = limit - len(gap)
    head = room // 4
    return f"{text[:head]}{gap}{text[len(text) - room + head :]}"


def message(value: object) -> str:
    """Make any value a state's message: storable, with at most `MESSAGE` characters."""
    text = value if type(value) is str else told(value)
    if len(text) > MESSAGE:
        text = shortened(text)
    return storable(text)


def name(value: object) -> str:
    """Make any value a name: storable, with at most `NAME` characters."""
    text = value if type(value) is str else told(value)
    return storable(text if len(text) <= NAME else shortened(text, NAME))


def counted(number: int, noun: str) -> str:
    """A number and a noun: `1 record`, `3,000 records`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str], most: int = 3) -> str:
    """The first names, and how many more there are: `a, b, c and 2 more`."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def indexed(key: str) -> str:
    """A key that every database can index: keys that are long or not storable are replaced by a digest.

    PostgreSQL refuses index entries of more than about 2,700 bytes.
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
    """`str` or `repr` of an object; if its own code fails, its type and the exception.

    Exceptions that stop the process pass through: Ctrl-C and SIGTERM may arrive at any moment.
    """
    try:
        # Convert a subclass of str to a plain str.
        return "".join((way(value),))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) or type(error).__name__ in _STOPS:
            raise
        return f"<{type(value).__name__} object; {way.__name__}() of it raised {type(error).__name__}>"


def is_too_deep(value: Any, text: str) -> bool:
    """Whether a JSON value is nested deeper than `DEPTH`.

    Args:
        value: the value.
        text: the value as JSON, which usually answers the question fast.
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
    """Escape half surrogate pairs in the keys of a JSON value, because no response can contain them.

    Values keep theirs.

    Args:
        value: the value of the JSON text.
        text: the JSON text; such keys are rare, so searching it first is fast.
    """
    return _storable_keys(value) if "\\ud" in text else value


def _storable_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {storable(key): _storable_keys(item) for key, item in value.items()}
    return [_storable_keys(item) for item in value] if isinstance(value, list) else value
