"""The logs of a flow run as a CSV file."""

import csv
import io

import httpx
import pytest
from runyard.base import clock
from runyard.base.errors import NotFound
from runyard.operations.deployments import known_flows
from runyard.operations.flow_runs import flow_runs
from runyard.operations.records import logs

HEAD = ["timestamp", "level", "flow_run_id", "task_run_id", "message"]
AT = "2026-01-31T08:00:00.000000Z"


def make_run(client):
    flow = client.call(known_flows.create_flow, known_flows.FlowCreate(name="etl"))
    return client.call(flow_runs.create_flow_run, flow_runs.FlowRunCreate(flow_id=flow.id)).id


def write(client, run_id, *messages, **more):
    fields = {"name": "flow", "level": 20, "timestamp": clock.parse_time(AT), "flow_run_id": run_id, **more}
    body = [logs.LogCreate(message=message, **fields) for message in messages]
    client.call(logs.create_logs, body)


def lines(client, run_id):
    text = client.call(logs.download_flow_run_logs, run_id)
    return list(csv.reader(io.StringIO(text, newline="")))


def test_each_record_is_a_line_whatever_its_message(client):
    run_id, other = make_run(client), make_run(client)
    messages = ["plain", 'with "quotes", a comma', "two\nlines", "Größe 👋"]
    write(client, run_id, *messages)
    write(client, run_id, "of a task", level=40, task_run_id="t1")
    write(client, other, "of another run")
    found = lines(client, run_id)
    assert found[0] == HEAD
    assert sorted(found[1:]) == sorted(
        [[AT, "20", run_id, "", message] for message in messages] + [[AT, "40", run_id, "t1", "of a task"]]
    )


def test_a_long_log_is_complete_and_in_order(client):
    run_id = make_run(client)
    write(client, run_id, *(f"line {number}" for number in range(2_500)))
    write(client, run_id, "first", timestamp=clock.parse_time("2026-01-31T07:00:00Z"))
    found = [line[4] for line in lines(client, run_id)[1:]]
    assert found[0] == "first"
    assert sorted(found[1:]) == sorted(f"line {number}" for number in range(2_500))


def test_no_records_are_a_file_with_its_head_and_no_run_is_not_found(client):
    assert lines(client, make_run(client)) == [HEAD]
    with pytest.raises(NotFound, match="0000"):
        client.call(logs.download_flow_run_logs, "0000")


def test_a_browser_saves_it_as_a_file(api):
    flow = httpx.post(f"{api.url}/flows/", json={"name": "etl"}, timeout=60).json()
    run = httpx.post(f"{api.url}/flow_runs/", json={"flow_id": flow["id"]}, timeout=60).json()
    answer = httpx.get(f"{api.url}/flow_runs/{run['id']}/logs/download", timeout=60)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="flow-run-logs.csv"'
    assert answer.text == ",".join(HEAD) + "\r\n"
