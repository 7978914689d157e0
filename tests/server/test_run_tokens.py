"""What the token of a run allows: each route of the API, and tokens that are not right."""

from __future__ import annotations

import asyncio
import base64
import re

import pytest
from runyard.base import clock
from runyard.client import LocalClient
from runyard.operations import all_operations
from runyard.operations.deployments.known_flows import FlowCreate, create_flow
from runyard.operations.flow_runs.flow_runs import FlowRunCreate, create_flow_run
from runyard.server import run_tokens

# A new change has to be put here, or among the changes that the code of a flow makes.
NOT_FOR_RUNS = frozenset(
    """
    update_flow delete_flow delete_flow_run change_flow_runs retry_flow_run next_times discard_deployment
    bulk_delete_flows bulk_delete_deployments bulk_create_flow_runs bulk_delete_flow_runs
    bulk_set_flow_run_state schedule_deployment save_search delete_saved_search
    delete_task_run look_for_background_tasks
    claim_background_tasks renew_background_tasks report_background_task create_deployment
    update_deployment delete_deployment pause_deployment resume_deployment
    get_scheduled_flow_runs_of_deployments apply_deployments create_deployment_schedules
    update_deployment_schedule delete_deployment_schedule create_work_pool
    update_work_pool delete_work_pool create_work_queue update_work_queue update_work_queue_by_id
    delete_work_queue delete_work_queue_by_id heartbeat_worker delete_worker claim_flow_runs
    get_scheduled_flow_runs return_claim create_lone_work_queue get_runs_of_queue claim_served_flow_runs
    recover redate_flow_runs report_exit adopt_flow_run run_scheduler backfill_deployment
    roll_back_deployment remove_old delete_block_type delete_block_schema delete_block_document
    rotate_encryption delete_artifact create_concurrency_limit update_concurrency_limit
    delete_concurrency_limit create_tag_limit delete_tag_limit delete_limit_of_tag reset_limit_of_tag
    """.split()  # noqa: SIM905  # a list of quotes is harder to read
)
AUTH = "worker:inner"


@pytest.fixture
def client(home):
    client = LocalClient()
    yield client
    client.close()


def new_run(client):
    flow = client.call(create_flow, FlowCreate(name="flow"))
    run = client.call(create_flow_run, FlowRunCreate(flow_id=flow.id)).id
    with client.database.transaction() as tx:
        tx.execute("UPDATE flow_runs SET attempt = 1 WHERE id = :id", {"id": run})
    return run


@pytest.fixture
def ask(client):
    """The status of a request, and with which credentials it was passed on."""
    passed = []

    async def app(scope, receive, send):
        passed.append(dict(scope["headers"])[b"authorization"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    guard = run_tokens.RunTokens(app, client.database, AUTH)

    def ask(method, path, *tokens):
        answers = []

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            answers.append(message)

        given = [(b"authorization", b"Basic " + base64.b64encode(token.encode())) for token in tokens]
        scope = {"type": "http", "method": method, "path": path, "headers": given}
        passed.clear()
        asyncio.run(guard(scope, receive, send))
        status = answers[0]["status"]
        assert len(passed) == (status == 200)
        assert all(base64.b64decode(one.split()[1]) == AUTH.encode() for one in passed)
        return status

    return ask


def test_each_route_is_allowed_or_not(client, ask):
    run, other = new_run(client), new_run(client)
    token = run_tokens.make(run, 1)
    wrong = []
    for operation in all_operations():
        reads = operation.method == "GET" or operation.name.partition("_")[0] in (
            "count",
            "filter",
            "paginate",
            "read",
        )
        own = operation.name in run_tokens._OF_A_RUN
        known = reads + own + (operation.name in run_tokens._CHANGES) + (operation.name in NOT_FOR_RUNS)
        for whose in (run, other):
            path = "/api" + re.sub(r"\{\w+\}", whose, operation.path)
            allowed = operation.name not in NOT_FOR_RUNS and (not own or whose == run)
            status = ask(operation.method, path, token)
            if known != 1 or (status == 200) != allowed:
                wrong.append((operation.name, known, whose == run, status))
    assert wrong == []


def test_tokens_that_are_not_right(client, ask):
    run, other = new_run(client), new_run(client)
    token = run_tokens.make(run, 1)
    secret = token.partition(":")[2]
    path = f"/api/flow_runs/{run}"
    assert ask("GET", path, token) == 200
    assert ask("GET", path) == 401
    assert ask("GET", path, token, token) == 401
    for bad in (
        f"{other}.1:{secret}",
        f"{run}.2:{secret}",
        f"{run}.1:",
        f"{run}.1:{'0' * 64}",
        AUTH,
        ":",
        "",
    ):
        assert ask("GET", path, bad) == 401, bad
    assert ask("GET", path, "\N{SNOWMAN}.1:x") == 401
    # Of an attempt that is not that of the run any more, and of a run that is gone.
    assert ask("GET", path, run_tokens.make(run, 2)) == 403
    assert ask("GET", path, run_tokens.make("no-such-run", 1)) == 403
    with client.database.transaction() as tx:
        tx.execute("UPDATE flow_runs SET attempt = 2 WHERE id = :id", {"id": run})
    assert ask("GET", path, token) == 403


def test_a_token_is_good_for_an_hour_after_the_end_of_its_run(client, ask):
    run = new_run(client)
    token, path = run_tokens.make(run, 1), f"/api/flow_runs/{run}"
    for ago, status in ((3500, 200), (3700, 403)):
        end = clock.now_us() - ago * 1_000_000
        with client.database.transaction() as tx:
            tx.execute("UPDATE flow_runs SET end_time = :end WHERE id = :id", {"id": run, "end": end})
        assert ask("GET", path, token) == status


def test_tokens_are_the_same_for_the_next_worker_of_a_home_and_no_other(client, monkeypatch, tmp_path):
    run = new_run(client)
    token = run_tokens.make(run, 1)
    assert run_tokens.make(run, 1) == token
    assert run_tokens.make(run, 2) != token
    monkeypatch.setenv("RUNYARD_HOME", str(tmp_path / "other"))
    assert run_tokens.make(run, 1) != token


def test_paths_that_are_no_route_are_left_to_the_api(client, ask):
    token = run_tokens.make(new_run(client), 1)
    assert ask("POST", "/api/no/such/route", token) == 200  # answered with 404 by what is behind
    assert ask("DELETE", "/api/work_pools/a/", token) == 200
