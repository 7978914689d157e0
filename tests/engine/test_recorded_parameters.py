"""Parameters on a run's record: recording changes none of them, and a run that starts again gets them."""

from __future__ import annotations

import collections
import csv
import datetime
import decimal
import enum
import io
import itertools
import json
import os
import subprocess
import sys
import tracemalloc
from dataclasses import dataclass
from typing import Any, NamedTuple

import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runyard import flow
from runyard.base import redaction
from runyard.base.errors import ParameterError
from runyard.engine import recorded_parameters
from runyard.engine.entry import run_again
from runyard.engine.results.json_classes import same


class Color(enum.Enum):
    RED = "red"


@dataclass
class Box:
    content: Any


class Pair(NamedTuple):
    left: Any
    right: Any


class Model(pydantic.BaseModel):
    content: Any


class Rows(pydantic.BaseModel, arbitrary_types_allowed=True):
    rows: Any


def parameters_of(recorded, name="main"):
    return json.loads(recorded.flow_runs(name)[-1]["parameters"])


_open: list[Any] = []


def closed_later(file):
    _open.append(file)
    return file


@pytest.fixture(autouse=True)
def _closed():
    yield
    while _open:
        _open.pop().close()


READERS = {
    "generator": lambda path: (number for number in range(3)),
    "iterator": lambda path: iter([0, 1, 2]),
    "map": lambda path: map(int, "012"),
    "zip": lambda path: zip("abc", "def", strict=True),
    "csv": lambda path: csv.reader(io.StringIO("a,b\n1,2")),
    "text": lambda path: io.StringIO("a\nb"),
    "file": lambda path: closed_later(open(path)),  # noqa: SIM115  # the test closes it
    "binary file": lambda path: closed_later(open(path, "rb")),  # noqa: SIM115  # likewise
    "directory": lambda path: closed_later(os.scandir(path.parent)),
    "chunks": lambda path: pytest.importorskip("pandas").read_csv(path, chunksize=1),
    "batches": lambda path: (
        pa := pytest.importorskip("pyarrow"),
        pa.RecordBatchReader.from_batches(
            pa.schema([("a", pa.int64())]), pa.table({"a": [1, 2]}).to_batches()
        ),
    )[1],
}


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize(
    "wrap",
    [lambda x: x, lambda x: {"rows": x}, lambda x: [x], lambda x: Box(x), lambda x: Rows(rows=x)],
    ids=["bare", "dictionary", "list", "dataclass", "model"],
)
def test_what_can_be_read_once_is_read_by_the_flow_alone(home, recorded, tmp_path, kind, wrap):
    path = tmp_path / "rows" / "rows.csv"
    path.parent.mkdir()
    path.write_text("a\n1\n2\n")
    expected = [str(item) for item in READERS[kind](path)]

    def unwrapped(value):
        if isinstance(value, dict):
            return value["rows"]
        if isinstance(value, list):
            return value[0]
        return getattr(value, "content", None) or getattr(value, "rows", value)

    @flow
    def main(value):
        return inner(value)

    @flow
    def inner(value, *, more=None):
        return [str(item) for item in unwrapped(value)]

    assert main(wrap(READERS[kind](path))) == expected
    shown = recorded.flow_runs("main")[0]["parameters"]
    assert "<" in shown
    assert len(shown) < 300


def test_an_endless_iterator_takes_no_memory(home, recorded):
    @flow
    def main(numbers):
        return next(numbers)

    tracemalloc.start()
    try:
        assert main(itertools.count(5)) == 5
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()
    assert parameters_of(recorded) == {"numbers": "<itertools.count>"}


def test_looking_calls_no_code_of_the_value(home, recorded):
    class Lazy:
        """A query: looking at it runs it."""

        def _ran(self, *_args):
            raise AssertionError("it ran")

        __repr__ = __str__ = __iter__ = __len__ = __bool__ = __eq__ = _ran
        __hash__ = None

    @flow
    def main(query, several):
        return type(query)

    assert main(Lazy(), [Lazy()]) is Lazy
    assert "Lazy>" in parameters_of(recorded)["query"]


def started_again(recorded, value, annotation=None, **options):
    """The parameter that a flow gets which failed with `value` and starts again."""
    got = []

    def main(value="the default", number: int = 1):
        got.append(value)
        if len(got) == 1:
            raise ConnectionError("down")

    if annotation is not None:
        main.__annotations__["value"] = annotation
    made = flow(main, name="main", **options)
    with pytest.raises(ConnectionError):
        made(value)
    run = recorded.flow_runs("main")[-1]
    assert "the default" not in run["parameters"]
    run_again(made, run["id"], json.loads(run["parameters"]))
    assert len(got) == 2
    return got[1]


BACK = [
    {1, 2}, frozenset("a"), (1, (2,)), [(1,)], {1: "a"}, {(1, 2): 3}, {None: 1}, {True: 1}, {"a": {2: 3}},
    float("nan"), [1.0, float("inf")], b"\xff\x00", b"text", bytearray(b"x"), decimal.Decimal("1.10"), 2**80,
    datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), datetime.date(2026, 1, 1), datetime.timedelta(1), 1j,
    Color.RED, Box((1, {2})), Pair(1, 2), [Model(content=(1,))], range(3), collections.deque([1], 2),
    collections.OrderedDict(a=1), "\udc80", "a\0b", "********", {"text": "**** ******** ****"}, -0.0,
    "<object>", {"__runyard__": "set", "value": [1]},
]  # fmt: skip


@pytest.mark.parametrize("options", [{}, {"validate_parameters": False}], ids=["", "unchecked"])
@pytest.mark.parametrize("value", BACK, ids=lambda value: ascii(value)[:30])
def test_a_value_comes_back_as_it_was(home, recorded, value, options):
    assert same(started_again(recorded, value, **options), value)


@pytest.mark.parametrize(
    ("value", "annotation", "shown"),
    [
        ({3, 1}, set[int], [1, 3]),
        ((1, "x"), tuple[int, str], [1, "x"]),
        (datetime.date(2026, 1, 1), datetime.date, "2026-01-01"),
        (decimal.Decimal("1.10"), decimal.Decimal, "1.10"),
        (float("nan"), float, "NaN"),
        (Color.RED, Color, "red"),
        (Box((1, 2)), Box, {"content": [1, 2]}),
        (Model(content={1: 2}), Model, {"content": {"1": 2}}),
        ([Model(content=1)], list[Model], [{"content": 1}]),
        ({1: 2.5}, dict[int, float], {"1": 2.5}),
    ],
    ids=str,
)
def test_the_record_shows_plain_json(home, recorded, value, annotation, shown):
    assert same(started_again(recorded, value, annotation), value)
    found = parameters_of(recorded)["value"]
    assert (sorted(found) if isinstance(value, set) else found) == shown


@pytest.mark.parametrize(
    "source", ["numpy.int64(5)", "numpy.float64(1.5)", "pandas.Timestamp('2026', tz='UTC')", "pandas.NaT"]
)
def test_scalars_of_numpy_and_pandas_come_back(home, recorded, source):
    library = pytest.importorskip(source.partition(".")[0])
    value = eval(source, {library.__name__: library})
    found = started_again(recorded, value)
    assert (type(found), repr(found)) == (type(value), repr(value))


LOST = {
    "object": (lambda: object(), "object has no"),
    "generator": (lambda: (number for number in range(3)), "generator has no"),
    "inside": (lambda: {"a": [iter(())]}, "tuple_iterator has no"),
    "secret": (lambda: pydantic.SecretStr("x"), "SecretStr has no"),
    "large": (lambda: ["x" * 100] * 10_000, "list is larger than 512 KiB"),
    "large bytes": (lambda: b"\xff" * 1_000_000, "bytes is larger than 512 KiB"),
    "frame": (lambda: pytest.importorskip("pandas").DataFrame({"a": [1]}), "DataFrame has no"),
    "array": (lambda: pytest.importorskip("numpy").arange(3), "ndarray has no"),
    "huge number": (lambda: 10**5000, "int"),
    "holds itself": (lambda: (loop := [], loop.append(loop))[0], "list"),
}


@pytest.mark.parametrize("kind", LOST)
def test_a_run_without_its_parameters_does_not_start_again(home, recorded, kind):
    make, why = LOST[kind]
    with pytest.raises(ParameterError, match=f"cannot start again.*'value': .*{why}"):
        started_again(recorded, make())
    shown = recorded.flow_runs("main")[-1]["parameters"]
    assert len(shown) < 300
    assert recorded.flow_runs("main")[-1]["state_name"] == "Failed"


def test_what_was_a_secret_does_not_come_back_as_stars(home, recorded):
    redaction.register("hunter2-hunter2")
    for value in (
        "hunter2-hunter2",
        ("x", "hunter2-hunter2"),
        b"hunter2-hunter2",
        {"k": "with hunter2-hunter2"},
    ):
        with pytest.raises(ParameterError, match="it holds a secret"):
            started_again(recorded, value)
    rows = str(recorded.rows("SELECT parameters, context FROM flow_runs"))
    assert "hunter2" not in rows
    assert "aHVudGVyMi1odW50ZXIy" not in rows


def test_a_default_that_has_no_json_form_stays_the_default(home, recorded):
    missing, got = object(), []

    @flow
    def main(value=missing):
        got.append(value)
        if len(got) == 1:
            raise ConnectionError("down")

    with pytest.raises(ConnectionError):
        main()
    run_again(main, recorded.flow_runs()[0]["id"], parameters_of(recorded))
    assert got == [missing, missing]


def test_what_a_run_with_bad_parameters_was_given_is_recorded(home, recorded):
    @flow
    def main(rows: list[int], number: int):
        raise AssertionError

    with pytest.raises(ParameterError):
        main(iter([1, 2]), "many")
    assert parameters_of(recorded)["number"] == "many"


def test_what_is_sent_to_a_deployment_is_json(home):
    given_ones = {"day": datetime.date(2026, 1, 1), "ids": {1}, "pair": (1, float("nan")), "box": Box(2)}
    assert recorded_parameters.as_json(given_ones, "it") == {
        "day": "2026-01-01", "ids": [1], "pair": [1, "NaN"], "box": {"content": 2}
    }  # fmt: skip
    rows = iter([1, 2])
    for value, why in (
        (rows, "list_iterator has no JSON form"),
        ({"deep": [object()]}, "object has no JSON form"),
        (pydantic.SecretStr("x"), "it is a secret"),
        (Model(content=pydantic.SecretStr("x")), "it is a secret"),
        ("x" * 9_000_000, "larger than 8 MiB"),
    ):
        with pytest.raises(ParameterError, match=f"parameter 'x' cannot be sent to it: .*{why}"):
            recorded_parameters.as_json({"x": value}, "it")
    assert list(rows) == [1, 2]


SCRIPT = """
import os
from dataclasses import dataclass
from runyard import flow

@dataclass
class Box:
    content: tuple

@flow
def trim(keep_days=90, frame=None, key=b"k"):
    print("RAN", repr(keep_days), repr(key))
    if not os.environ.get("OK"):
        raise ConnectionError("down")

if __name__ == "__main__":
    GIVEN
"""


@pytest.mark.parametrize(
    ("given_text", "code", "words"),
    [
        ("trim({3650: (1, 2)}, Box((1,)), b'\\xff', return_state=True)", 0, "RAN {3650: (1, 2)} b'\\xff'"),
        ("trim(3650, object(), return_state=True)", 1, "'frame': object has no JSON form"),
    ],
)
def test_from_the_command_line(home, recorded, tmp_path, given_text, code, words):
    (tmp_path / "trim.py").write_text(SCRIPT.replace("GIVEN", given_text))
    subprocess.run([sys.executable, "trim.py"], cwd=tmp_path, check=True, capture_output=True)
    (run,) = recorded.flow_runs()
    command = ["-m", "runyard", "flow-run", "retry", run["id"], "--entrypoint", "trim.py:trim"]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "OK": "1"},
    )
    assert done.returncode == code, done.stderr
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    if code:
        assert "RAN" not in done.stdout


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(exclude_categories=())),
    st.binary(), st.datetimes(), st.decimals(allow_nan=False), st.sampled_from([Color.RED, range(2)]),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(scalars, inner, max_size=3),
        st.sets(scalars, max_size=3),
        inner.map(Box),
        inner.map(lambda content: Model(content=content)),
        st.builds(object),
        inner.map(lambda content: iter([content])),
    ),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=values)
def test_a_value_comes_back_or_is_refused(value):
    """Whatever it is, both texts are JSON, and a run never gets another value."""
    parameters, context = recorded_parameters.recorded({"value": value}, lambda name, form: form, {})
    json.loads(parameters.encode("utf-8"))
    try:
        again = recorded_parameters.restored(json.loads(parameters), json.loads(context), None)["value"]
    except ParameterError:
        return
    assert same(again, value)
