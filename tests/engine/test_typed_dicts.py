"""Parameters that are TypedDicts of `typing`, also inside of other types: their schema, and checked runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, NotRequired, Required, TypedDict

import pytest
from runyard import flow
from runyard.base.errors import ParameterError
from runyard.deployments.signature_schema import parameter_schema


class Row(TypedDict, total=False):
    number: Required[int]
    note: str


class Tree(TypedDict):
    row: Row
    below: NotRequired[list[Tree]]


@dataclass
class Settings:
    row: Row
    trees: dict[str, Tree] | None = None


class Pair(NamedTuple):
    row: Row
    name: str = "none"


@flow
def reads(row: Row, settings: Settings | None = None, pair: Pair | None = None, tree: Tree | None = None):
    return row, settings, pair, tree


def test_runs_read_typed_dicts_wherever_they_stand(home):
    given = {
        "settings": {"row": {"number": "2"}, "trees": {"a": {"row": {"number": "3"}}}},
        "pair": [{"number": "4"}],
        "tree": {"row": {"number": 5}, "below": [{"row": {"number": "6", "note": "leaf"}}]},
    }
    row, settings, pair, tree = reads({"number": "1"}, **given)
    assert row == {"number": 1}
    assert settings == Settings({"number": 2}, {"a": {"row": {"number": 3}}})
    assert pair == Pair({"number": 4})
    assert tree == {"row": {"number": 5}, "below": [{"row": {"number": 6, "note": "leaf"}}]}


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"row": {"note": "a"}}, "row.number"),
        ({"row": {"number": "x"}}, "row.number"),
        ({"row": {"number": 1}, "settings": {"row": {}}}, "settings.row.number"),
        ({"row": {"number": 1}, "pair": [{}]}, "pair.*number"),
        ({"row": {"number": 1}, "tree": {"row": {"number": 1}, "below": [{}]}}, "tree.below.0.row"),
    ],
)
def test_what_does_not_fit_a_typed_dict_is_refused_with_its_place(home, given, place):
    with pytest.raises(ParameterError, match=place):
        reads(**given)


def test_the_schema_has_typed_dicts_inside_of_other_types():
    schema = parameter_schema(reads.fn)
    definitions = schema["definitions"]
    assert definitions["Row"]["required"] == ["number"]
    assert definitions["Tree"]["required"] == ["row"]
    assert definitions["Tree"]["properties"]["below"]["items"] == {"$ref": "#/definitions/Tree"}
    assert definitions["Settings"]["properties"]["row"] == {"$ref": "#/definitions/Row"}
    assert definitions["Pair"]["prefixItems"][0] == {"$ref": "#/definitions/Row"}
