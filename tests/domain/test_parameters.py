"""Checking parameters against the schemas that pydantic writes."""

from __future__ import annotations

from datetime import date, datetime
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from runyard.base.errors import InvalidInput, ParameterError
from runyard.domain import parameter_schemas


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Source(BaseModel, extra="forbid"):
    url: str = Field(min_length=3)
    retries: int = Field(default=0, ge=0, le=5)


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


TYPES: list[Any] = [
    int,
    float,
    str,
    bool,
    None,
    Any,
    int | None,
    str | int,
    list[int],
    dict[str, int],
    tuple[int, str],
    Literal["a", 2],
    Colour,
    Source,
    list[Source] | None,
    Annotated[Cat | Dog, Field(discriminator="kind")],
    Annotated[list[str], Field(min_length=1, max_length=2)],
    Annotated[float, Field(gt=0, lt=10)],
    Annotated[str, Field(pattern="^x+$")],
    datetime,
    date,
    UUID,
]


def schema_of(kind: Any) -> dict[str, Any]:
    inner = TypeAdapter(kind).json_schema(ref_template="#/definitions/{model}")
    definitions = inner.pop("$defs", {})
    return {"type": "object", "properties": {"x": inner}, "required": ["x"], "definitions": definitions}


values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 12),
        st.floats(-3, 12),
        st.sampled_from(["", "a", "red", "xx", "2026-01-31", "2026-01-31T06:00:00Z", "https://x"]),
        st.fixed_dictionaries(
            {}, optional={"url": st.just("https://x"), "retries": st.integers(-1, 7), "b": st.none()}
        ),
        st.fixed_dictionaries(
            {"kind": st.sampled_from(["cat", "dog"])}, optional={"lives": st.just(9), "name": st.just("Rex")}
        ),
    ),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@given(st.sampled_from(TYPES), values)
def test_what_pydantic_takes_strictly_is_taken(kind, value):
    """A flow validates more leniently than strict JSON mode, so whatever that takes must pass."""
    try:
        TypeAdapter(kind).validate_json(TypeAdapter(Any).dump_json(value), strict=True)
    except ValidationError:
        return
    parameter_schemas.check({"x": value}, schema_of(kind))


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (int, "5", "'x' of the flow must be a whole number, not \"5\""),
        (int, True, "must be a whole number, not true"),
        (int | None, "5", "must be a whole number or null"),
        (list[int], [1, "b"], "'x[1]' of the flow must be a whole number"),
        (dict[str, int], {"a": "b"}, "'x.a'"),
        (Colour, "green", 'must be one of "red", "blue"'),
        (
            Source,
            {"url": "https://x", "retry": 1},
            "'x.retry' of the flow is unknown; did you mean",
        ),
        (Source, {"url": "https://x", "retries": 9}, "'x.retries' of the flow must be at most 5, not 9"),
        (Source, {"retries": 1}, "'x.url' of the flow is required"),
        (Source | None, {"url": "x"}, "'x.url' of the flow must have at least 3 characters"),
        (Annotated[list[str], Field(min_length=1)], [], "must have at least 1 items"),
        (Annotated[float, Field(gt=0)], 0, "must be more than 0"),
        (datetime, "soon", "must be a date-time"),
    ],
)
def test_what_does_not_fit_is_named(kind, value, words):
    with pytest.raises(ParameterError) as caught:
        parameter_schemas.check({"x": value}, schema_of(kind))
    assert words in str(caught.value)


def test_names():
    schema = {"type": "object", "properties": {"date": {}, "count": {}}, "required": ["count"]}
    with pytest.raises(ParameterError, match="no parameter 'dat'; did you mean 'date'"):
        parameter_schemas.check({"dat": 1}, schema)
    with pytest.raises(ParameterError, match="'count' of the flow is required"):
        parameter_schemas.check({}, schema)
    parameter_schemas.check({}, schema, complete=False)
    parameter_schemas.check({"anything": 1}, None)
    parameter_schemas.check({"count": 1, "more": 2}, {**schema, "additionalProperties": True})


def test_values_in_the_form_of_the_api():
    assert parameter_schemas.hydrate({"__prefect_kind": "json", "value": '{"a": [1]}'}) == {"a": [1]}
    assert parameter_schemas.hydrate([{"__prefect_kind": None, "value": 3}]) == [3]
    with pytest.raises(InvalidInput, match="no JSON"):
        parameter_schemas.hydrate({"__prefect_kind": "json", "value": "{"})
    with pytest.raises(InvalidInput, match="jinja"):
        parameter_schemas.hydrate({"__prefect_kind": "jinja", "value": "{{ x }}"})
