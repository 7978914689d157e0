"""The JSON serializer gives back exactly what it got, types included, or refuses."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import fractions
import functools
import importlib
import math
import os
import pathlib
import subprocess
import sys
import types
import uuid
import zoneinfo
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runyard.engine.results.serializers import JSONSerializer

SERIALIZER = JSONSerializer()


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclass
class Box:
    content: Any
    tags: list = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Slotted:
    content: Any


class Model(pydantic.BaseModel):
    content: Any = None
    number: int = pydantic.Field(1, alias="n")
    _private: Any = pydantic.PrivateAttr(default=3)


class Open(pydantic.BaseModel, extra="allow"):
    site: pydantic.AnyUrl | None = None


class Text(str): ...


class Refused(Exception):
    def __init__(self, text, code):
        super().__init__(text)
        self.code = code


def same(one, other):
    """Equal in every part, their types included."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return (one == other and math.copysign(1, one) == math.copysign(1, other)) or (
            math.isnan(one) and math.isnan(other)
        )
    if isinstance(one, dict):
        return same(list(one.items()), list(other.items()))
    if isinstance(one, (list, tuple, collections.deque)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, (set, frozenset)):
        return len(one) == len(other) and all(any(same(item, each) for each in other) for item in one)
    if isinstance(one, pydantic.BaseModel):
        return same(one.__getstate__(), other.__getstate__())
    if isinstance(one, (Box, Slotted)):
        return same(one.content, other.content)
    if isinstance(one, BaseException):
        return same(one.args, other.args) and same(vars(one), vars(other))
    if isinstance(one, (datetime.datetime, datetime.time)):
        zones = [getattr(each.tzinfo, "key", each.tzinfo and repr(each.tzinfo)) for each in (one, other)]
        return str(one) == str(other) and one.fold == other.fold and zones[0] == zones[1]
    return repr(one) == repr(other) and (one == other or one != one)


zones = st.one_of(
    st.none(),
    st.sampled_from([datetime.UTC, datetime.timezone(datetime.timedelta(hours=2), "CEST")]),
    st.integers(-86_000, 86_000).map(lambda s: datetime.timezone(datetime.timedelta(seconds=s))),
    st.sampled_from(["Europe/Berlin", "America/New_York", "UTC"]).map(zoneinfo.ZoneInfo),
)
hashable = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(exclude_categories=())),
    st.binary(),
    st.datetimes(timezones=zones, allow_imaginary=True),
    st.times(timezones=zones),
    st.dates(),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.uuids(),
    st.complex_numbers(allow_nan=False),
    st.sampled_from([Color.RED, Level.LOW, Right.READ, Right.READ | Right.WRITE, Right(0), range(3)]),
    st.sampled_from(["__runyard__", "value", "class"]),
    st.text(st.characters(codec="ascii", exclude_characters="\0")).map(pathlib.PurePosixPath),
)
values = st.recursive(
    hashable,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(hashable | st.tuples(hashable, hashable), inner, max_size=3),
        st.sets(hashable, max_size=3),
        st.frozensets(hashable, max_size=3),
        st.lists(inner, max_size=3).map(lambda items: collections.deque(items, 3)),
        st.dictionaries(st.text(), inner, max_size=2).map(collections.OrderedDict),
        st.tuples(inner, inner).map(Pair._make),
        inner.map(Box),
        inner.map(Slotted),
        inner.map(lambda content: Model(content=content, n=2)),
        inner.map(lambda content: ValueError("wrong", content)),
    ),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(value=values)
def test_every_value_comes_back_as_it_was(value):
    again = SERIALIZER.loads(SERIALIZER.dumps(value))
    assert same(again, value), (again, value)


@settings(deadline=None)
@given(value=values)
def test_what_it_writes_is_standard_json(value):
    JSONSerializer(dumps_kwargs={"allow_nan": False}).dumps(value).decode("ascii")


REFUSED = {
    "subclass of str": Text("x"),
    "defaultdict": collections.defaultdict(list, a=[1]),
    "secret": pydantic.SecretStr("x"),
    "model with a secret": Box(Model(content=pydantic.SecretStr("x"))),
    "generator": (number for number in range(3)),
    "fraction": fractions.Fraction(1, 3),
    "function": len,
    "class": int,
    "partial": functools.partial(int, "1"),
    "zone of another library": datetime.datetime(
        2026, 1, 1, tzinfo=type("Zone", (datetime.tzinfo,), {"utcoffset": lambda *_: datetime.timedelta(0)})()
    ),
    "zone without a name": None,
    "exception with facts of its own": UnicodeDecodeError("utf-8", b"x", 0, 1, "no"),
    "namespace": types.SimpleNamespace(a=1),
    "local class": None,
}


def _refused(kind):
    if kind == "zone without a name":
        with open(_zone_file(), "rb") as file:
            return datetime.datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo.from_file(file))
    if kind == "local class":

        @dataclass
        class Local:
            x: int

        return Local(1)
    return REFUSED[kind]


def _zone_file():
    import tzdata

    return pathlib.Path(tzdata.__file__).parent / "zoneinfo" / "Europe" / "Berlin"


@pytest.mark.parametrize("kind", REFUSED)
def test_what_would_not_come_back_is_refused(kind):
    for value in (_refused(kind), [_refused(kind)], {"deep": (_refused(kind),)}):
        with pytest.raises(TypeError, match="use the serializer 'pickle'"):
            SERIALIZER.dumps(value)


def test_an_object_with_more_than_its_fields_is_refused():
    box = Box(1)
    box.more = 2
    with pytest.raises(TypeError, match="Box"):
        SERIALIZER.dumps(box)


def test_models_come_back_with_all_that_they_hold():
    model = Model(n=1)
    model._private = (1, 2)
    open_one = Open.model_validate({"site": "https://example.com/a?b", "more": "x"})
    for value in (model, Model(), open_one, [open_one]):
        again = SERIALIZER.loads(SERIALIZER.dumps(value))
        assert again == value
    assert SERIALIZER.loads(SERIALIZER.dumps(model))._private == (1, 2)
    assert SERIALIZER.loads(SERIALIZER.dumps(Model())).model_fields_set == set()


def test_exceptions_keep_their_arguments_and_attributes():
    error = Refused("no", 5)
    error.add_note("a note")
    again = SERIALIZER.loads(SERIALIZER.dumps(error))
    assert (type(again), again.args, again.code, again.__notes__) == (Refused, ("no",), 5, ["a note"])
    missing = SERIALIZER.loads(SERIALIZER.dumps(FileNotFoundError(2, "no such file", "a.txt")))
    assert (missing.args, missing.filename, missing.errno) == ((2, "no such file"), "a.txt", 2)


def test_what_holds_itself_is_refused():
    value: list = []
    value.append(value)
    with pytest.raises(RecursionError):
        SERIALIZER.dumps(value)


def test_a_class_with_other_fields_today_is_not_made_of_yesterdays(monkeypatch):
    written = SERIALIZER.dumps([Box(1), Pair(1, 2)])
    models = SERIALIZER.dumps(Model(n=1))

    @dataclass
    class Other:
        content: Any
        size: int = 1

    Other.__qualname__ = "Box"
    monkeypatch.setitem(globals(), "Box", Other)
    with pytest.raises(TypeError, match="Box has other fields than when the result was stored: size, tags"):
        SERIALIZER.loads(written)
    monkeypatch.setitem(globals(), "Model", Open)
    with pytest.raises(TypeError, match="other fields"):
        SERIALIZER.loads(models)


def test_reading_imports_nothing(tmp_path, monkeypatch):
    (tmp_path / "evil.py").write_text("open('called', 'w')\nclass Evil(Exception): ...\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for kind in ("exception", "model", "dataclass", "enum", "namedtuple", "validated"):
        forged = f'{{"__runyard__": "{kind}", "class": "evil:Evil", "value": [[], {{}}]}}'
        with pytest.raises(ValueError, match="evil:Evil, which is not here"):
            SERIALIZER.loads(forged.encode())
    assert not (tmp_path / "called").exists()


def test_a_class_of_a_script_is_found_when_its_file_is_loaded_as_a_flow(tmp_path, home, recorded):
    (tmp_path / "work.py").write_text(
        "from dataclasses import dataclass\n"
        "import os\n"
        "from runyard import flow, task\n"
        "@dataclass\n"
        "class Box:\n"
        "    content: tuple\n"
        "@task\n"
        "def make():\n"
        "    print('ran make')\n"
        "    return Box((1, 2))\n"
        "@flow(persist_result=True, result_serializer='json')\n"
        "def work():\n"
        "    box = make()\n"
        "    if not os.environ.get('OK'):\n"
        "        raise ValueError('down')\n"
        "    print(box)\n"
        "if __name__ == '__main__':\n"
        "    work(return_state=True)\n"
    )
    first = subprocess.run([sys.executable, "work.py"], cwd=tmp_path, capture_output=True, text=True)
    assert first.stdout == "ran make\n", first.stderr
    (run,) = recorded.flow_runs()
    command = ["-m", "runyard", "flow-run", "retry", run["id"], "--entrypoint", "work.py:work"]
    second = subprocess.run(
        [sys.executable, *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "OK": "1"},
    )
    assert "Box(content=(1, 2))" in second.stdout, second.stderr
    assert "ran make" not in second.stdout


NUMPY = [
    "numpy.int64(3)", "numpy.uint8(3)", "numpy.float64(1.5)", "numpy.float32('nan')", "numpy.float16(0.1)",
    "numpy.bool_(True)", "numpy.complex64(1j)", "numpy.str_('x')", "numpy.datetime64('2026-01-01')",
    "numpy.datetime64('2026-01-01T00:00:00.000000001')", "numpy.datetime64('NaT')",
    "numpy.datetime64(5, '25s')", "numpy.timedelta64(5, 'D')", "numpy.timedelta64(5)",
    "numpy.timedelta64('NaT')",
]  # fmt: skip
PANDAS = [
    "pandas.Timestamp('2026-01-01T00:00:00.123456789')", "pandas.Timestamp('2026-01-01', tz='UTC')",
    "pandas.Timestamp('2026-07-01 02:30:00.000000001', tz='Europe/Berlin')",
    "pandas.Timestamp('2026-10-25 01:30', tz='UTC').tz_convert('Europe/Berlin')",
    "pandas.Timestamp('2026-01-01').as_unit('s')", "pandas.Timestamp('2026-01-01T00:00+02:00')",
    "pandas.Timedelta('1ns')", "pandas.Timedelta(days=1).as_unit('s')", "pandas.NaT", "pandas.NA",
]  # fmt: skip


@pytest.mark.parametrize("source", NUMPY + PANDAS)
def test_scalars_of_numpy_and_pandas(source):
    library = pytest.importorskip(source.partition(".")[0])
    value = eval(source, {library.__name__: library})
    for given_value in (value, [value], {"x": (value,)}):
        again = SERIALIZER.loads(SERIALIZER.dumps(given_value))
        assert repr(again) == repr(given_value)
    again = SERIALIZER.loads(SERIALIZER.dumps(value))
    assert type(again) is type(value)
    for fact in ("dtype", "unit", "fold", "nanosecond"):
        assert repr(getattr(again, fact, None)) == repr(getattr(value, fact, None))
    if getattr(value, "tzinfo", None) is not None:
        assert str(again.tzinfo) == str(value.tzinfo)


@pytest.mark.parametrize(
    "source", ["numpy.arange(3)", "numpy.longdouble(1)", "pandas.Series([1])", "pandas.Period('2026')"]
)
def test_what_else_they_have_is_refused(source):
    library = pytest.importorskip(source.partition(".")[0])
    with pytest.raises(TypeError, match="JSON cannot hold"):
        SERIALIZER.dumps(eval(source, {library.__name__: library}))


def test_another_json_library():
    orjson = pytest.importorskip("orjson")
    serializer = JSONSerializer(jsonlib=orjson.__name__)
    for value in ((1, 2), {1: float("nan")}, "\udc80", {"a": datetime.date(2026, 1, 1)}):
        assert same(serializer.loads(serializer.dumps(value)), value)


def test_numbers_keep_their_kind():
    for value in (uuid.UUID(int=1), decimal.Decimal("1.10"), -0.0, True, 1, 1.0, 2**80):
        assert same(SERIALIZER.loads(SERIALIZER.dumps(value)), value)
    assert importlib.import_module("runyard.engine.results.json_kinds").by_name("no-such") is None


class Numbers(pydantic.RootModel[list[int]]):
    pass


def test_a_root_model_is_given_back():
    read = SERIALIZER.loads(SERIALIZER.dumps([Numbers([1, 2])]))
    assert read == [Numbers([1, 2])]
    assert type(read[0]) is Numbers
