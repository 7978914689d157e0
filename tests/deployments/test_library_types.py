"""Scalars of numpy and pandas as types of a flow's parameters: in the schema, and made of JSON."""

from __future__ import annotations

import datetime
from typing import Annotated, Optional

import pytest
from pydantic import Field
from runyard import flow
from runyard.base.errors import ParameterError
from runyard.deployments.signature_schema import check_parameters, parameter_schema

numpy = pytest.importorskip("numpy")
pandas = pytest.importorskip("pandas")

MOMENT = {"type": "string", "format": "date-time"}
CASES = [
    (numpy.int64, {"type": "integer"}, 5, numpy.int64(5)),
    (numpy.uint8, {"type": "integer"}, "7", numpy.uint8(7)),
    (numpy.integer, {"type": "integer"}, 5, numpy.int64(5)),
    (numpy.float64, {"type": "number"}, 5, numpy.float64(5)),
    (numpy.float32, {"type": "number"}, 1.5, numpy.float32(1.5)),
    (numpy.float64, {"type": "number"}, "NaN", numpy.float64("nan")),
    (numpy.bool_, {"type": "boolean"}, True, numpy.bool_(True)),
    (numpy.str_, {"type": "string"}, "x", numpy.str_("x")),
    (numpy.int64, {"type": "integer"}, numpy.int32(5), numpy.int64(5)),
    (numpy.datetime64, MOMENT, "2026-01-02", numpy.datetime64("2026-01-02")),
    (pandas.Timestamp, MOMENT, "2026-01-02T03:04:05Z", pandas.Timestamp("2026-01-02T03:04:05Z")),
    (pandas.Timestamp, MOMENT, datetime.date(2026, 1, 2), pandas.Timestamp("2026-01-02")),
    (pandas.Timestamp, MOMENT, pandas.NaT, pandas.NaT),
    (pandas.Timedelta, {"type": "string", "format": "duration"}, "1 days", pandas.Timedelta(days=1)),
    (pandas.Timedelta, {"type": "string", "format": "duration"}, "P1D", pandas.Timedelta(days=1)),
]


def taking(hint):
    def main(x): ...

    main.__annotations__["x"] = hint
    return main


@pytest.mark.parametrize(("cls", "schema", "given", "expected"), CASES)
def test_a_scalar_is_described_and_made(home, cls, schema, given, expected):
    function = taking(cls)
    described = parameter_schema(function)["properties"]["x"]
    assert {name: described[name] for name in ("type", "format") if name in described} == schema
    check_parameters(function, {"x": given}, "it")

    got = []

    def main(x):
        got.append(x)

    main.__annotations__["x"] = cls
    flow(main)(given)
    assert (type(got[0]), repr(got[0])) == (type(expected), repr(expected))


def test_inside_other_types(home):
    hint = dict[str, list[Optional[Annotated[numpy.int64, Field(description="n")]]]]  # noqa: UP045
    function = taking(hint)
    described = parameter_schema(function)["properties"]["x"]
    items = described["additionalProperties"]["items"]["anyOf"]
    assert [choice["type"] for choice in items] == ["integer", "null"]
    got = []

    def main(x, y: numpy.int64 | None = None, z: list[pandas.Timestamp] = ()):
        got.append((x, y, z))

    main.__annotations__["x"] = hint
    flow(main)({"a": [1, None]}, 3, ["2026-01-01"])
    assert repr(got[0]) == repr(
        ({"a": [numpy.int64(1), None]}, numpy.int64(3), [pandas.Timestamp("2026-01-01")])
    )


@pytest.mark.parametrize(
    ("cls", "given"),
    [
        (numpy.int64, "many"),
        (numpy.int64, 1.5),
        (numpy.uint8, 300),
        (numpy.float64, "x"),
        (numpy.bool_, "x"),
        (pandas.Timestamp, "yesterday or so"),
        (pandas.Timestamp, 5),
        (pandas.Timedelta, []),
        (numpy.int64, pandas.NaT),
    ],
)
def test_what_does_not_fit_is_refused(home, cls, given):
    with pytest.raises(ParameterError, match="x"):
        check_parameters(taking(cls), {"x": given}, "it")
    with pytest.raises(ParameterError, match="x"):
        flow(taking(cls), name="main")(given)
