"""Keys of arrays and frames: of their values, whatever their layout; other values have other keys."""

from __future__ import annotations

import copy
import datetime as dt
import io

import pytest
from _arrays import again, np, pandas, unhurried
from hypothesis import given
from hypothesis import strategies as st
from runyard.engine.hashing.digests import hash_objects as key

dtypes = st.sampled_from(
    ["i1", "u2", "i8", ">i4", "f2", "f4", "f8", "c16", "?", "U3", "S2", "M8[ns]", "m8[s]", "O"]
)


@st.composite
def arrays(draw):
    dtype = np.dtype(draw(dtypes))
    shape = tuple(draw(st.lists(st.integers(0, 4), min_size=0, max_size=3)))
    size = int(np.prod(shape))
    numbers = draw(st.lists(st.integers(0, 9), min_size=size, max_size=size))
    if dtype.kind == "O":
        made = np.array([("ab" * n if n % 2 else float(n)) for n in numbers] or [0], dtype=object)[:size]
    else:
        made = np.array(numbers, dtype="i8").astype(dtype)
        if dtype.kind in "fc" and size and draw(st.booleans()):
            made[0] = np.nan
    return made.reshape(shape)


def layouts(array):
    """The same elements, in memory in other ways."""
    yield array.copy()
    yield np.array(array, order="F")
    if again(array).dtype == array.dtype:  # numpy forgets the order of bytes of a single element
        yield again(array)
    read_only = array.copy()
    read_only.setflags(write=False)
    yield read_only
    if array.ndim:
        yield array[::-1].copy()[::-1]
        wide = np.zeros((array.shape[0] * 2, *array.shape[1:]), array.dtype)
        wide[::2] = array
        yield wide[::2]
        yield array.T.copy().T


@unhurried
@given(arrays())
def test_the_layout_of_an_array_does_not_count(array):
    assert {key(one) for one in layouts(array)} == {key(array)}


@unhurried
@given(arrays(), arrays())
def test_arrays_that_differ_have_different_keys(one, other):
    def facts(array):
        # NaN is not equal to itself.
        return (array.dtype.str, array.shape, repr(array.tolist()))

    assert (key(one) == key(other)) == (facts(one) == facts(other))


def test_one_nan_is_like_another():
    signs = np.array([np.nan, 1.0]), -np.array([np.nan, -1.0])
    assert signs[0].tobytes() != signs[1].tobytes()
    assert key(signs[0]) == key(signs[1])
    assert key(np.array([0.0])) != key(np.array([-0.0]))
    assert key(np.array([complex(np.nan, 1)])) != key(np.array([complex(np.nan, 2)]))


def test_larger_than_what_is_read_at_once():
    array = np.arange(600_000, dtype="f8").reshape(2, -1)
    assert key(array) == key(np.asfortranarray(array)) == key(array.T.copy().T)
    changed = array.copy()
    changed[-1, -1] = np.nan
    assert key(changed) != key(array)


def test_gaps_and_masks_do_not_count():
    dtype = np.dtype([("a", "i1"), ("b", "f8")], align=True)
    clean, dirty = np.zeros(2, dtype), np.frombuffer(bytearray(b"\xff" * dtype.itemsize * 2), dtype)
    for name in dtype.names:
        dirty[name] = clean[name]
    assert clean.tobytes() != dirty.tobytes()
    assert key(clean) == key(dirty)
    masked = [np.ma.masked_array([1, hidden], [0, 1]) for hidden in (2, 3)]
    assert (
        key(masked[0]) == key(masked[1]) == key(again(masked[0])) != key(np.ma.masked_array([1, 2], [0, 0]))
    )
    assert key(np.ma.masked) == key(again(np.ma.masked)) != key(np.ma.array(0.0, mask=True))
    assert key(np.longdouble(1)) == key(np.longdouble(1)) != key(np.float64(1))


def test_titles_of_fields_count():
    assert key(np.zeros(1, [(("one", "a"), "i4")])) != key(np.zeros(1, [(("other", "a"), "i4")]))


def test_arrays_in_files_and_scalars(tmp_path):
    array = np.arange(5.0)
    in_file = np.memmap(tmp_path / "array", dtype="f8", mode="w+", shape=5)
    in_file[:] = array
    assert key(in_file) == key(array)
    assert key(np.float64(1)) != key(1.0) != key(np.float32(1))
    records = np.array([(1,)], dtype=[("a", "i8")])
    assert key(records.view(np.recarray)) != key(records)
    assert key({"a": np.float64("nan")}) == key({"a": -np.float64("nan")})


# Columns of each type that pandas has, three rows each; the second differs in one value.
COLUMNS = {
    "int": ([1, 2, 3], [1, 2, 4], "int64"),
    "small": ([1, 2, 3], [1, 2, 4], "int8"),
    "float": ([1.5, float("nan"), 3], [1.5, 2, 3], "float64"),
    "bool": ([True, False, True], [True, True, True], "bool"),
    "text": (["x", "yy", None], ["x", "yy", "z"], "object"),
    "string": (["x", "yy", None], ["x", "yy", ""], "string"),
    "mixed": (["x", 1, 2.5], ["x", 1, 2.25], "object"),
    "objects": ([dt.date(2026, 1, 1), {"a"}, None], [dt.date(2026, 1, 2), {"a"}, None], "object"),
    "category": (["x", "y", None], ["x", "y", "x"], "category"),
    "moment": (["2026-01-01", None, "2026-01-03"], ["2026-01-01", None, "2026-01-04"], "datetime64[ns]"),
    "zone": (["2026-01-01", None, "2026-01-03"], ["2026-01-01", None, "2026-01-04"], "datetime64[ns, UTC]"),
    "span": ([1, 2, 3], [1, 2, 4], "timedelta64[ns]"),
    "Int64": ([1, None, 3], [1, None, 4], "Int64"),
    "boolean": ([True, None, False], [True, None, None], "boolean"),
    "Float64": ([1.5, None, 3], [1.5, None, 4], "Float64"),
    "period": (["2026-01", None, "2026-03"], ["2026-01", None, "2026-04"], "period[M]"),
    "sparse": ([0, 0, 1], [0, 1, 1], "Sparse[int64]"),
}  # fmt: skip
kinds = st.sampled_from(sorted(COLUMNS))
labels = st.text("ab", min_size=1, max_size=2) | st.integers(0, 3)


def column(kind, which=0, index=None):
    return pandas().Series(COLUMNS[kind][which], dtype=COLUMNS[kind][2], index=index)


def frame(parts, **options):
    """A frame of (label, kind) pairs; labels may occur twice."""
    pd = pandas()
    made = pd.concat([column(kind) for _, kind in parts], axis=1)
    made.columns = [label for label, _ in parts]
    return made.set_axis(options["index"]) if "index" in options else made


def builds(given):
    """The same frame, come to be in other ways: other blocks, views, orders in memory."""
    pd = pandas()
    yield given.copy()
    yield again(given)
    yield pd.concat([given.iloc[:1], given.iloc[1:]])
    one_by_one = pd.DataFrame(index=given.index)
    for at in range(given.shape[1]):
        one_by_one.insert(at, at, given.iloc[:, at])
    yield one_by_one.set_axis(given.columns, axis=1)
    yield pd.concat([given, given]).iloc[: len(given)]
    yield pd.concat([given, given], axis=1).iloc[:, : given.shape[1]]
    yield given.iloc[::-1].iloc[::-1]
    yield given[given.index.notna()]


parts = st.lists(st.tuples(labels, kinds), min_size=1, max_size=5)


@unhurried
@given(parts)
def test_how_a_frame_came_to_be_does_not_count(parts):
    given_frame = frame(parts)
    for at, other in enumerate(builds(given_frame)):
        if other.dtypes.tolist() == given_frame.dtypes.tolist():
            pandas().testing.assert_frame_equal(other, given_frame, check_freq=False)
            assert key(other) == key(given_frame), at


@unhurried
@given(parts, st.data())
def test_every_change_of_a_frame_changes_its_key(parts, data):
    given_frame = frame(parts)
    at = data.draw(st.integers(0, len(parts) - 1))
    changed = pandas().concat(
        [column(kind, which=int(n == at)) for n, (_, kind) in enumerate(parts)], axis=1
    ).set_axis(given_frame.columns, axis=1)  # fmt: skip
    renamed = given_frame.set_axis([*given_frame.columns[:-1], "new"], axis=1)
    other_index = given_frame.set_axis([5, 6, 8])
    named = given_frame.rename_axis("name")
    columns_named = given_frame.rename_axis(columns="name")
    fewer = given_frame.iloc[:2]
    noted = given_frame.copy()
    noted.attrs["unit"] = "m"
    as_list = [given_frame.iloc[:, n] for n in range(len(parts))]
    several = [changed, renamed, other_index, named, columns_named, fewer, noted, as_list]
    turned = given_frame.iloc[:, ::-1]
    if parts != parts[::-1]:
        several.append(turned)
    assert len({key(one) for one in [given_frame, *several]}) == len(several) + 1


def test_types_that_print_alike_differ():
    pd = pandas()
    several = [
        pd.Series([1, 2], dtype=dtype) for dtype in ("int8", "int64", "uint64", "float64", "Int64", "object")
    ]
    several += [pd.Series(["1", "2"], dtype=dtype) for dtype in ("object", "string", "category")]
    ordered = pd.CategoricalDtype(["1", "2"], ordered=True)
    unused = pd.CategoricalDtype(["1", "2", "3"])
    several += [pd.Series(["1", "2"], dtype=dtype) for dtype in (ordered, unused)]
    several += [pd.Index([1, 2]), [1, 2], np.array([1, 2]), pd.Series([1, 2], name="a")]
    several += [pd.Timestamp("2026-01-01", tz=zone) for zone in (None, "UTC", "Europe/Paris")]
    several += [pd.NaT, pd.NA, None, float("nan")]
    assert len(set(map(key, several))) == len(several)


def test_empty_frames():
    pd = pandas()
    several = [
        pd.DataFrame(),
        pd.DataFrame(index=range(3)),
        pd.DataFrame(index=range(4)),
        pd.DataFrame(index=[5, 7]),
        pd.DataFrame(columns=["a"]),
        pd.DataFrame({"a": pd.Series(dtype="int64")}),
        [],
    ]
    assert len(set(map(key, several))) == len(several)
    assert [key(again(one)) for one in several] == [key(one) for one in several]


def test_texts_in_no_chunk_have_a_key():
    pd = pandas()
    texts = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    several = [texts.set_index(["a", "b"]), texts.set_index(["b", "a"]), texts.iloc[:, 1:].set_index("b")]
    assert len(set(map(key, several))) == len(several)
    assert [key(again(one)) for one in several] == [key(one) for one in several]


def test_indexes():
    pd = pandas()
    levels = pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["x", None])
    value = pd.DataFrame({"v": range(4)}, index=levels)
    half = value[value.index.get_level_values(0) == "b"]
    fresh = pd.DataFrame(
        {"v": [2, 3]}, index=pd.MultiIndex.from_tuples([("b", 1), ("b", 2)], names=["x", None])
    )
    assert list(half.index.levels[0]) != list(fresh.index.levels[0])
    assert key(half) == key(fresh) != key(fresh.rename_axis(["x", "y"]))
    missing = pd.MultiIndex.from_tuples([("b", None), (None, 2)])
    assert key(missing) == key(again(missing)) != key(missing[::-1])
    assert key(pd.Series([1, 2])) == key(pd.Series([1, 2], index=[0, 1]))
    assert key(pd.Index([3, 2, 1])) == key(pd.RangeIndex(3, 0, -1)) != key(pd.Index([3, 2, 2]))
    days = pd.date_range("2026", periods=3, freq="D", tz="UTC")
    assert key(days) == key(again(days)) != key(days.tz_convert("Europe/Paris"))
    assert key(pd.interval_range(0, 3)) == key(again(pd.interval_range(0, 3)))


def test_what_was_read_twice_has_one_key():
    pd = pandas()
    text = "n,v,d\nfoo,1,2026-01-01\nbar,2.5,2026-01-02\nfoo,,2026-01-03\n"
    one, other = (pd.read_csv(io.StringIO(text), parse_dates=["d"]) for _ in range(2))
    assert key(one) == key(other) == key(again(one))
    grouped = one.groupby("n")["v"].sum()
    assert key(grouped) == key(other.groupby("n")["v"].sum()) != key(one["v"])


@pytest.mark.parametrize(
    "make",
    [
        lambda pd: pd.date_range("2026", periods=3, tz="Europe/Paris"),
        lambda pd: pd.period_range("2026", periods=3, freq="M"),
        lambda pd: pd.to_timedelta([1, 2, 3], unit="s"),
        lambda pd: pd.interval_range(0, 3),
        lambda pd: pd.interval_range(pd.Timestamp("2026", tz="UTC"), periods=3),
    ],
)
def test_what_an_array_notes_of_how_it_was_made_does_not_count(make):
    pd = pandas()
    series = pd.Series(make(pd))
    turned = series[::-1][::-1]
    joined = pd.concat([series.iloc[:1], series.iloc[1:]])
    made = [key(one) for one in (series, copy.deepcopy(series), turned, joined, again(turned))]
    assert len(set(made)) == 1
    assert key(turned.array) == key(series.array) == key(series.array.copy())
    assert len({key(series), key(series[::-1].reset_index(drop=True)), key(series.iloc[:2])}) == 3


def test_arrays_of_two_zones_differ():
    pd = pandas()
    times = pd.date_range("2026", periods=3, tz="UTC")
    zones = ["UTC", "Europe/Paris", "Europe/Berlin", dt.timezone(dt.timedelta(hours=1))]
    assert len({key(times.tz_convert(zone).array) for zone in zones}) == 4


def test_a_frame_with_thousands_of_columns():
    pd = pandas()
    numbers = np.arange(40_000.0).reshape(4, -1)
    wide = pd.DataFrame(numbers)
    assert key(wide) == key(pd.DataFrame({at: numbers[:, at] for at in range(numbers.shape[1])}))
    assert key(wide) != key(wide.iloc[:, ::-1].set_axis(wide.columns, axis=1))


def test_a_subclass_and_what_it_keeps():
    pd = pandas()

    class Own(pd.DataFrame):
        _metadata = ["unit"]  # noqa: RUF012  # as pandas has it

        @property
        def _constructor(self):
            return Own

    metres, miles = Own({"a": [1]}), Own({"a": [1]})
    metres.unit, miles.unit = "m", "mi"
    assert len({key(metres), key(miles), key(pd.DataFrame({"a": [1]}))}) == 3
