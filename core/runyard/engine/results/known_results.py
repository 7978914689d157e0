"""Kept results, recognised when they are given to another task.

A value that was written and read again may pickle to other bytes than before: views, models, sets, lazily
filled fields. A key made of these bytes would change when the run is resumed, and what had completed would
run again. So a kept result is known by the digest of the bytes that were kept, which are the same
for the process that made the value and for each that reads it.

Frames of pandas are no such results: using them changes their pickles (a look-up fills a cache), while their
key is made of their values alone, the same before and after.

A result that was changed since then is not that result any more: what it pickles to now is compared
with what it pickled to when it was returned or read.
"""

from __future__ import annotations

import hashlib
import weakref
from typing import TYPE_CHECKING, Any

from runyard.engine.results.serializers import CompressedSerializer, PickleSerializer, is_plain
from runyard.engine.results.steady_frames import is_steady

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runyard.engine.results.serializers import Serializer

_PLAIN = frozenset((str, int, float, bool, bytes, type(None)))
# How deep arguments are searched for results.
_DEPTH = 4
# Results of several values, of which a task may be given one.
_PARTS = 16
# Lists, dictionaries and the like do not say when they are gone: so many of them are remembered.
_MOST = 10_000
_MARK = "\0runyard kept result"


class _Known:
    """One object: what it pickled to, and what was kept of it."""

    __slots__ = ("alive", "kept", "now", "serializer")

    def __init__(self, serializer: Serializer, now: str, kept: str) -> None:
        self.serializer = serializer
        self.now = now
        self.kept = kept
        self.alive: weakref.ref[Any] | None = None


_known: dict[int, _Known] = {}
# Of those in `_known`, the ones that no weak reference watches, oldest first.
_unwatched: dict[int, None] = {}


def digest(data: bytes) -> str:
    """By what a kept result is known: the digest of its bytes."""
    return hashlib.sha256(data).hexdigest()


def note(value: Any, serializer: Serializer, data: bytes, read: bool = False) -> None:
    """Remember a result that is kept.

    Args:
        value: the result itself.
        serializer: what wrote it.
        data: the bytes that are kept.
        read: whether `value` was read from `data`; else it was written to it.
    """
    if type(value) in _PLAIN:
        return
    if is_plain(value):
        return  # its key is the same before and after
    kept = digest(data)
    compressed = isinstance(serializer, CompressedSerializer)
    while isinstance(serializer, CompressedSerializer):
        serializer = serializer.serializer
    _note_one(value, serializer, kept, None if read or compressed else kept)
    for name, part in _parts(value):
        _note_one(part, serializer, digest(f"{kept}:{name}".encode()), None)


def note_again(pairs: list[tuple[Any, str]]) -> None:
    """Remember what `found_in` found in another process; the values came here by pickle."""
    for value, kept in pairs:
        _note_one(value, PickleSerializer(), kept, None)


def in_place_of(value: Any) -> Any:
    """A value with each unchanged kept result in it replaced by a small stand-in, for a key."""
    return _replaced(value, _DEPTH) if _known else value


def found_in(value: Any) -> list[tuple[Any, str]]:
    """The unchanged kept results in a value, each with the digest that it is known by."""
    return list(_found(value, _DEPTH)) if _known else []


def _note_one(value: Any, serializer: Serializer, kept: str, now: str | None) -> None:
    if isinstance(serializer, PickleSerializer) and _has_steady_key(value, _DEPTH):
        return
    if now is None:
        now = _digest_now(value, serializer)
        if now is None:
            return
    known, key = _Known(serializer, now, kept), id(value)
    try:
        known.alive = weakref.ref(value, lambda ended: _forget(key, ended))
        _unwatched.pop(key, None)
    except TypeError:
        _unwatched[key] = None
        if len(_unwatched) > _MOST:
            oldest = next(iter(_unwatched))
            _unwatched.pop(oldest, None)
            _known.pop(oldest, None)
    _known[key] = known


def _has_steady_key(value: Any, depth: int) -> bool:
    """Whether the key of a value is the same after it was used, pickled and read."""
    kind = type(value)
    if kind in _PLAIN:
        return True
    if kind in (list, tuple, dict):
        if depth == 0 or len(value) > _PARTS:
            return False
        items = (*value.keys(), *value.values()) if kind is dict else value
        return all(_has_steady_key(item, depth - 1) for item in items)
    if kind.__module__.partition(".")[0] != "pandas":
        return False
    return is_steady(value)


def _forget(key: int, ended: Any) -> None:
    known = _known.get(key)
    if known is not None and known.alive is ended:
        _known.pop(key, None)


def _digest_now(value: Any, serializer: Serializer) -> str | None:
    try:
        return digest(serializer.dumps(value))
    except Exception:
        return None  # it cannot be written any more: it is known by what it holds, if by anything


def _kept_of(value: Any) -> str | None:
    """By what a value is known, if it is a kept result and unchanged."""
    known = _known.get(id(value))
    if known is None or (known.alive is not None and known.alive() is not value):
        return None
    return known.kept if _digest_now(value, known.serializer) == known.now else None


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
    """The values of a result that holds several, where they are no plain ones."""
    kind = type(value)
    if kind not in (tuple, list, dict) or len(value) > _PARTS:
        return
    for name, part in value.items() if kind is dict else enumerate(value):
        if type(part) not in _PLAIN and type(name) in (str, int):
            yield name, part


def _replaced(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    kept = _kept_of(value)
    if kept is not None:
        return {_MARK: kept}
    if depth == 0 or kind not in (list, tuple, dict) or _holds_plain(value):
        return value
    if kind is dict:
        return {name: _replaced(item, depth - 1) for name, item in value.items()}
    return kind(_replaced(item, depth - 1) for item in value)


def _holds_plain(value: Any) -> bool:
    return _PLAIN.issuperset(map(type, value.values() if type(value) is dict else value))


def _found(value: Any, depth: int) -> Iterator[tuple[Any, str]]:
    kind = type(value)
    if kind in _PLAIN:
        return
    kept = _kept_of(value)
    if kept is not None:
        yield value, kept
    elif depth and kind in (list, tuple, dict) and not _holds_plain(value):
        for item in value.values() if kind is dict else value:
            yield from _found(item, depth - 1)
