"""Recognizes stored results when they are passed to another task.

A value that was written and read again may have other pickled bytes than before: views, models, sets, lazily
filled fields. A cache key from these bytes would change when the run is resumed, and completed tasks would
run again. So a stored result is identified by the digest of its stored bytes, which is the same in every
process that creates or reads the value.

Pandas frames are not handled here: using them changes their pickles (a look-up fills a cache), but their key
depends only on their values.

A result that was changed later is no longer the stored result: its current pickle is compared with the
pickle from when it was returned or read.
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
# Collections with at most this many items also register each item as a result.
_PARTS = 16
# Lists and dicts do not support weak references: at most this many of them are registered.
_MOST = 10_000
_MARK = "\0runyard kept result"


class _Known:
    """One registered object: the digests of its current pickle and of its stored bytes."""

    __slots__ = ("alive", "kept", "now", "serializer")

    def __init__(self, serializer: Serializer, now: str, kept: str) -> None:
        self.serializer = serializer
        self.now = now
        self.kept = kept
        self.alive: weakref.ref[Any] | None = None


_known: dict[int, _Known] = {}
# The objects in `_known` without a weak reference, oldest first.
_unwatched: dict[int, None] = {}


def digest(data: bytes) -> str:
    """The digest that identifies a stored result."""
    return hashlib.sha256(data).hexdigest()


def note(value: Any, serializer: Serializer, data: bytes, read: bool = False) -> None:
    """Register a stored result.

    Args:
        value: the result itself.
        serializer: the serializer that wrote it.
        data: the stored bytes.
        read: True if `value` was read from `data`, False if it was written.
    """
    if type(value) in _PLAIN:
        return
    if is_plain(value):
        return  # its key does not change
    kept = digest(data)
    compressed = isinstance(serializer, CompressedSerializer)
    while isinstance(serializer, CompressedSerializer):
        serializer = serializer.serializer
    _note_one(value, serializer, kept, None if read or compressed else kept)
    for name, part in _parts(value):
        _note_one(part, serializer, digest(f"{kept}:{name}".encode()), None)


def note_again(pairs: list[tuple[Any, str]]) -> None:
    """Register the results that `found_in` found in another process; the values were sent as pickles."""
    for value, kept in pairs:
        _note_one(value, PickleSerializer(), kept, None)


def in_place_of(value: Any) -> Any:
    """For a key: the value with each unchanged stored result in it replaced by a small placeholder."""
    return _replaced(value, _DEPTH) if _known else value


def found_in(value: Any) -> list[tuple[Any, str]]:
    """The unchanged stored results in a value, each with its digest."""
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
    """Whether the key of a value stays the same when the value is used, pickled and read."""
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
        return None  # it can no longer be pickled: do not treat it as a stored result


def _kept_of(value: Any) -> str | None:
    """The digest of a value if it is an unchanged stored result, else None."""
    known = _known.get(id(value))
    if known is None or (known.alive is not None and known.alive() is not value):
        return None
    return known.kept if _digest_now(value, known.serializer) == known.now else None


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
    """The items of a result that is a small collection, without plain values."""
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
