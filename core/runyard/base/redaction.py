"""Replaces the secrets that this process has loaded by stars in its logs, output and reports."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

STARS = "********"
# Shorter secrets occur in many words: replacing them would reveal more than it hides.
_SHORTEST = 4
# Longer secrets are searched for unchanged and line by line, because a pattern for each character is too
# slow.
_LONGEST_PATTERN = 1024
_WHOLE = re.compile(r"\d+")
# The separator between two digits of a whole number, at a thousand.
_THOUSAND = re.compile(r"(?<=\d)(?=(?:\d{3})+\Z)")
_APART = r"[,_.' \u00a0\u202f]?"
# Characters that no encoding changes.
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]+")
_BEFORE = re.compile(r"[A-Za-z0-9+/_-]\Z")
_AFTER = re.compile(r"\A[A-Za-z0-9+/_-]?={0,2}")
# The first characters of a base64 text that depend on the bytes before the secret, by its offset modulo
# three.
_BASE64_HEAD = (0, 2, 3)


# The forms of characters in HTML and XML.
_REFERENCES = {
    "&": ["&amp;", "&#38;"],
    "<": ["&lt;", "&#60;"],
    ">": ["&gt;", "&#62;"],
    '"': ["&quot;", "&#34;"],
    "'": ["&#x27;", "&#39;", "&apos;"],
    "\n": ["&#10;"],
    "\r": ["&#13;"],
    "\t": ["&#9;"],
}


class _Secret:
    """A secret in all its written forms: plain, repr, JSON, URL, HTML, base64 and hexadecimal.

    Args:
        text: the secret.
        number: whether it is a number, which is found only as a whole number.
    """

    def __init__(self, text: str, number: bool = False) -> None:
        self.text = text
        self.value: Any = _number(text) if number else text
        # This part occurs in every form except the encoded ones; searching for it first is fast.
        self._sign = max(_PLAIN.findall(text), key=len, default="")
        self._pattern: re.Pattern[str] | None = None
        if number:
            self._pattern = re.compile(rf"(?<![\w.]){_grouped(text)}(?![\w]|\.\d)")
            # The last three digits before the decimal point form a group, however the others are grouped.
            self._sign = _WHOLE.findall(text)[0][-3:]
        elif text != self._sign and len(text) <= _LONGEST_PATTERN:
            self._pattern = re.compile("".join(map(_ways, text)))
        self._encoded = {} if number else _encoded(text.encode("utf-8", "surrogatepass"))

    def __len__(self) -> int:
        return len(self.text)

    def redact(self, text: str) -> str:
        """The text with this secret replaced."""
        if self._sign in text:
            text = text.replace(self.text, STARS) if self._pattern is None else self._pattern.sub(STARS, text)
        for sign, is_cut in self._encoded.items():
            if sign in text:
                text = _without(text, sign, is_cut)
        return text


def _grouped(text: str) -> str:
    """A pattern for a number, with optional thousands separators."""
    first = _WHOLE.search(text)
    assert first is not None
    whole = _APART.join(_THOUSAND.split(first.group()))
    return re.escape(text[: first.start()]) + whole + re.escape(text[first.end() :])


def _number(text: str) -> Any:
    return float(text) if not text.lstrip("-").isdigit() else int(text)


def _ways(char: str) -> str:
    """A pattern for one character as repr, JSON, a URL, HTML or XML writes it."""
    if _PLAIN.fullmatch(char):
        return char.replace(".", r"\.")
    data = char.encode("utf-8", "surrogatepass")
    ways = {char, repr(char)[1:-1], ascii(char)[1:-1], repr(data)[2:-1]}
    ways |= {"".join(f"%{byte:02X}" for byte in data), "".join(f"%{byte:02x}" for byte in data)}
    units = char.encode("utf-16-be", "surrogatepass")
    ways.add("".join(rf"\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2)))
    ways |= {*_REFERENCES.get(char, ())}
    if char in "\"'\\/":
        ways.add(f"\\{char}")
    elif char == "\n":
        ways.add("\r\n")
    elif char in "\b\f":  # repr uses hexadecimal for these, JSON does not
        ways.add("\\b" if char == "\b" else "\\f")
    elif char == " ":
        ways.add("+")
    # JSON inside JSON doubles each backslash, once per level.
    written = sorted((re.escape(way) for way in ways), key=len, reverse=True)
    return "(?:" + "|".join(way.replace(r"\\", r"\\+") for way in written) + ")"


def _encoded(data: bytes) -> dict[str, bool]:
    """The parts that base64 (at any offset) and hexadecimal texts of the secret contain.

    Also returns whether a part was cut out of base64: then the characters beside it reveal a part of the
    secret too.
    """
    import base64

    found = dict.fromkeys((data.hex(), data.hex().upper()), False)
    for offset, head in enumerate(_BASE64_HEAD):
        text = base64.b64encode(b"\0" * offset + data).decode("ascii")
        core = text[head : (offset + len(data)) * 8 // 6]
        found |= dict.fromkeys((core, core.replace("+", "-").replace("/", "_")), True)
    return found


def _without(text: str, sign: str, is_cut: bool) -> str:
    first, *others = text.split(sign)
    if is_cut:
        first = _BEFORE.sub("", first)
        others = [_BEFORE.sub("", _AFTER.sub("", part)) for part in others[:-1]] + [
            _AFTER.sub("", others[-1])
        ]
    return STARS.join((first, *others))


class Secrets:
    """A collection of secrets.

    Args:
        on_new: called with new secrets, in the form that `register` takes.
    """

    def __init__(self, on_new: Callable[[list[Any]], None] | None = None) -> None:
        self.on_new = on_new
        self._by_text: dict[str, _Secret] = {}
        self._longest_first: tuple[_Secret, ...] = ()

    def register(self, value: Any) -> None:
        """Register a text, a number, or all of a collection."""
        new = [_Secret(text, number) for text, number in _parts(value) if text not in self._by_text]
        if not new:
            return
        self._by_text |= {secret.text: secret for secret in new}
        # A secret that is part of another must not leave the rest of it readable.
        self._longest_first = tuple(sorted(self._by_text.values(), key=len, reverse=True))
        if self.on_new is not None:
            self.on_new([secret.value for secret in new])

    def redact(self, text: str) -> str:
        """The text with all secrets replaced."""
        for secret in self._longest_first:
            text = secret.redact(text)
        return text

    def known(self) -> tuple[Any, ...]:
        """All secrets, in the form that `register` takes."""
        return tuple(secret.value for secret in self._longest_first)

    def clear(self) -> None:
        """Forget all secrets."""
        self._by_text, self._longest_first = {}, ()

    def reach(self) -> int:
        """How many characters at the end of a text may belong to an incomplete secret."""
        longest = len(self._longest_first[0]) if self._longest_first else 0
        # A character of three bytes in UTF-8 takes nine in a URL.
        return 9 * longest


def _parts(value: Any) -> dict[tuple[str, bool], None]:
    """The texts and numbers (True) in a value that are long enough, each once."""
    found: dict[tuple[str, bool], None] = {}
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            found |= _parts(item)
    elif isinstance(value, (str, bytes)):
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        texts = (text, text.strip(), *(line.strip() for line in text.splitlines()))
        found = {(part, False): None for part in texts if len(part.strip()) >= _SHORTEST}
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        text = repr(value)
        if sum(char.isdigit() for char in text) >= _SHORTEST:
            found[text, True] = None
    return found


_known = Secrets()


def register(value: Any) -> None:
    """Replace a text, a number, or all of a collection, in all that this process writes from now on."""
    before = _known._longest_first
    _known.register(value)
    if _known._longest_first is not before and _known.on_new is None:
        _guard_output()


def tell(on_new: Callable[[list[Any]], None]) -> None:
    """Call `on_new` with each new secret, so that another process can redact this process's output."""
    _known.on_new = on_new
    if _known.known():
        on_new(list(_known.known()))


def known() -> tuple[Any, ...]:
    """All secrets, for another process that takes over this one's work and calls `register`."""
    return _known.known()


def redact(text: str) -> str:
    """The text with all known secrets replaced."""
    return _known.redact(text)


def redact_json(text: str) -> str:
    """A JSON text with all known secrets replaced in its strings, however they are escaped."""
    if not _known.known():
        return text
    import json

    return json.dumps(_redacted(json.loads(text)), separators=(",", ":"), ensure_ascii=False)


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact(name): _redacted(item) for name, item in value.items()}
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return STARS if redact(repr(value)) == STARS else value
    return [_redacted(item) for item in value] if isinstance(value, list) else value


class _Guarded:
    """A stream that redacts its output."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Redact and write."""
        self._stream.write(redact(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Redact and write each line."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _guard_output() -> None:
    """Redact the standard streams of this process, if its worker does not know its secrets.

    The output of such a process is stored in the run's logs.
    """
    if "RUNYARD__FLOW_RUN_ID" not in os.environ:
        return
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, _Guarded):
            setattr(sys, name, _Guarded(stream))
