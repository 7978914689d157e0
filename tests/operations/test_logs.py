"""Logs: batches in, ordered and searched out."""

from datetime import timedelta

import pytest
from runyard.base import clock
from runyard.base.errors import InvalidInput
from runyard.operations.records.logs import LogCreate, LogListing, create_logs, filter_logs


@pytest.fixture
def written(client):
    now = clock.now()
    texts = ("disk is full", "all is well", "disk is fine", 'a "quoted phrase" and 100%')
    records = [
        LogCreate(
            name="runyard.flow_runs", level=10 * (1 + n), message=text, timestamp=now + timedelta(seconds=n),
            flow_run_id="run" if n % 2 else None,
        )
        for n, text in enumerate(texts)
    ]  # fmt: skip
    client.call(create_logs, body=records)


def found(client, sort=None, **logs):
    return [log.level for log in client.call(filter_logs, body=LogListing(logs=logs, sort=sort))]


@pytest.mark.usefixtures("written")
def test_filters_and_order(client):
    assert found(client) == [10, 20, 30, 40]
    assert found(client, "TIMESTAMP_DESC") == [40, 30, 20, 10]
    assert found(client, level={"ge_": 20, "le_": 30}) == [20, 30]
    assert found(client, flow_run_id={"any_": ["run"]}) == [20, 40]


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("DISK well", [10, 20, 30]),
        ("disk -full", [30]),
        ("+disk !fine", [10]),
        ('"is well"', [20]),
        ("100%", [40]),
        ("1%0", []),
        (r'"a \"quoted"', [40]),
        ("flow_runs", [10, 20, 30, 40]),
    ],
)
def test_text_search(client, text, levels):
    assert found(client, text={"query": text}) == levels


def test_limits_are_told(client):
    with pytest.raises(InvalidInput, match="limit"):
        client.call(filter_logs, body=LogListing(limit=201))
    with pytest.raises(InvalidInput):
        found(client, text={"query": "x" * 201})
