"""Keys of what arrow and polars hold: of their values, whatever their chunks and buffers."""

from __future__ import annotations

import datetime as dt
import decimal

import pytest
from _arrays import again, np
from runyard.engine.hashing.digests import hash_objects as key


def arrow():
    return pytest.importorskip("pyarrow", reason="pyarrow is not installed")


def arrow_columns():
    pa = arrow()
    words = ["x", None, "yy", ""]
    yield pa.array([1, None, 3, 4], pa.int32())
    yield pa.array([1.5, None, float("nan"), 0.0])
    yield pa.array([True, None, False, True])
    yield pa.array(words)
    yield pa.array(words, pa.large_string())
    yield pa.array(words, pa.string_view())
    yield pa.array([b"a", None, b"", b"bb"], pa.binary())
    yield pa.array([b"ab", None, b"cd", b"ef"], pa.binary(2))
    yield pa.array(words).dictionary_encode()
    yield pa.array([[1, 2], None, [], [3]])
    yield pa.array([["a"], None, [], [None]])
    yield pa.array([[1, 2], None, [5, 6], [3, 4]], pa.list_(pa.int64(), 2))
    yield pa.array([{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}, {"a": 2, "b": None}])
    yield pa.array([[("k", 1)], None, [], [("a", 2), ("b", None)]], pa.map_(pa.string(), pa.int64()))
    yield pa.array(
        [dt.datetime(2026, 1, 1), None, dt.datetime.max, dt.datetime.min], pa.timestamp("us", "UTC")
    )
    yield pa.array(
        [decimal.Decimal("1.10"), None, decimal.Decimal(0), decimal.Decimal(2)], pa.decimal128(9, 2)
    )
    yield pa.array([dt.date(2026, 1, 1), None, dt.date.max, dt.date.min])
    yield pa.array([pa.MonthDayNano([1, 2, 3]), None, pa.MonthDayNano([1, 2, 4]), pa.MonthDayNano([0, 0, 0])])
    yield pa.nulls(4)


def test_the_chunks_and_buffers_of_arrow_do_not_count():
    pa = arrow()
    for array in arrow_columns():
        around = pa.concat_arrays([array, array, array])
        table = pa.table({"a": array})
        assert key(around.slice(4, 4)) == key(array) == key(again(array)), array.type
        chunked = pa.table({"a": pa.chunked_array([array.slice(0, 1), array.slice(1)])})
        assert chunked.equals(table) or array.type == pa.float64()
        if not pa.types.is_dictionary(array.type):
            assert key(chunked) == key(table) == key(again(chunked)), array.type
        changed = pa.concat_arrays([array.slice(3), array.slice(0, 3)])
        assert (key(changed) == key(array)) == (array.type == pa.null()), array.type


def test_what_stands_under_a_null_does_not_count():
    pa = arrow()
    valid = pa.py_buffer(b"\x01")
    one, other = (
        pa.Array.from_buffers(pa.int32(), 2, [valid, pa.py_buffer(np.array([1, n], "i4").tobytes())])
        for n in (2, 3)
    )
    assert key(one) == key(other) == key(pa.array([1, None], pa.int32()))
    bare = pa.array([1, 2], pa.int32())
    all_valid = pa.Array.from_buffers(pa.int32(), 2, [pa.py_buffer(b"\x03"), bare.buffers()[1]])
    assert key(bare) == key(all_valid)


def test_arrow_schemas_count():
    pa = arrow()
    table = pa.table({"a": [1, 2]})
    other = pa.table([pa.array([1, 2])], pa.schema([pa.field("a", pa.int64(), nullable=False)]))
    noted = table.replace_schema_metadata({"k": "v"})
    renamed = table.rename_columns(["b"])
    inner = [pa.schema([("a", pa.struct([pa.field("x", pa.int8(), metadata={"k": v})]))]) for v in "12"]
    assert key(inner[0]) != key(inner[1])
    several = [
        table,
        other,
        noted,
        renamed,
        table.cast(pa.schema([("a", pa.int32())])),
        table.to_batches()[0],
    ]
    assert len(set(map(key, several))) == len(several)


def polars():
    return pytest.importorskip("polars", reason="polars is not installed")


def polars_columns():
    pl = polars()
    yield pl.Series("a", [1, None, 3])
    yield pl.Series("a", [1.5, None, float("nan")])
    yield pl.Series("a", ["x", None, "a text longer than others"])
    yield pl.Series("a", ["x", None, "y"], dtype=pl.Categorical)
    yield pl.Series("a", ["x", None, "y"], dtype=pl.Enum(["y", "x"]))
    yield pl.Series("a", [[1], None, []])
    yield pl.Series("a", [{"x": 1}, None, {"x": 2}])
    yield pl.Series("a", [dt.datetime(2026, 1, 1), None, dt.datetime(2026, 1, 3)])
    yield pl.Series("a", [True, None, False])
    yield pl.Series("a", [decimal.Decimal("1.1"), None, decimal.Decimal("2.2")])


def test_how_a_frame_of_polars_came_to_be_does_not_count():
    pl = polars()
    for series in polars_columns():
        value = series.to_frame()
        chunked = pl.concat([value.head(1), value.tail(2)], rechunk=False)
        several = [value.clone(), again(value), chunked, pl.concat([value, value]).slice(3, 3)]
        several.append(pl.concat([value, value]).filter(pl.Series([False] * 3 + [True] * 3)))
        assert {key(one) for one in several} == {key(value)}, series.dtype
        others = [value.reverse(), value.rename({"a": "b"}), value.head(2), series, value.with_columns(b=1)]
        assert len({key(one) for one in [value, *others]}) == len(others) + 1, series.dtype


def test_where_categories_stand_in_others_does_not_count():
    pl = pytest.importorskip("polars", reason="polars is not installed")
    for kind in (pl.Categorical(), pl.Enum(["b", "a"])):
        for of, value in (
            (pl.List(kind), lambda text: [text]),
            (pl.Array(kind, 1), lambda text: [text]),
            (pl.Struct({"x": pl.List(kind)}), lambda text: {"x": [text]}),
        ):
            both = pl.Series([value("b"), value("a")], dtype=of)
            assert key(both[1:]) == key(pl.Series([value("a")], dtype=of)) != key(both[:1])


def test_a_lazy_frame_of_polars():
    pl = polars()
    plan = pl.LazyFrame({"a": [1, 2]}).filter(pl.col("a") > 1)
    assert key(plan) == key(again(plan)) != key(pl.LazyFrame({"a": [1, 2]}).filter(pl.col("a") > 0))
