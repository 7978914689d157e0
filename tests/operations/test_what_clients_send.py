"""What clients of Prefect's API send and read: queues without a pool, filters, nulls, status codes."""

from __future__ import annotations

import httpx
import pytest

POOL = "default-agent-pool"


@pytest.fixture
def post(api):
    """Posts to the API; returns the answer, whose status is checked."""

    def send(path, body=None, status=200, method="POST"):
        answer = httpx.request(method, f"{api.url}{path}", json=body, timeout=60)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    return send


def run_of(post, name, **fields):
    flow = post("/flows/", {"name": name}, 201)
    return flow, post("/flow_runs/", {"flow_id": flow["id"], **fields}, 201)


def test_a_queue_without_a_pool_is_of_the_default_one(post):
    made = post("/work_queues/", {"name": "mine", "filter": None, "concurrency_limit": 3}, 201)
    assert (made["work_pool_name"], made["name"], made["filter"]) == (POOL, "mine", None)
    assert post("/work_queues/name/mine", method="GET")["id"] == made["id"]
    post("/work_queues/", {"name": "mine"}, 409)
    post(f"/work_queues/{made['id']}", {"filter": None, "priority": 4}, 204, "PATCH")
    status = post(f"/work_queues/{made['id']}/status", method="GET")
    assert (status["healthy"], status["late_runs_count"], status["last_polled"]) == (False, 0, None)
    run = {"work_pool_name": POOL, "work_queue_name": "mine", "state": {"type": "SCHEDULED"}}
    _, waiting = run_of(post, "f", **run)
    assert [each["id"] for each in post(f"/work_queues/{made['id']}/get_runs", {})] == [waiting["id"]]
    assert post(f"/work_queues/{made['id']}/status", method="GET")["healthy"]
    post(f"/work_queues/{made['id']}", {"is_paused": True}, 204, "PATCH")
    assert post(f"/work_queues/{made['id']}/get_runs", {}) == []


def test_artifacts_are_found_by_their_run_flow_and_deployment(post):
    flow, run = run_of(post, "f")
    _, other = run_of(post, "g")
    wanted = post("/artifacts/", {"key": "a", "flow_run_id": run["id"]}, 201)["id"]
    post("/artifacts/", {"key": "b", "flow_run_id": other["id"]}, 201)
    for asked in (
        {"flow_runs": {"id": {"any_": [run["id"]]}}},
        {"flows": {"name": {"any_": ["f"]}}},
        {"flows": {"id": {"any_": [flow["id"]]}}, "artifacts": {"key": {"exists_": True}}},
    ):
        assert [each["id"] for each in post("/artifacts/filter", asked)] == [wanted]
        assert [each["latest_id"] for each in post("/artifacts/latest/filter", asked)] == [wanted]
        assert post("/artifacts/count", asked) == post("/artifacts/latest/count", asked) == 1
    assert post("/artifacts/filter", {"deployments": {"name": {"any_": ["none"]}}}) == []
    assert post("/artifacts/filter", {"task_runs": {"name": {"like_": "x"}}}) == []


def test_runs_are_found_by_the_queue_in_either_spelling(post):
    post("/work_queues/", {"name": "mine"}, 201)
    _, run = run_of(post, "f", work_pool_name=POOL, work_queue_name="mine", state={"type": "SCHEDULED"})
    run_of(post, "g")
    for name in ("work_queues", "work_pool_queues"):
        asked = {name: {"name": {"any_": ["mine"]}}}
        assert [each["id"] for each in post("/flow_runs/filter", asked)] == [run["id"]]
        assert post("/flow_runs/count", asked) == 1
        assert post("/deployments/count", asked) == 0


NOT_LOOKED_AT = [
    ("/flow_runs/filter", {"flow_run": {"id": {"any_": []}}}),
    ("/flow_runs/filter", {"flow_runs": {"nme": {"any_": []}}}),
    ("/flow_runs/count", {"artifacts": {"id": {"any_": []}}}),
    ("/work_pools/filter", {"flow_runs": {"id": {"any_": []}}}),
    ("/work_queues/filter", {"flows": {"id": {"any_": []}}}),
    ("/artifacts/filter", {"artifacts": {"tags": {"any_": []}}}),
    ("/artifacts/filter", {"artifacts": {"key": {"startswith_": "a"}}}),
    ("/artifacts/latest/count", {"work_pools": {"id": {"any_": []}}}),
    ("/variables/filter", {"variables": {"nme": {"any_": []}}}),
    ("/variables/count", {"variables": {"name": {"eq_": "a"}}}),
    ("/logs/filter", {"log": {}}),
    ("/block_types/filter", {"block_types": {"nme": {"like_": "a"}}}),
    ("/block_schemas/filter", {"block_schemas": {"checksum": {"any_": []}}}),
    ("/block_documents/filter", {"block_documents": {"data": {"like_": "a"}}}),
    ("/block_documents/count", {"block_types": {"slug": {"like_": "a"}}}),
]


@pytest.mark.parametrize(("path", "body"), NOT_LOOKED_AT)
def test_no_filter_is_ignored(post, path, body):
    post(path, body, 422)


def test_what_is_null_is_not_asked(post):
    for path in ("/flow_runs/filter", "/artifacts/filter", "/variables/filter", "/block_documents/filter"):
        assert post(path, {"work_queues": None, "anything": None, "limit": None, "sort": None}) == []
    flow = post("/flows/", {"name": "f"}, 201)
    made = {"name": "d", "flow_id": flow["id"], "global_concurrency_limit_id": None}
    made = post("/deployments/", made, 201)
    post(f"/deployments/{made['id']}", {"global_concurrency_limit_id": None, "paused": True}, 204, "PATCH")
    post(f"/deployments/{made['id']}", {"global_concurrency_limit_id": made["id"]}, 422, "PATCH")
    assert post("/block_documents/filter", {"block_documents": {"is_anonymous": None}}) == []


def test_status_tells_made_from_found(post):
    flow, run = run_of(post, "f", idempotency_key="k")
    assert post("/flows/", {"name": "f"}, 200)["id"] == flow["id"]
    again = post("/flow_runs/", {"flow_id": flow["id"], "idempotency_key": "k"}, 200)
    assert again["id"] == run["id"]
    task = {"flow_run_id": run["id"], "task_key": "t", "dynamic_key": "0"}
    made = post("/task_runs/", task, 201)
    assert post("/task_runs/", task, 200)["id"] == made["id"]
    deployment = {"name": "d", "flow_id": flow["id"]}
    post("/deployments/", deployment, 201)
    post("/deployments/", deployment, 200)
    post("/concurrency_limits/", {"tag": "t", "concurrency_limit": 1}, 201)
    post("/concurrency_limits/", {"tag": "t", "concurrency_limit": 2}, 200)
    assert post(f"/flow_runs/{run['id']}/resume", {}, 200)["status"] == "ABORT"


def test_slots_are_given_back_with_the_time_they_were_held(post):
    post("/v2/concurrency_limits/", {"name": "g", "limit": 2}, 201)
    taken = post("/v2/concurrency_limits/increment", {"names": ["g"], "slots": 1, "mode": "concurrency"})
    assert [(each["name"], each["limit"]) for each in taken] == [("g", 2)]
    given = {"names": ["g"], "slots": 1, "occupancy_seconds": 1.5, "create_if_missing": None}
    assert post("/v2/concurrency_limits/decrement", given) == taken
    assert post("/v2/concurrency_limits/g", method="GET")["active_slots"] == 0


def test_secrets_are_not_told_to_who_saves_them(post):
    kind = post("/block_types/", {"name": "My Block", "slug": "my-block"}, 201)
    schema = {
        "block_type_id": kind["id"],
        "fields": {
            "type": "object",
            "properties": {"token": {"type": "string"}, "host": {"type": "string"}},
            "secret_fields": ["token"],
        },
    }
    schema = post("/block_schemas/", schema, 201)
    body = {
        "name": "b", "data": {"token": "geheim", "host": "h"}, "block_schema_id": schema["id"],
        "block_type_id": kind["id"], "is_anonymous": False,
    }  # fmt: skip
    made = post("/block_documents/", body, 201)
    assert "geheim" not in str(made)
    assert made["data"]["host"] == "h"
    found = post(f"/block_documents/{made['id']}?include_secrets=true", method="GET")
    assert found["data"]["token"] == "geheim"  # what was saved above


@pytest.mark.parametrize("kind", ["ecs", "cloud-run-v2", "my-own"])
def test_a_pool_of_workers_of_others(post, kind):
    made = post("/work_pools/", {"name": "theirs", "type": kind}, 201)
    assert made["type"] == kind
    run = {"work_pool_name": "theirs", "state": {"type": "SCHEDULED"}}
    _, waiting = run_of(post, "f", **run)
    template = {"job_configuration": {"image": "{{ image }}"}, "variables": {"properties": {"image": {}}}}
    post("/work_pools/theirs", {"base_job_template": template}, 204, "PATCH")
    found = post("/work_pools/theirs/get_scheduled_flow_runs", {})
    assert [each["flow_run"]["id"] for each in found] == [waiting["id"]]


@pytest.mark.parametrize("number", ["1e999", "-1e999", "-1", '"nan"', '"inf"'])
def test_numbers_are_finite_and_not_negative(api, post, number):
    post("/work_pools/", {"name": "p", "type": "process"}, 201)
    for path, fields in (
        ("/v2/concurrency_limits/", f'{{"name": "g", "limit": 1, "slot_decay_per_second": {number}}}'),
        ("/work_pools/p/workers/heartbeat", f'{{"name": "w", "heartbeat_interval_seconds": {number}}}'),
    ):
        answer = httpx.post(
            f"{api.url}{path}", content=fields, headers={"Content-Type": "application/json"}, timeout=60
        )
        assert answer.status_code == 422, answer.text


@pytest.mark.parametrize(
    ("kind", "detail"),
    [("SCHEDULED", "scheduled_time"), ("PAUSED", "pause_timeout"), ("COMPLETED", "cache_expiration")],
)
def test_a_moment_of_a_state_that_is_no_time_is_refused(post, kind, detail):
    flow, run = run_of(post, "f")
    task = {"flow_run_id": run["id"], "task_key": "t", "dynamic_key": "0"}
    task_run = post("/task_runs/", task, 201)
    wrong = ["later", "", 5, 1e30, True, [], {"a": 1}, "0001-01-01T00:00:00+14:00", "2026-13-01", "12:00"]
    for value in wrong:
        state = {"type": kind, "state_details": {detail: value}}
        for path in (f"/flow_runs/{run['id']}/set_state", f"/task_runs/{task_run['id']}/set_state"):
            told = post(path, {"state": state, "force": True}, 422)
            assert detail in str(told)
        post("/flow_runs/", {"flow_id": flow["id"], "state": state}, 422)
    body = {"flow_run_id": run["id"], "attempt": None, "state": {**state, "timestamp": None}}
    post("/runyard/journal/state", body, 422)
    state["state_details"][detail] = "2126-01-31T08:00:00+01:00"
    post(f"/flow_runs/{run['id']}/set_state", {"state": state, "force": True}, 201)
    read = post(f"/flow_runs/{run['id']}", method="GET")["state"]["state_details"]
    assert read[detail] == "2126-01-31T07:00:00.000000Z"


def test_a_state_that_names_no_inputs_is_refused(post):
    _, run = run_of(post, "f")
    path = f"/flow_runs/{run['id']}/set_state"
    for keys in ("x", 5, ["schema", "response"], {"schema": "s"}, {"schema": "s", "response": 5}):
        state = {"type": "PAUSED", "state_details": {"run_input_keyset": keys}}
        post(path, {"state": state, "force": True}, 422)
