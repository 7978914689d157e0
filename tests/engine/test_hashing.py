"""Keys of values: equal ones have one key, in every process; others have others."""

from __future__ import annotations

import collections
import copy
import dataclasses
import datetime as dt
import decimal
import enum
import functools
import os
import pickle
import subprocess
import sys
import threading
import uuid
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, PrivateAttr
from runyard.base.exceptions import HashError
from runyard.engine.hashing.digests import Encoder, hash_objects

numbers = st.integers() | st.floats() | st.booleans()
scalars = st.none() | numbers | st.text() | st.binary(max_size=8) | st.dates() | st.datetimes() | st.uuids()
hashable = st.recursive(
    scalars, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=6
)
values = st.recursive(
    hashable,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.sets(hashable, max_size=4)
        | st.dictionaries(st.text(max_size=3) | hashable, inner, max_size=4)
    ),
    max_leaves=20,
)


def shape(value):
    """A value with its types, as text that two values share where they are equal and of one type."""
    kind = type(value).__name__
    if isinstance(value, dict):
        return (kind, sorted(repr((shape(key), shape(item))) for key, item in value.items()))
    if isinstance(value, (set, frozenset)):
        return (kind, sorted(repr(shape(item)) for item in value))
    if isinstance(value, (list, tuple)):
        return (kind, [shape(item) for item in value])
    return (kind, repr(value))


def rebuilt(value):
    """An equal value that shares no object with this one and was built in another order."""
    if isinstance(value, dict):
        return {rebuilt(key): rebuilt(item) for key, item in reversed(value.items())}
    if isinstance(value, (list, tuple, set, frozenset)):
        return type(value)(
            rebuilt(item) for item in list(value)[:: 1 if isinstance(value, (list, tuple)) else -1]
        )
    if isinstance(value, str):
        return "".join(list(value))
    return copy.deepcopy(value)


@given(values)
def test_equal_values_have_one_key(value):
    key = hash_objects(value)
    assert hash_objects(rebuilt(value)) == key
    assert hash_objects(pickle.loads(pickle.dumps(value))) == key


@given(values, values)
def test_others_have_others(one, other):
    assert (hash_objects(one) == hash_objects(other)) == (shape(one) == shape(other))


@given(st.lists(values, min_size=2, max_size=4))
def test_neither_borders_nor_sharing_are_lost(parts):
    assert hash_objects(parts) != hash_objects([parts])
    assert hash_objects(*parts) != hash_objects(*parts[:-1])
    assert hash_objects([parts[0]] * 2) == hash_objects([parts[0], rebuilt(parts[0])])
    assert hash_objects([{"a": part} for part in parts]) == hash_objects(
        [{"a": rebuilt(part)} for part in parts]
    )


@dataclasses.dataclass
class Point:
    x: int
    tags: set = dataclasses.field(default_factory=set)


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    x: int


class Model(BaseModel):
    x: int
    y: int = 2
    _p: int = PrivateAttr(0)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Flags(enum.Flag):
    A = enum.auto()
    B = enum.auto()


class Named(NamedTuple):
    x: int


class Plain:
    def __init__(self, **values):
        self.__dict__.update(values)


class Lazy:
    def __init__(self, x):
        self.x = x

    @functools.cached_property
    def double(self):
        return 2 * self.x


class Text(str):
    __slots__ = ()


class Few(set):
    pass


def function(x):
    return x


class OtherPlain:
    def __init__(self, **values):
        self.__dict__.update(values)


PAIRS = {
    "list and tuple": ([1], (1,)),
    "deep list and tuple": ({"a": [(1,)]}, {"a": [[1]]}),
    "set and frozenset": ({1}, frozenset({1})),
    "kinds of number": (1, 1.0),
    "number and bool": (1, True),
    "signs of zero": (0.0, -0.0),
    "number and text": (1, "1"),
    "text and bytes": ("a", b"a"),
    "None and text": (None, "None"),
    "names and numbers": ({"1": 2}, {1: 2}),
    "decimals": (decimal.Decimal("1.1"), decimal.Decimal("1.10")),
    "zones": (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2026, 1, 1)),
    "folds": (dt.datetime(2026, 10, 25, 2), dt.datetime(2026, 10, 25, 2, fold=1)),
    "date and datetime": (dt.date(2026, 1, 1), dt.datetime(2026, 1, 1)),
    "objects": (Plain(x=1), Plain(x=2)),
    "classes of objects": (Plain(x=1), OtherPlain(x=1)),
    "dataclasses": (Point(1), Point(2)),
    "dataclass and dict": (Point(1), {"x": 1, "tags": set()}),
    "frozen": (Frozen(1), Frozen(2)),
    "models": (Model(x=1), Model(x=1, y=3)),
    "members": (Colour.RED, Colour.BLUE),
    "member and value": (Colour.RED, "red"),
    "flags": (Flags.A, Flags.A | Flags.B),
    "named tuple and tuple": (Named(1), (1,)),
    "text of a class": (Text("a"), "a"),
    "set of a class": (Few([1]), {1}),
    "functions": (function, shape),
    "classes": (Plain, OtherPlain),
    "lambdas": (lambda x: x + 1, lambda x: x + 2),
    "names in code": (lambda x: x.real, lambda x: x.imag),
    "defaults": (lambda x=1: x, lambda x=2: x),
    "partials": (functools.partial(function, 1), functools.partial(function, 2)),
    "methods": (Plain(x=1).__init__, Plain(x=2).__init__),
    "builtin methods": ("a".upper, "b".upper),
    "ranges": (range(3), range(4)),
    "exceptions": (ValueError("a"), ValueError("b")),
    "order": (collections.OrderedDict(a=1, b=2), collections.OrderedDict(b=2, a=1)),
    "factories": (collections.defaultdict(list), collections.defaultdict(dict)),
    "uuids": (uuid.UUID(int=1), uuid.UUID(int=2)),
    "lists of dicts": ([{"a": 1}, {"a": 2}], [{"a": 2}, {"a": 1}]),
    "names of dicts": ([{"a": 1}, {"a": 2}], [{"b": 1}, {"b": 2}]),
    "rows and one row": ([{"a": 1}, {"a": 2}], {"a": [1, 2]}),
}


@pytest.mark.parametrize("name", PAIRS)
def test_these_differ(name):
    one, other = PAIRS[name]
    assert hash_objects(one) != hash_objects(other)
    assert hash_objects({"a": [one]}) != hash_objects({"a": [other]})


def loaded(value):
    """A value after a way to another process and back."""
    import cloudpickle

    return pickle.loads(cloudpickle.dumps(value))


def used(lazy):
    assert lazy.double == 4
    return lazy


SAME = {
    "nan": (float("nan"), -float("nan")),
    "nan in a list": ([1, float("nan")], [1, -float("nan")]),
    "set of texts": ({"a", "b", "c"}, {"c", "b", "a"}),
    "dict of dates": ({"d": dt.date(2026, 1, 1), "a": 1}, {"a": 1, "d": dt.date(2026, 1, 1)}),
    "default dicts": (
        collections.defaultdict(list, a=dt.date(2026, 1, 1), b=1),
        collections.defaultdict(list, b=1, a=dt.date(2026, 1, 1)),
    ),
    "ranges": (range(0, 3, 2), range(0, 4, 2)),
    "given and default": (Model(x=1), Model(x=1, y=2)),
    "a value worked out once": (Lazy(2), used(Lazy(2))),
    "sharing": ((date := dt.date(2026, 1, 1), date), (dt.date(2026, 1, 1), dt.date(2026, 1, 1))),
    "sets of a class": (Few("abcdef"), Few("fedcba")),
    "attributes in another order": (Plain(a=dt.date.max, b=1), Plain(b=1, a=dt.date.max)),
}


@pytest.mark.parametrize("name", SAME)
def test_these_agree(name):
    one, other = SAME[name]
    assert hash_objects(one) == hash_objects(other) == hash_objects(loaded(one))


@pytest.mark.parametrize("name", PAIRS)
def test_a_way_through_pickle_changes_no_key(name):
    for value in PAIRS[name]:
        assert hash_objects(loaded(value)) == hash_objects(value)


def test_classes_of_one_name_are_not_taken_for_each_other():
    def make(factor):
        class Local:
            def area(self):
                return factor

        return Local()

    fields = [collections.namedtuple("P", names)(1, 2) for names in ("a b", "x y")]
    colours = [enum.Enum("Colour", names) for names in ("A B", "A C")]
    assert hash_objects(make(1)) == hash_objects(make(1)) != hash_objects(make(2))
    assert hash_objects(fields[0]) != hash_objects(fields[1])
    assert hash_objects(colours[0]) != hash_objects(colours[1])


def test_a_function_of_the_script_is_known_by_what_it_uses():
    space = {"k": 1}
    exec("def f(x): return x * k", space)
    before = hash_objects(space["f"])
    space["k"] = 2
    assert hash_objects(space["f"]) != before


def test_objects_that_hold_themselves():
    def ring(last):
        first, second = Plain(name="a"), Plain(name=last)
        first.next, second.next, second.all = second, first, [first, second]
        return first

    assert hash_objects(ring("b")) == hash_objects(ring("b")) == hash_objects(loaded(ring("b")))
    assert hash_objects(ring("b")) != hash_objects(ring("c"))
    around = [1]
    around.append(around)
    assert hash_objects(around) == hash_objects(loaded(around)) != hash_objects([1, [1]])


def test_much_that_is_shared_takes_no_longer_than_it_is_large():
    value = [dt.date(2026, 1, 1)]
    for _ in range(200):
        value = [value, value]
    assert hash_objects(value) == hash_objects(copy.deepcopy(value))


def test_a_dense_graph_is_refused():
    nodes = [Plain() for _ in range(40)]
    for node in nodes:
        node.others = list(nodes)
    with pytest.raises(HashError, match="refers to itself in too many ways"):
        hash_objects(nodes)


UNWRITABLE = [threading.Lock(), (x for x in ()), sys.stdout, Plain(deep=[threading.Lock()])]


@pytest.mark.parametrize("value", UNWRITABLE, ids=lambda value: type(value).__name__)
def test_what_cannot_be_written_has_no_key(value):
    with pytest.raises(HashError, match="no key can be made"):
        hash_objects({"x": value})


def test_looking_at_an_iterator_does_not_move_it():
    iterator = iter([1, 2, 3])
    next(iterator)
    assert hash_objects(iterator) == hash_objects(iterator)
    assert list(iterator) == [2, 3]


SCRIPT = """
import dataclasses as dc, enum, functools, typing
from pydantic import BaseModel
from runyard.engine.hashing.digests import Encoder, hash_objects

@dc.dataclass
class D:
    x: int
    s: set
    def area(self): return self.x * AREA
@dc.dataclass(frozen=True, slots=True)
class F: x: frozenset
class M(BaseModel):
    x: int
    d: D
class Child(M): pass
class E(enum.Enum):
    A = "a"
    B = {"q", "r", "s"}
class S(str, enum.Enum): A = "a"
class I(enum.IntFlag):
    A = 1
    B = 2
class N(typing.NamedTuple):
    x: int
    e: E
class P:
    rate = 5
    def __init__(self): self.z = {"b", "a", "c"}; self.m = {"k": frozenset(["q", "w", "e"])}
    @property
    def first(self): return sorted(self.z)[0]
    @classmethod
    def make(cls): return cls()
    @functools.lru_cache
    def cached(self): return {"x" in self.z for _ in ()}
class Meta(type): pass
class W(metaclass=Meta): pass
def local(k):
    @dc.dataclass
    class L: v: set
    return L(k)
def fn(x): return x in {"a", "b", "c"}
d = D(1, {"p", "q", "r"})
values = dict(
    d=d, f=F(frozenset("abc")), m=M(x=1, d=d), child=Child(x=1, d=d), e=E.A, b=E.B, s=S.A, i=I.A | I.B,
    n=N(1, E.A), p=P(), cls=P, meta=W(), local=local({"x", "y", "z"}), fn=fn, lam=lambda x: fn(x),
    nested={"a": [d, (E.A, {N(1, E.A)})]}, part=functools.partial(fn, d), method=d.area,
    set={E.A, S.A, "x", 1, None},
)
def show(values):
    for name, value in values.items():
        print(name, hash_objects(value))
if __name__ == "__main__":
    import cloudpickle, sys
    show(values)
    with open("script.py.pickle", "wb") as file:
        # Models that hold dataclasses, and classes with a cached method, cannot be sent.
        unsent = ("m", "child", "p", "cls", "local")
        file.write(cloudpickle.dumps({name: values[name] for name in values if name not in unsent}))
"""
# The same file as a module of its own name, as a worker loads it.
AS_MODULE = "import script; script.show(script.values)"
# What a process of a pool gets of it.
SENT = """
import pickle
from runyard.engine.hashing.digests import Encoder, hash_objects
with open("script.py.pickle", "rb") as file:
    for name, value in pickle.load(file).items():
        print(name, hash_objects(value))
"""


def keys_of(tmp_path, seed, *arguments):
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONHASHSEED": str(seed)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(line.split() for line in done.stdout.splitlines())


def test_classes_of_the_script_itself_have_one_key_in_every_process(tmp_path):
    file = tmp_path / "script.py"
    file.write_text(SCRIPT.replace("AREA", "2"))
    first = keys_of(tmp_path, 1, "script.py")
    assert keys_of(tmp_path, 2, "script.py") == first
    assert keys_of(tmp_path, 3, "-c", AS_MODULE) == first
    assert first.items() >= (sent := keys_of(tmp_path, 4, "-c", SENT)).items()
    assert len(sent) == len(first) - 5
    # Another class of that name has other keys, and with it whatever holds an object of it.
    file.write_text(SCRIPT.replace("AREA", "3"))
    changed = keys_of(tmp_path, 1, "script.py")
    others = {name for name in first if changed[name] != first[name]}
    assert others == {"d", "m", "child", "nested", "part", "method"}


@given(
    st.dictionaries(
        st.text(max_size=30),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=2000) | st.binary(),
    )
)
def test_arguments_that_are_scalars_have_the_key_that_the_encoder_gives(arguments):
    assert hash_objects(arguments) == Encoder().digest((arguments,))
