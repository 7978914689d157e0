"""Digests of values: equal for equal values in every process, different for different values.

A value is encoded as bytes that depend only on the value: not on the process, the order of a set or a dict,
shared objects in it, or the memory layout of an array. Pickles depend on all of these, so the pickle protocol
is only used to find the parts of an object.
"""

from __future__ import annotations

import hashlib
import marshal
import sys
from datetime import date, datetime
from math import isfinite
from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from runyard.base.exceptions import HashError
from runyard.engine.hashing import hashing_arrays, hashing_arrow, hashing_code, hashing_pandas
from runyard.engine.hashing.encodings import FORMAT, frame
from runyard.engine.results import known_results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Longer encodings are replaced by their digest, so that the whole encoding stays small.
_LONGEST = 1024
# Encodings of at least this length are cached, in case the same object occurs again.
_WORTH_KEEPING = 128
# An object that contains itself is encoded again on each path to it; dense graphs have too many paths. These
# are the limits: a total number of paths, and a number per object.
_MOST_WAYS, _MOST_WAYS_EACH = 1_000, 10
_SCALARS = frozenset((str, int, float, bool, type(None)))
_ATOMS = _SCALARS | {bytes}
_TEXT = frozenset((str,))
_REAL = frozenset((float, bool))
_ROWS = frozenset((dict,))
_BUILTIN = frozenset((list, tuple, dict))
# These occur often: in all objects of a class.
_NAMED = (type, FunctionType, BuiltinFunctionType)
_NAN = float("nan")
_NOWHERE = sys.maxsize


def join_keys(keys: list[str]) -> str:
    """Combine keys into one key of 32 characters; the order matters."""
    return hashlib.sha256("\0".join(keys).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def hash_objects(*values: Any) -> str:
    """A hexadecimal digest of 32 characters of all the values together.

    Values of different types have different digests, even if Python treats them as equal: 1, 1.0 and True.
    The order of dict items does not matter. An object is identified by its class and its pickled parts.

    Raises:
        HashError: a value cannot be encoded, such as a lock.
    """
    # The pickle of a stored result may change after reading: it is identified by its stored bytes.
    values = known_results.in_place_of(values)
    if len(values) == 1 and type(values[0]) is dict:
        # The arguments of most tasks: the same bytes as from the encoder, in a third of the time.
        written = _flat(dict, values[0])
        if written is not None:
            return hashlib.sha256(frame(b"t", [_short(written)])).hexdigest()[:32]
    return Encoder().digest(values)


def source_digest(fn: Callable[..., Any], made: float) -> str:
    """A digest of a function's source code and of the values bound into it.

    It does not cover the functions that it calls, or the object that a method is bound to.

    Args:
        made: when the function was created, in seconds since 1970: a file that was written later is not its
            source.

    Raises:
        HashError: a bound value cannot be encoded.
    """
    return Encoder(with_globals=False).digest(hashing_code.Source(fn, made))


class Encoder:
    """Encodes values as bytes; use a new encoder for each digest.

    Args:
        with_globals: whether the encoding of a function without an importable name includes its globals.
    """

    __slots__ = ("_known", "_looping", "_lowest", "_open", "_ways", "with_globals")

    def __init__(self, with_globals: bool = True) -> None:
        self.with_globals = with_globals
        # The objects that contain the current one, with their depths.
        self._open: dict[int, int] = {}
        # The depth of the outermost object that the current one refers back to.
        self._lowest = _NOWHERE
        # Encodings by id; the reference to the object prevents that Python reuses its id.
        self._known: dict[int, tuple[Any, bytes]] = {}
        self._looping: set[int] = set()
        self._ways = 0

    def digest(self, value: Any) -> str:
        """The digest of a value, 32 hexadecimal characters.

        Raises:
            HashError: the value cannot be encoded.
        """
        try:
            return hashlib.sha256(self.encode(value)).hexdigest()[:32]
        except Exception as error:
            raise HashError(f"no key can be made of these values: {type(error).__name__}: {error}") from error

    def encode(self, value: Any) -> bytes:
        """The encoding of a value: equal for equal values, different for different values.

        Raises:
            Exception: the value cannot be encoded; the type depends on the value.
        """
        kind = type(value)
        if kind in _ATOMS:
            return _short(b"a" + marshal.dumps(value if value == value else _NAN, FORMAT))
        key = id(value)
        known = self._known.get(key)
        if known is not None:
            return known[1]
        written = _flat(kind, value) if kind in _BUILTIN else None
        if written is not None:
            data = _short(written)
            if len(written) >= _WORTH_KEEPING:
                self._known[key] = (value, data)
            return data
        opened, here = self._open, len(self._open)
        if key in opened:
            self._lowest = min(self._lowest, opened[key])
            return b"^%d" % (here - opened[key])
        opened[key] = here
        outer, self._lowest = self._lowest, _NOWHERE
        try:
            writer = _WRITERS.get(kind) or _looked_up.get(kind)
            if writer is None:
                writer = _looked_up[kind] = _writer(kind)
            written = writer(self, value)
        except BaseException:
            self._lowest = outer  # the caller may skip this value
            raise
        finally:
            del opened[key]
        data = _short(written)
        if self._lowest < here:
            self._ways += 1
            self._looping.add(key)
            if self._ways > _MOST_WAYS + _MOST_WAYS_EACH * len(self._looping):
                raise HashError(f"a {kind.__name__} refers to itself in too many ways")
            self._lowest = min(outer, self._lowest)
        else:
            self._lowest = outer
            if len(written) >= _WORTH_KEEPING or isinstance(value, _NAMED):
                self._known[key] = (value, data)
        return data

    def encode_apart(self, value: Any) -> tuple[bytes, bool]:
        """As `encode`, plus whether the encoding is independent of the objects that contain the value."""
        outer, self._lowest = self._lowest, _NOWHERE
        data = self.encode(value)
        is_apart = self._lowest == _NOWHERE
        self._lowest = min(outer, self._lowest)
        return data, is_apart

    def is_closed(self) -> bool:
        """Whether the encoding of the current object so far is independent of the objects that contain it."""
        return self._lowest >= len(self._open) - 1

    def items(self, tag: bytes, values: Iterable[Any]) -> bytes:
        """Encode values in their order."""
        values = list(values)
        kinds = set(map(type, values))
        if kinds <= _SCALARS:
            return tag + b"=" + marshal.dumps(_with_one_nan(values, kinds), FORMAT)
        if kinds == _ROWS and len(values) > 1:
            names = set(values[0])
            if set(map(type, names)) <= _TEXT and all(row.keys() == names for row in values):
                return tag + self._columns(sorted(names), values)
        return frame(tag, map(self.encode, values))

    def _columns(self, names: list[str], rows: list[dict[str, Any]]) -> bytes:
        """Encode dicts with the same keys column by column, which is several times faster."""
        parts = [marshal.dumps((names, len(rows)), FORMAT)]
        parts += [_short(self.items(b"l", [row[name] for row in rows])) for name in names]
        return frame(b"|", parts)

    def mapping(self, value: Any) -> bytes:
        """Encode a dict, sorted by its keys."""
        kinds = set(map(type, value))
        if kinds <= _TEXT:
            names = sorted(value)
            parts = [marshal.dumps(names, FORMAT)]
            parts += [self.encode(value[name]) for name in names]
            return frame(b"d", parts)
        pairs = sorted((self.encode(key), self.encode(item)) for key, item in value.items())
        return frame(b"p", [part for pair in pairs for part in pair])

    def reduced(self, value: Any, leave_out: frozenset[str] = frozenset()) -> bytes:
        """Encode an object by the parts that the pickle protocol returns, without some attributes."""
        import copyreg

        kind = type(value)
        reducer: Any = copyreg.dispatch_table.get(kind)
        made = reducer(value) if reducer is not None else value.__reduce_ex__(4)
        if isinstance(made, str):
            return hashing_code.write_global(self, value, made)
        function, args, state, items, pairs = (*made, None, None, None)[:5]
        if type(state) is dict:
            state = _without_caches(kind, state)
            if leave_out:
                state = {name: item for name, item in state.items() if name not in leave_out}
        new = b"new" if function is copyreg.__newobj__ else self.encode(function)  # type: ignore[attr-defined]  # undocumented
        parts = [new, self.encode(args), self.encode(state)]
        if items is not None:
            parts.append(self.items(b"l", items))
        if pairs is not None:
            from collections import OrderedDict

            given = list(pairs)
            ordered = isinstance(value, OrderedDict)
            parts.append(self.items(b"o", given) if ordered else self.mapping(dict(given)))
        return frame(b"r", parts)


def _flat(kind: type, value: Any) -> bytes | None:
    """Encode a builtin collection of scalars; None if it contains other values."""
    if kind is dict:
        kinds = set(map(type, value.values()))
        if not kinds <= _SCALARS or not _TEXT.issuperset(map(type, value)):
            return None
        names = sorted(value)
        values = _with_one_nan([value[name] for name in names], kinds)
        return b"d=" + marshal.dumps((names, values), FORMAT)
    kinds = set(map(type, value))
    if not kinds <= _SCALARS:
        return None
    tag = b"l=" if kind is list else b"t="
    return tag + marshal.dumps(_with_one_nan(list(value), kinds), FORMAT)


def _with_one_nan(values: list[Any], kinds: set[type]) -> list[Any]:
    """The scalars with all NaNs replaced by one, because NaNs may have either sign."""
    if float not in kinds or (kinds <= _REAL and isfinite(sum(values))):
        return values
    return [value if value == value else _NAN for value in values]  # NaN is not equal to itself


class Written:
    """The encoding of a value, for keys that are computed in another process without the value.

    Args:
        value: the value.
    """

    def __init__(self, value: Any) -> None:
        self.problem: str | None = None
        try:
            self.data = Encoder().encode(value)
        except Exception as error:
            self.problem = f"{type(error).__name__}: {error}"


def _write_written(_encoder: Encoder, value: Written) -> bytes:
    if value.problem is not None:
        raise HashError(value.problem)
    return value.data


def _short(data: bytes) -> bytes:
    return data if len(data) <= _LONGEST else b"#" + hashlib.sha256(data).digest()


def _without_caches(kind: type, state: dict[str, Any]) -> dict[str, Any]:
    """The state of an object without its cached properties."""
    from functools import cached_property

    caches = [
        name
        for name in state
        if any(isinstance(vars(base).get(name), cached_property) for base in kind.__mro__)
    ]
    return {name: value for name, value in state.items() if name not in caches} if caches else state


# Weak references: classes that a run creates can be freed with it.
_looked_up: WeakKeyDictionary[type, Callable[[Encoder, Any], bytes]] = WeakKeyDictionary()


def _writer(kind: type) -> Callable[[Encoder, Any], bytes]:
    """The function that encodes values of a class, looked up once per class."""
    import enum

    if issubclass(kind, (set, frozenset)):
        return _write_set
    if issubclass(kind, enum.Enum):
        return _write_member
    if hasattr(kind, "__pydantic_fields_set__") and "pydantic" in sys.modules:
        from pydantic import BaseModel

        if issubclass(kind, BaseModel):
            return _write_model
    for base in kind.__mro__:
        # In some classes written in C, `__module__` is a descriptor.
        package = str(base.__module__).partition(".")[0]
        if package in _PACKAGES:
            found = _PACKAGES[package].writer_of(kind)
            if found is not None:
                writer: Callable[[Encoder, Any], bytes] = found
                return writer
    return hashing_code.writer_of(kind) or Encoder.reduced


# The encoders for values of a package.
_PACKAGES: dict[str, Any] = {
    "numpy": hashing_arrays,
    "pandas": hashing_pandas,
    "polars": hashing_arrow,
    "pyarrow": hashing_arrow,
}


def _write_set(encoder: Encoder, value: Any) -> bytes:
    kind = type(value)
    parts = sorted(map(encoder.encode, value))
    if kind not in (set, frozenset):
        # Pickle would write the elements in an order that depends on the process.
        parts += [b"", encoder.encode(kind), encoder.encode(getattr(value, "__dict__", None))]
    return frame(b"{" if isinstance(value, set) else b"(", parts)


def _write_member(encoder: Encoder, value: Any) -> bytes:
    return frame(b"e", map(encoder.encode, (type(value), value._name_, value._value_)))


def _write_model(encoder: Encoder, value: Any) -> bytes:
    """Encode a pydantic model by its values, as `==` compares it. The set of explicitly given fields is left
    out, because storing a run's parameters loses it."""
    state = dict(value.__getstate__())
    state.pop("__pydantic_fields_set__", None)
    fields = _without_caches(type(value), state.pop("__dict__"))
    return frame(b"m", map(encoder.encode, (type(value), fields, state)))


def _write_range(encoder: Encoder, value: range) -> bytes:
    ends = (value[0], value[-1], value.step if value[0] != value[-1] else 1) if value else ()
    return encoder.items(b"range", ends)


def _write_view(encoder: Encoder, value: Any) -> bytes:
    return frame(b"v", [type(value).__name__.encode(), encoder.items(b"l", value)])


def _write_datetime(encoder: Encoder, value: datetime) -> bytes:
    parts: Any = value.__reduce_ex__(4)[1]
    return frame(b"datetime", map(encoder.encode, parts))


_WRITERS: dict[type, Callable[[Encoder, Any], bytes]] = {
    list: lambda encoder, value: encoder.items(b"l", value),
    tuple: lambda encoder, value: encoder.items(b"t", value),
    dict: Encoder.mapping,
    set: _write_set,
    frozenset: _write_set,
    Written: _write_written,
    date: lambda encoder, value: b"date=%d" % value.toordinal(),
    datetime: _write_datetime,
    range: _write_range,
    slice: lambda encoder, value: encoder.items(b"slice", (value.start, value.stop, value.step)),
    type({}.keys()): _write_view,
    type({}.values()): _write_view,
    type({}.items()): _write_view,
}
