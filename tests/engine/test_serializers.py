"""Serializers: every value comes back as it was, by whatever wrote it."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import pathlib
import uuid
from dataclasses import dataclass

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runyard.base.errors import InvalidInput
from runyard.engine.results.serializers import (
    CompressedJSONSerializer,
    CompressedPickleSerializer,
    CompressedSerializer,
    JSONSerializer,
    PickleSerializer,
    Serializer,
    describe,
    from_description,
    resolve_serializer,
    serializer_of_entry,
)

NAMES = ["json", "pickle", "compressed/json", "compressed/pickle"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


class Color(enum.Enum):
    RED = 1


class Model(pydantic.BaseModel):
    name: str
    day: datetime.date


@dataclass(frozen=True)
class Point:
    x: int
    when: datetime.datetime


@dataclass
class Box:
    content: object


class Reversed(Serializer):
    type = "reversed"

    def __init__(self, times=1):
        self.times = times

    def dumps(self, obj):
        return obj.encode()[:: -1 if self.times % 2 else 1]

    def loads(self, blob):
        return blob[:: -1 if self.times % 2 else 1].decode()


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None)
@given(value=JSON)
def test_plain_values_come_back(name, value):
    serializer = resolve_serializer(name)
    assert serializer.loads(serializer.dumps(value)) == value


@pytest.mark.parametrize(
    "value",
    [
        {"__runyard__": False},
        {"__runyard__": "set", "value": [1]},
        {"__runyard__": "exception", "class": "os:mkdir", "value": ["made"]},
        [{"deep": ({"__runyard__": "dict", "value": [["x", 1]]},)}, datetime.date(2026, 11, 23)],
    ],
)
def test_what_looks_like_our_own_marks_is_data(value, tmp_path, monkeypatch):
    """A dictionary from elsewhere, whatever it says, comes back as it was and calls nothing."""
    monkeypatch.chdir(tmp_path)
    serializer = JSONSerializer()
    assert serializer.loads(serializer.dumps(value)) == value
    inside = Box(value)
    assert serializer.loads(serializer.dumps(inside)).content == value
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("kind", "place"), [("exception", "os:mkdir"), ("enum", "json:JSONDecoder")])
def test_a_result_may_name_only_a_class_of_its_kind(kind, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    forged = f'{{"__runyard__": "{kind}", "class": "{place}", "value": ["made"]}}'
    with pytest.raises(TypeError, match=f"names {place}, which is not of kind {kind}"):
        JSONSerializer().loads(forged.encode())
    assert list(tmp_path.iterdir()) == []


MOMENT = datetime.datetime(2026, 11, 23, 6, 30, tzinfo=datetime.UTC)
RICH = [
    MOMENT,
    MOMENT.date(),
    datetime.timedelta(days=1, microseconds=3),
    b"bytes",
    {1, 2},
    frozenset({"x"}),
    uuid.uuid4(),
    decimal.Decimal("1.10"),
    pathlib.Path("a/b"),
    1 + 2j,
    Color.RED,
    Model(name="x", day=MOMENT.date()),
    Point(1, MOMENT),
    {"nested": [Point(2, MOMENT), {"day": MOMENT.date()}]},
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", RICH, ids=lambda value: type(value).__name__)
def test_rich_values_come_back(name, value):
    serializer = resolve_serializer(name)
    found = serializer.loads(serializer.dumps(value))
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("name", NAMES)
def test_exceptions_come_back(name):
    serializer = resolve_serializer(name)
    found = serializer.loads(serializer.dumps(ValueError("no")))
    assert (type(found), str(found)) == (ValueError, "no")


def test_what_json_cannot_hold_says_what_can():
    with pytest.raises(TypeError, match="use the serializer 'pickle'"):
        JSONSerializer().dumps(object())


def test_what_is_defined_in_a_script_is_pickled_whole():
    namespace = {"__name__": "__main__"}
    exec("class Local:\n    x = 7", namespace)
    written = PickleSerializer().dumps(namespace["Local"]())
    assert PickleSerializer().loads(written).x == 7


@pytest.mark.parametrize(
    "serializer",
    [
        PickleSerializer(),
        PickleSerializer("pickle"),
        JSONSerializer(dumps_kwargs={"indent": 2}),
        CompressedSerializer("json", "zlib"),
        CompressedSerializer(CompressedPickleSerializer(), "bz2"),
        CompressedJSONSerializer(compressionlib="gzip"),
        Reversed(times=3),
    ],
    ids=repr,
)
def test_a_description_makes_it_again(serializer):
    again = from_description(describe(serializer))
    assert again == serializer
    assert again.loads(serializer.dumps("abc")) == "abc"


def test_options_are_resolved():
    assert resolve_serializer(JSONSerializer) == JSONSerializer()
    assert resolve_serializer({"type": "json"}) == JSONSerializer()
    assert resolve_serializer("reversed") == Reversed()
    with pytest.raises(InvalidInput, match="unknown serializer 'jsom'; use one of: json, pickle"):
        resolve_serializer("jsom")
    with pytest.raises(InvalidInput, match="invalid serializer"):
        resolve_serializer(3)
    with pytest.raises(InvalidInput, match="not found"):
        from_description('{"type": "gone", "class": "no.such.Class"}')
    with pytest.raises(InvalidInput, match="cannot be imported"):
        CompressedSerializer("json", "no_such_lib").dumps(1)


def test_the_setting_decides_where_nothing_is_said(monkeypatch):
    assert resolve_serializer() == PickleSerializer()
    monkeypatch.setenv("PREFECT_RESULTS_DEFAULT_SERIALIZER", "json")
    assert resolve_serializer() == JSONSerializer()


@pytest.mark.parametrize(
    ("description", "reader"),
    [
        ({"type": "x", "class": "subprocess.Popen", "args": ["touch", "called"]}, PickleSerializer()),
        ({"type": "x", "class": "antigravity.Serializer"}, PickleSerializer()),
        ({"type": "pickle"}, JSONSerializer()),
        ({"type": "compressed/pickle"}, JSONSerializer()),
        ({"type": "compressed/json", "serializer": "pickle"}, CompressedJSONSerializer()),
        ({"type": "compressed/json", "serializer": {"type": "pickle"}}, CompressedJSONSerializer()),
        ({"type": "", "class": "runyard.engine.results.serializers.CompressedSerializer"}, JSONSerializer()),
        ({"type": "pickle", "picklelib": "marshal"}, PickleSerializer()),
        ({"type": "json", "object_decoder": "subprocess.Popen"}, PickleSerializer()),
        ({"type": "json", "jsonlib": "antigravity"}, JSONSerializer()),
        ({"type": "compressed/json", "compressionlib": "os"}, CompressedJSONSerializer()),
        ({"type": "reversed", "class": f"{Reversed.__module__}.Reversed"}, JSONSerializer()),
    ],
)
def test_an_entry_names_nothing_that_its_reader_does_not_have(description, reader):
    with pytest.raises(InvalidInput):
        serializer_of_entry(json.dumps(description), reader)


@pytest.mark.parametrize(
    ("written", "reader"),
    [
        (JSONSerializer(), PickleSerializer()),
        (CompressedJSONSerializer(compressionlib="zlib"), JSONSerializer()),
        (CompressedPickleSerializer(), PickleSerializer()),
        (PickleSerializer("pickle"), CompressedPickleSerializer()),
        (JSONSerializer(object_decoder="math.sqrt"), JSONSerializer(object_decoder="math.sqrt")),
        (Reversed(2), PickleSerializer()),
    ],
    ids=repr,
)
def test_an_entry_of_a_known_serializer_is_read(written, reader):
    assert serializer_of_entry(describe(written), reader) == written
