"""Digests of values: the same for equal values, in every process; others for others.

A value is written as bytes that depend on what it is and not on how it came to be: not on the process, the
order of a set or a dict, which of its parts are one object, or the layout of an array in memory. What pickle
writes depends on all of these, so it is only asked what an object consists of.
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

# Longer encodings are replaced by their digest, so that the whole one cannot grow beyond the value.
_LONGEST = 1024
# Encodings from this length on are kept for the next time the same object is met.
_WORTH_KEEPING = 128
# Objects that hold themselves are encoded anew on each way to them; dense graphs have too many ways. So many
# in all, and so many for each object, are gone.
_MOST_WAYS, _MOST_WAYS_EACH = 1_000, 10
_SCALARS = frozenset((str, int, float, bool, type(None)))
_ATOMS = _SCALARS | {bytes}
_TEXT = frozenset((str,))
_REAL = frozenset((float, bool))
_ROWS = frozenset((dict,))
_BUILTIN = frozenset((list, tuple, dict))
# Met again and again, in all objects of a class.
_NAMED = (type, FunctionType, BuiltinFunctionType)
_NAN = float("nan")
_NOWHERE = sys.maxsize


def join_keys(keys: list[str]) -> str:
    """One key of several, of 32 characters; their order counts."""
    return hashlib.sha256("\0".join(keys).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def hash_objects(*values: Any) -> str:
    """A hexadecimal digest of some values together, of 32 characters.

    Values of another type have another digest, also where Python calls them equal: 1, 1.0 and True.
    The order of dicts does not count. Objects are known by their class and what pickle would write of them.

    Raises:
        HashError: one of the values can be written by no means, such as a lock.
    """
    # A kept result may hold other values after it was read: it is known by what was kept.
    values = known_results.in_place_of(values)
    if len(values) == 1 and type(values[0]) is dict:
        # The arguments of most tasks: the same bytes as the encoder's, in a third of the time.
        written = _flat(dict, values[0])
        if written is not None:
            return hashlib.sha256(frame(b"t", [_short(written)])).hexdigest()[:32]
    return Encoder().digest(values)


def source_digest(fn: Callable[..., Any], made: float) -> str:
    """A digest of a function's source code and of the values that were bound into it.

    Not of what it calls, nor of the object that a method is bound to.

    Args:
        made: when the function was made, in seconds since 1970: a file that was written later does not say
            what it does.

    Raises:
        HashError: one of the bound values can make no key.
    """
    return Encoder(with_globals=False).digest(hashing_code.Source(fn, made))


class Encoder:
    """Writes values as bytes; one for each digest.

    Args:
        with_globals: whether a function without an importable name is known by the global values it uses too.
    """

    __slots__ = ("_known", "_looping", "_lowest", "_open", "_ways", "with_globals")

    def __init__(self, with_globals: bool = True) -> None:
        self.with_globals = with_globals
        # The objects around the present one, with their depths.
        self._open: dict[int, int] = {}
        # The depth of the outermost object that the present one refers back to.
        self._lowest = _NOWHERE
        # Encodings by id; each with its object, so that the id is not given to another one.
        self._known: dict[int, tuple[Any, bytes]] = {}
        self._looping: set[int] = set()
        self._ways = 0

    def digest(self, value: Any) -> str:
        """The digest of a value, of 32 hexadecimal characters.

        Raises:
            HashError: it cannot be written.
        """
        try:
            return hashlib.sha256(self.encode(value)).hexdigest()[:32]
        except Exception as error:
            raise HashError(f"no key can be made of these values: {type(error).__name__}: {error}") from error

    def encode(self, value: Any) -> bytes:
        """The bytes of a value: the same for equal ones, and never those of another one.

        Raises:
            Exception: it has none; which one depends on the value.
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
            self._lowest = outer  # who asked may leave this value out
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
        """As `encode`, with whether the bytes are the same wherever the value stands: it refers to nothing
        around it."""
        outer, self._lowest = self._lowest, _NOWHERE
        data = self.encode(value)
        is_apart = self._lowest == _NOWHERE
        self._lowest = min(outer, self._lowest)
        return data, is_apart

    def is_closed(self) -> bool:
        """Whether what was written since the present object began refers to nothing around that object."""
        return self._lowest >= len(self._open) - 1

    def items(self, tag: bytes, values: Iterable[Any]) -> bytes:
        """Values one after another."""
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
        """Dicts with the same names: name by name, which is several times as quick."""
        parts = [marshal.dumps((names, len(rows)), FORMAT)]
        parts += [_short(self.items(b"l", [row[name] for row in rows])) for name in names]
        return frame(b"|", parts)

    def mapping(self, value: Any) -> bytes:
        """A dict, in the order of its keys."""
        kinds = set(map(type, value))
        if kinds <= _TEXT:
            names = sorted(value)
            parts = [marshal.dumps(names, FORMAT)]
            parts += [self.encode(value[name]) for name in names]
            return frame(b"d", parts)
        pairs = sorted((self.encode(key), self.encode(item)) for key, item in value.items())
        return frame(b"p", [part for pair in pairs for part in pair])

    def reduced(self, value: Any, leave_out: frozenset[str] = frozenset()) -> bytes:
        """An object, as the pickle protocol takes it apart; but for some attributes."""
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
    """A builtin collection of nothing but scalars; None: it holds others."""
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
    """Scalars with one NaN for all, which may have either sign."""
    if float not in kinds or (kinds <= _REAL and isfinite(sum(values))):
        return values
    return [value if value == value else _NAN for value in values]  # NaN is not equal to itself


class Written:
    """Stands for a value in keys that are made in another process, which does not get the value itself.

    Args:
        value: what it stands for.
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
    """The state of an object but for what its class works out from the rest when asked for it first."""
    from functools import cached_property

    caches = [
        name
        for name in state
        if any(isinstance(vars(base).get(name), cached_property) for base in kind.__mro__)
    ]
    return {name: value for name, value in state.items() if name not in caches} if caches else state


# Weakly: classes that are made in a run go with it.
_looked_up: WeakKeyDictionary[type, Callable[[Encoder, Any], bytes]] = WeakKeyDictionary()


def _writer(kind: type) -> Callable[[Encoder, Any], bytes]:
    """How values of a class are written, looked up once for each class that is not a builtin one."""
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
        # Of some classes written in C it is a descriptor.
        package = str(base.__module__).partition(".")[0]
        if package in _PACKAGES:
            found = _PACKAGES[package].writer_of(kind)
            if found is not None:
                writer: Callable[[Encoder, Any], bytes] = found
                return writer
    return hashing_code.writer_of(kind) or Encoder.reduced


# How the values of a package are written.
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
        # Pickle would write the elements in the order that this process has them in.
        parts += [b"", encoder.encode(kind), encoder.encode(getattr(value, "__dict__", None))]
    return frame(b"{" if isinstance(value, set) else b"(", parts)


def _write_member(encoder: Encoder, value: Any) -> bytes:
    return frame(b"e", map(encoder.encode, (type(value), value._name_, value._value_)))


def _write_model(encoder: Encoder, value: Any) -> bytes:
    """A pydantic model by its values, as its `==` does; which of them were given and not defaults is lost
    when a run's parameters are stored."""
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
