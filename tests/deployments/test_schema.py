"""The JSON schema of a flow's parameters, and checking values against the function."""

from __future__ import annotations

import datetime
import enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field
from runyard.base.errors import ParameterError
from runyard.deployments.signature_schema import check_parameters, missing_parameters, parameter_schema


class Colour(enum.Enum):
    RED = "red"


class Config(BaseModel):
    size: int = 1


class Opaque:
    """Nothing that pydantic knows."""


def test_every_kind_of_annotation():
    def run(
        a,
        b: int,
        c: Colour,
        d: Config,
        e: Literal["x", "y"] = "x",
        f: datetime.date | None = None,
        g: Opaque = Opaque(),  # noqa: B008  # a default that no JSON can say
        h: Annotated[int, Field(gt=0, description="how many")] = 3,
        i: list[str] = [],  # noqa: B006  # as users write it
    ):
        """Run.

        Args:
            a: anything
                at all
            b (int): a number

        Returns:
            c: not an argument
        """

    schema = parameter_schema(run)
    properties = schema["properties"]
    assert schema["required"] == ["a", "b", "c", "d"]
    assert list(properties) == list("abcdefghi")
    assert [item["position"] for item in properties.values()] == list(range(9))
    assert all(item["title"] for item in properties.values())
    assert properties["a"]["description"] == "anything at all"
    assert properties["b"] == {"description": "a number", "title": "b", "type": "integer", "position": 1}
    assert "description" not in properties["c"]
    assert properties["c"]["$ref"] == "#/definitions/Colour"
    assert schema["definitions"]["Config"]["properties"]["size"]["default"] == 1
    assert properties["e"]["enum"] == ["x", "y"]
    assert "type" not in properties["g"]
    assert (properties["h"]["exclusiveMinimum"], properties["h"]["description"]) == (0, "how many")


def test_names_that_pydantic_keeps_for_itself():
    def run(schema: int, copy: str, _hidden: int = 1, model_config: str = "x"): ...

    assert list(parameter_schema(run)["properties"]) == ["schema", "copy", "_hidden", "model_config"]


def test_unresolvable_annotations_may_be_anything():
    def run(x: NoSuchType, y: 3 = 1): ...  # type: ignore[name-defined]  # noqa: F821

    schema = parameter_schema(run)
    assert schema["properties"]["x"] == {"title": "x", "position": 0}
    check_parameters(run, {"x": object(), "y": 2}, "here")


def test_star_arguments_are_optional():
    def run(*args, **kwargs): ...

    schema = parameter_schema(run)
    assert schema["required"] == []
    assert schema["additionalProperties"] is True
    check_parameters(run, {"whatever": 1}, "here")


def test_methods_do_not_show_themselves():
    def run(self, x: int): ...

    assert list(parameter_schema(run)["properties"]) == ["x"]


def flow(date: str = None, size: int = 1, config: Config = None): ...  # noqa: RUF013  # the tutorial's way


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"date": None},
        {"date": "2026-01-01", "size": 2},
        {"size": "3"},
        {"config": {"size": 2}},
        {"size": "{{ later }}"},
        {"size": {"__prefect_kind": "json", "value": "3"}},
    ],
)
def test_values_that_fit(given):
    check_parameters(flow, given, "here")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dat": 1}, "here: the flow has no parameter 'dat'; did you mean 'date'"),
        ({"zzz": 1}, "it has: date, size, config"),
        ({"size": "many"}, "here: parameter size: .*'many'"),
        ({"date": 5}, "here: parameter date: .*5"),
        ({"config": {"size": []}}, r"here: parameter config.size: "),
    ],
)
def test_values_that_do_not_fit(given, message):
    with pytest.raises(ParameterError, match=message):
        check_parameters(flow, given, "here")


def test_what_is_missing():
    def run(a, b: Any, c=1, *args, **kwargs): ...

    assert missing_parameters(run, {"a": 1}) == ["b"]
