"""`--param` keeps every digit of decimals and takes NaN, from the command line to the flow."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from runyard.deployments.signature_schema import parameter_schema
from runyard_cli.shared import values


class Item(BaseModel):
    price: Decimal
    ratio: float = 0.0


def bill(
    price: Decimal = Decimal(1),
    maybe: Decimal | None = None,
    prices: list[Decimal] = (),
    by_name: dict[str, Decimal] = {},  # noqa: B006
    items: list[Item] = (),
    pair: tuple[Decimal, float] = (),
    ratio: float = 0.0,
    either: float | str = 0.0,
    loose=None,
): ...


SCHEMA = parameter_schema(bill)
DIGITS = "12345678901234567890.12345678901234567890"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("price=1.10", "1.10"),
        (f"price={DIGITS}", DIGITS),
        ("price=1e-30", "1e-30"),
        ("price=1.5e400", "1.5e400"),
        ("prices=[-1e999, NaN]", ["-1e999", "NaN"]),
        ("price=5", 5),
        ("price=many", "many"),
        (f"maybe={DIGITS}", DIGITS),
        ("maybe=null", None),
        (f"prices=[1.10, {DIGITS}, 2]", ["1.10", DIGITS, 2]),
        (f'by_name={{"a": {DIGITS}}}', {"a": DIGITS}),
        (f'items=[{{"price": {DIGITS}, "ratio": 1.5}}]', [{"price": DIGITS, "ratio": 1.5}]),
        (f"pair=[{DIGITS}, 1.50]", [DIGITS, 1.5]),
        ("ratio=1.50", 1.5),
        ("ratio=NaN", "NaN"),
        ("ratio=-Infinity", "-Infinity"),
        ("ratio=1e999", "Infinity"),
        ("either=1.50", 1.5),
        ("loose=1.50", 1.5),
        ("loose=[1.50, NaN]", [1.5, "NaN"]),
    ],
)
def test_numbers_are_read_as_the_flow_wants_them(text, expected):
    name, _, value = text.partition("=")
    alone = values.parameters((text,), None, SCHEMA)[name]
    assert (alone, type(alone)) == (expected, type(expected))
    if value not in ("many",):
        assert values.parameters((), f'{{"{name}": {value}}}', SCHEMA) == {name: expected}
    json.dumps(alone, allow_nan=False)


@settings(deadline=None)
@given(number=st.decimals(allow_nan=False, allow_infinity=False))
def test_every_decimal_arrives(number):
    text = values.parameters((f"price={number}",), None, SCHEMA)["price"]
    assert str(Decimal(text)) == str(number)


FLOW = """
from decimal import Decimal
from runyard import flow

@flow
def bill(price: Decimal = Decimal(1), ratio: float = 0.0):
    with open("seen.txt", "w") as file:
        file.write(repr((price, ratio)))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch, runyard):
    (tmp_path / "bill.py").write_text(FLOW)
    monkeypatch.chdir(tmp_path)
    runyard("work-pool", "create", "pool", "--type", "process")
    runyard("deploy", "bill.py:bill", "-n", "d", "-p", "pool", "--param", f"price={DIGITS}")
    return tmp_path


def seen(folder):
    return (folder / "seen.txt").read_text()


def test_through_a_deployment(folder, runyard):
    runyard("deployment", "run", "bill/d", "--param", "ratio=NaN")
    run = runyard("flow-run", "ls", "-o", "json").json[0]
    assert run["parameters"] == {"price": DIGITS, "ratio": "NaN"}
    runyard("flow-run", "execute", run["id"])
    assert seen(folder) == f"(Decimal('{DIGITS}'), nan)"


def test_a_flow_that_runs_here(folder, runyard):
    runyard("run", "bill.py:bill", "--param", "price=1.10", "--param", "ratio=Infinity")
    assert seen(folder) == "(Decimal('1.10'), inf)"


def test_what_is_no_decimal_is_refused_before_the_run(folder, runyard):
    answer = runyard("deployment", "run", "bill/d", "--param", "price=many", code=1)
    assert "price" in answer.err
    assert runyard("flow-run", "ls", "-o", "json").json == []
