"""Operations as routes: arguments, statuses, the one error shape, and who may call."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx
import pytest
from _api import ApiServer
from pydantic import BaseModel, ConfigDict
from runyard.base import errors
from runyard.client import HttpClient
from runyard.client import calls as client_module
from runyard.operations.operation import Answer, operation
from runyard.server.app import create_app
from runyard.store.database import get_database


class ShipCreate(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    tons: int | None = None


class Ship(BaseModel):
    name: str
    tons: int | None = None
    built: datetime | None = None


BUILT = datetime(2024, 2, 29, 12, 30, 15, 5, tzinfo=UTC)


@operation("POST", "/ships/", status=201)
def create_ship(tx, body: ShipCreate) -> Answer[Ship]:
    """Build a ship."""
    tx.execute(
        "INSERT INTO flows (id, created, updated, name) VALUES (:name, 1, 1, :name)", {"name": body.name}
    )
    ship = Ship(name=body.name, tons=body.tons, built=BUILT)
    return Answer(ship, 200 if body.name == "there already" else 201)


@operation("GET", "/ships/{name}")
def read_ship(tx, name: str, *, tons: int | None = None, when: datetime | None = None) -> Ship:
    """A ship."""
    if name in vars(errors):
        raise vars(errors)[name]("what is wrong")
    if name == "broken":
        raise RuntimeError("a secret")
    return Ship(name=name, tons=tons, built=when)


@operation("GET", "/ships/largest")
def read_largest_ship(tx) -> Ship | None:
    """None so far."""
    return None


@operation("DELETE", "/ships/{name}", status=204)
def delete_ship(tx, name: str) -> None:
    """Sink it."""
    tx.execute("DELETE FROM flows WHERE name = :name", {"name": name})


@operation("POST", "/ships/count")
def count_ships(tx, body: dict | None = None) -> int:
    """How many."""
    return tx.value("SELECT count(*) FROM flows")


@operation("POST", "/ships/many", status=201)
def create_ships(tx, body: list[ShipCreate]) -> list[Ship]:
    """Build several: all or none."""
    return [create_ship(tx, ship) for ship in body]


@operation("GET", "/health")
def read_health(tx) -> bool:
    """Alive."""
    return True


OPERATIONS = [
    create_ship, read_ship, read_largest_ship, delete_ship, count_ships, create_ships, read_health,
]  # fmt: skip


@contextmanager
def serving(database, auth=""):
    """The URL of an API that serves OPERATIONS on `database`."""
    server = ApiServer(create_app(database, auth=auth, maintenance=False, operations=OPERATIONS))
    try:
        yield server.url
    finally:
        server.stop()


@pytest.fixture
def url(database):
    with serving(database) as url:
        yield url


@pytest.fixture
def http(url):
    with httpx.Client(base_url=url) as http:
        yield http


@pytest.fixture
def remote(url):
    client = HttpClient(url)
    yield client
    client.close()


def test_arguments_and_results_arrive_as_they_were(remote):
    ship = remote.call(create_ship, ShipCreate(name="a", tons=5))
    assert ship == Ship(name="a", tons=5, built=BUILT)
    assert remote.call(read_ship, "b c?&%✓", tons=3, when=BUILT) == Ship(name="b c?&%✓", tons=3, built=BUILT)
    assert remote.call(read_largest_ship) is None
    assert remote.call(count_ships) == 1
    assert remote.call(count_ships, {"unknown": None}) == 1
    assert remote.call(delete_ship, "a") is None
    assert remote.call(count_ships, None) == 0


def test_a_list_is_all_or_nothing(remote):
    ships = [ShipCreate(name="a"), ShipCreate(name="b")]
    assert [ship.name for ship in remote.call(create_ships, ships)] == ["a", "b"]
    with pytest.raises(errors.Conflict):
        remote.call(create_ships, [ShipCreate(name="c"), ShipCreate(name="a")])
    assert remote.call(count_ships) == 2


def test_the_declared_status_or_the_one_of_this_call(http):
    assert http.post("/ships/", json={"name": "a"}).status_code == 201
    assert http.post("/ships/", json={"name": "there already"}).status_code == 200
    answer = http.delete("/ships/a")
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize(
    "name", ["NotFound", "Conflict", "InvalidInput", "ParameterError", "NotAllowed", "StaleAttempt",
             "StoreError", "DatabaseBusy"]
)  # fmt: skip
def test_an_error_of_ours_keeps_its_class_status_and_text(http, remote, name):
    kind = vars(errors)[name]
    answer = http.get(f"/ships/{name}")
    assert answer.status_code == kind.status
    body = answer.json()
    assert (body["detail"], body["error"]) == ("what is wrong", name)
    with pytest.raises(kind, match="what is wrong") as raised:
        remote.call(read_ship, name)
    assert type(raised.value) is kind


def test_a_programming_error_tells_nothing(http):
    answer = http.get("/ships/broken")
    assert answer.status_code == 500
    assert answer.json()["exception_message"] == "Internal Server Error"
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("body", "place", "kind"),
    [
        ({"name": "a", "colour": "red"}, ["body", "colour"], "extra_forbidden"),
        ({}, ["body", "name"], "missing"),
        ({"name": 5}, ["body", "name"], "string_type"),
        ({"name": "a", "tons": "many"}, ["body", "tons"], "int_parsing"),
        (None, ["body"], "missing"),
    ],
)
def test_a_body_that_does_not_fit_says_where(http, body, place, kind):
    content = b"" if body is None else json.dumps(body)
    answer = http.post("/ships/", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    said = answer.json()
    assert said["exception_message"] == "Invalid request received."
    [fault] = said["exception_detail"]
    assert (fault["loc"], fault["type"]) == (place, kind)
    assert said["error"] == "InvalidInput"
    assert fault["msg"] in said["detail"]


def test_a_body_that_is_no_json_and_a_query_that_does_not_fit(http):
    headers = {"content-type": "application/json"}
    assert http.post("/ships/", content=b"{", headers=headers).status_code == 422
    assert http.get("/ships/a", params={"tons": "many"}).status_code == 422


def test_no_such_route_and_no_such_method(http):
    assert http.get("/boats/").json() == {"detail": "Not Found"}
    assert http.put("/ships/").status_code == 405


@pytest.mark.parametrize(
    ("version", "status"),
    [("0.8.4", 200), ("0.10.0", 200), ("1.0.0", 200), ("0.7.9", 400), ("new", 400)],
)
def test_a_too_old_version_of_the_api_is_refused(http, version, status):
    answer = http.get("/ships/a", headers={"X-PREFECT-API-VERSION": version})
    assert answer.status_code == status
    if status == 400:
        assert version in answer.json()["detail"]


def test_a_password_is_asked_of_everything_but_health(database):
    with serving(database, "me:pass:word") as url, httpx.Client(base_url=url) as http:
        for auth in (None, ("me", "wrong"), ("other", "pass:word")):
            answer = http.get("/ships/a", auth=auth)
            assert answer.status_code == 401
            assert answer.json() == {"exception_message": "Unauthorized"}
            assert http.get("/openapi.json", auth=auth).status_code == 401
            assert http.get("/runyard/changes", auth=auth).status_code == 401
        assert http.get("/health").json() is True
        assert http.get("/ships/a", auth=("me", "pass:word")).status_code == 200


def test_the_client_says_which_setting_a_refusal_is_about(database):
    with serving(database, "me:word") as url:
        client = HttpClient(url)
        with pytest.raises(errors.NotAllowed, match="RUNYARD_API_AUTH_STRING"):
            client.call(read_ship, "a")
        client.close()
        client = HttpClient(url, "me:word")
        assert client.call(read_ship, "a").name == "a"
        client.close()


def test_a_long_poll_ends_with_a_commit(remote):
    token = remote.changes()
    assert remote.changes() == token
    assert remote.wait_for_change(token, 0.05) == token

    answers = []
    poll = threading.Thread(target=lambda: answers.append(remote.wait_for_change(token, 60)))
    poll.start()
    remote.call(create_ship, ShipCreate(name="a"))
    poll.join(60)
    assert answers != []
    assert answers[0] != token


def test_a_connection_that_was_idle_is_not_used_again(monkeypatch):
    """The server may be closing it: this one resets it where a second request comes."""
    monkeypatch.setattr(client_module, "_IDLE_SECONDS", 0.05)
    used = []

    def answer(connection):
        with connection:
            used.append(connection)
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue")
            if connection.recv(65536):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def serve():
        for _ in range(2):
            threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        client = HttpClient(f"http://127.0.0.1:{listener.getsockname()[1]}/api")
        assert client.changes() is True
        time.sleep(0.06)
        assert client.changes() is True
        client.close()
    assert len(used) == 2


def test_a_change_before_the_poll_is_not_missed(remote):
    token = remote.changes()
    remote.call(create_ship, ShipCreate(name="a"))
    assert remote.wait_for_change(token, 60) != token


def test_the_token_of_another_server_is_soon_answered(remote):
    assert remote.wait_for_change("00000000-7", 60) == remote.changes()


def test_without_a_database_of_its_own_it_serves_that_of_the_settings(home):
    app = create_app(maintenance=False, operations=OPERATIONS)
    assert app.state.service.database is get_database()
    app.state.service.close()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/work_pools/{long}", None),
        ("GET", "/variables/name/{long}", None),
        ("GET", "/deployments/name/f/{long}", None),
        ("GET", "/block_types/slug/{long}", None),
        ("POST", "/flow_runs/filter", {"sort": "{long}"}),
        ("POST", "/flow_runs/filter", {"{long}": 1}),
        ("POST", "/flow_runs/filter", {"flow_runs": {"{long}": {}}}),
        ("POST", "/flow_runs/filter", {"flow_runs": {"{long}": {"a b": 1}}, "sort": "a"}),
        ("POST", "/variables/", {"name": "{long}", "value": 1}),
        ("POST", "/work_pools/", {"name": "a", "type": "{long}"}),
        ("POST", "/concurrency_limits/tag/{long}/reset", {}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("long", ["x" * 60_000, "x " * 15_000], ids=["word", "words"])
def test_a_refusal_repeats_a_part_of_what_is_very_long(api, method, path, body, long):
    text = None if body is None else json.dumps(body).replace("{long}", long)
    # The server's reader takes heads of 16 KB that come in parts.
    in_path = long.strip().replace(" ", "%20")[:12_000]
    answer = httpx.request(
        method,
        api.url + path.replace("{long}", in_path),
        content=text,
        headers={"Content-Type": "application/json"},
        timeout=60,
    )
    assert 400 <= answer.status_code < 500
    assert len(answer.text) < 5_000


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/runyard/leases/renew", {"leases": [{"flow_run_id": "x", "attempt": 1}], "lease_seconds": 1e306}),
        ("/runyard/leases/renew", {"leases": [], "lease_seconds": 1e13}),
        ("/runyard/served/claim", {"worker_name": "w", "deployment_ids": [], "lease_seconds": 1e306}),
        ("/runyard/recover", {"early_seconds": 1e306}),
        ("/runyard/recover", {"early_seconds": -1}),
        ("/work_pools/p/workers/heartbeat", {"name": "w", "heartbeat_interval_seconds": 1e306}),
        ("/v2/concurrency_limits/", {"name": "n", "limit": 1, "slot_decay_per_second": 1e306}),
    ],
)
def test_a_number_that_no_column_holds_is_refused(api, path, body):
    httpx.post(f"{api.url}/work_pools/", json={"name": "p", "type": "process"}, timeout=60)
    assert httpx.post(api.url + path, json=body, timeout=60).status_code == 422
    assert httpx.get(f"{api.url}/runyard/checkup", timeout=60).status_code == 200


def test_a_lost_key_is_no_fault_of_the_server(api, home):
    kind = httpx.post(f"{api.url}/block_types/", json={"name": "B", "slug": "b"}, timeout=60).json()["id"]
    schema = {"block_type_id": kind, "fields": {"secret_fields": ["s"]}}
    schema_id = httpx.post(f"{api.url}/block_schemas/", json=schema, timeout=60).json()["id"]
    block = {"block_type_id": kind, "block_schema_id": schema_id, "data": {"s": "x"}}
    made = httpx.post(f"{api.url}/block_documents/", json={"name": "one", **block}, timeout=60)
    assert made.status_code == 201
    (home / "secret.key").unlink()
    for answer in (
        httpx.post(f"{api.url}/block_documents/", json={"name": "two", **block}, timeout=60),
        httpx.get(
            f"{api.url}/block_documents/{made.json()['id']}", params={"include_secrets": True}, timeout=60
        ),
    ):
        assert answer.status_code == 503
        assert str(home / "secret.key") in answer.json()["detail"]
        assert answer.json()["error"] == "SettingError"
