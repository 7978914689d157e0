"""Who may call the API: from which page, by which name of the server, as which user, with what body."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import sys
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from _api import ApiServer
from hypothesis import given
from hypothesis import strategies as st
from runyard.base.errors import NotAllowed
from runyard.client import HttpClient
from runyard.operations import all_operations
from runyard.operations.records.stored_variables import count_variables
from runyard.server import peers
from runyard.server.app import create_app
from runyard.settings import api_token
from runyard.store.database import get_database

JSON = {"Content-Type": "application/json"}
CHANGES = [operation for operation in all_operations() if operation.method != "GET"]


@contextmanager
def serving(**options):
    server = ApiServer(create_app(get_database(), maintenance=False, **{"auth": "", **options}))
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def server(home):
    with serving() as server:
        yield server


def send(server, method, path, body=None, headers=None):
    """The status and the text of an answer; no header is sent that is not given, but Host."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    try:
        connection.putrequest(method, f"/api{path}", skip_host="Host" in (headers or {}))
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def a_path(operation):
    return operation.path.format_map(dict.fromkeys(operation.placeholders, "x"))


def commits(server):
    with server.app.state.service.database.transaction(write=False) as tx:
        return tx.value("PRAGMA data_version")


# Each route, so that none is forgotten that is added later.


@pytest.mark.parametrize("operation", CHANGES, ids=lambda operation: operation.name)
def test_no_web_page_gets_to_a_route_that_changes_something(server, operation):
    path = a_path(operation)
    before = commits(server)
    for headers in (
        {"Host": "evil.example:4200", "Origin": "http://evil.example:4200", **JSON},
        {"Origin": "http://evil.example", **JSON},
        {"Origin": "null", **JSON},
        {"Sec-Fetch-Site": "cross-site", **JSON},
        {"Sec-Fetch-Site": "same-site", **JSON},
    ):
        status, text = send(server, operation.method, path, b"{}", headers)
        assert status == 403, (headers, text)
    if operation.method == "POST":
        for kind in (None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            headers = {} if kind is None else {"Content-Type": kind}
            for body in (None, b"", b"{}"):
                assert send(server, "POST", path, body, headers)[0] == 415
    assert commits(server) == before


@pytest.mark.parametrize("operation", all_operations(), ids=lambda operation: operation.name)
def test_every_route_asks_which_server_is_meant(server, operation):
    status, text = send(server, operation.method, a_path(operation), b"{}", {"Host": "evil.example", **JSON})
    if operation.name in ("read_health", "read_ready"):
        assert status == 200
    else:
        assert status == 403
        assert "RUNYARD_SERVER_ALLOWED_HOSTS" in text


HOSTS = [
    ("localhost", 200), ("LOCALHOST:4200", 200), ("127.0.0.1:1", 200), ("127.9.9.9", 200),
    ("[::1]:4200", 200), ("localhost.", 200), ("evil.example", 403), ("localhost.evil.example", 403),
    ("127.0.0.1.evil.example", 403), ("10.0.0.1", 403), ("169.254.169.254", 403), ("0.0.0.0:4200", 403),
    ("", 403), ("[", 403), ("2130706433", 403), ("user@localhost", 403),
    ("localhost@evil.example", 403), ("a b", 403), ("*", 403),
    ("localhost/evil.example", 403), ("localhost#.evil.example", 403), ("localhost?.evil.example", 403),
]  # fmt: skip


@pytest.mark.parametrize(("host", "status"), HOSTS)
def test_names_of_this_server(server, host, status):
    assert send(server, "GET", "/version", None, {"Host": host})[0] == status


def test_names_that_are_configured(home, monkeypatch):
    monkeypatch.setenv("RUNYARD_SERVER_ALLOWED_HOSTS", "yard.example, [fd00::1]")
    with serving() as server:
        for host in ("yard.example", "YARD.example:443", "[fd00::1]:80", "localhost"):
            assert send(server, "GET", "/version", None, {"Host": host})[0] == 200
        assert send(server, "GET", "/version", None, {"Host": "other.example"})[0] == 403
        headers = {"Host": "127.0.0.1", "Origin": "https://yard.example", **JSON}
        assert send(server, "POST", "/variables/count", b"{}", headers)[0] == 200
    monkeypatch.setenv("RUNYARD_SERVER_ALLOWED_HOSTS", "*")
    with serving() as server:
        assert send(server, "GET", "/version", None, {"Host": "other.example"})[0] == 200


def test_a_server_for_others_is_known_by_its_addresses_and_its_name(home):
    with serving(hosts=["0.0.0.0"], any_address=True) as server:
        for host in ("10.1.2.3:4200", "[fd00::7]", socket.gethostname(), "localhost"):
            assert send(server, "GET", "/version", None, {"Host": host})[0] == 200
        assert send(server, "GET", "/version", None, {"Host": "evil.example"})[0] == 403


def test_a_page_of_the_server_itself_may_change_things(server):
    host = urlsplit(server.url).netloc
    for origin in (
        {"Origin": f"http://{host}"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ):
        assert send(server, "POST", "/variables/count", b"{}", {**origin, **JSON})[0] == 200


@pytest.mark.parametrize("hosts", [(), ("127.0.0.1",), ("localhost",), ("::1",)])
def test_a_page_of_another_port_is_another_origin(home, hosts):
    with serving(hosts=hosts) as server:
        port = urlsplit(server.url).port + 1
        for host in ("127.0.0.1", "localhost", "[::1]"):
            headers = {"Origin": f"http://{host}:{port}", **JSON}
            assert send(server, "POST", "/variables/count", b"{}", headers)[0] == 403


def test_what_is_only_read_needs_no_content_type(server):
    assert send(server, "GET", "/version")[0] == 200
    assert send(server, "DELETE", "/variables/name/none")[0] == 404


# Which user.


def test_the_user_at_the_other_end_is_known():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, client = listener.accept()
        with theirs:
            assert peers.user_of(client, listener.getsockname()) == os.geteuid()
            assert peers._by_proc(*peers._ends(client, listener.getsockname())) == os.geteuid()
            ours.close()
            # An end that is closed belongs to no user; to call it root's would let everybody in.
            assert peers.user_of(client, listener.getsockname()) is None
            assert peers._by_proc(*peers._ends(client, listener.getsockname())) is None


def test_an_ipv4_caller_of_an_ipv6_socket_is_known():
    if not socket.has_dualstack_ipv6():
        pytest.skip("this system has no sockets for both IPv4 and IPv6")
    listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    with listener, socket.create_connection(("127.0.0.1", listener.getsockname()[1])):
        theirs, client = listener.accept()
        with theirs:
            assert peers.user_of(client[:2], theirs.getsockname()[:2]) == os.geteuid()


# What is needed is imported first: the other user may not read the packages.
CALL = """
import os, sys, socket
"localhost".encode("idna")
os.setgroups([]); os.setgid(65534); os.setuid(65534)
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=60)
lines = ["GET /api/version HTTP/1.1", "Host: localhost", "Connection: close", *sys.argv[2:], "", ""]
s.sendall("\\r\\n".join(lines).encode())
answer = b""
while part := s.recv(65536):
    answer += part
print(answer.decode().partition(" ")[2])
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_another_user_of_the_machine_does_not_get_in(server):
    token = api_token.make_token()

    def call(*headers):
        command = [sys.executable, "-c", CALL, str(urlsplit(server.url).port), *headers]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    assert call().startswith("403 ")
    assert "RUNYARD_API_AUTH_STRING" in call()
    assert call("Authorization: Bearer wrong").startswith("403 ")
    assert call(f"Authorization: Bearer {token}").startswith("200 ")


def test_where_the_system_does_not_tell_the_token_of_the_home_counts(server, monkeypatch):
    monkeypatch.setattr(peers, "user_of", lambda client, server: None)
    stranger = HttpClient(server.url)
    with pytest.raises(NotAllowed, match="only the user who runs this API"):
        stranger.call(count_variables, None)
    stranger.close()
    api_token.make_token()
    own = HttpClient(server.url)
    assert own.call(count_variables, None) == 0
    own.close()


def test_another_user_is_refused_whatever_the_route(server, monkeypatch):
    monkeypatch.setattr(peers, "user_of", lambda client, server: os.geteuid() + 1)
    for operation in all_operations():
        status, _ = send(server, operation.method, a_path(operation), b"{}", JSON)
        assert status == (200 if operation.name in ("read_health", "read_ready") else 403), operation
    assert send(server, "GET", "/openapi.json")[0] == 403
    assert send(server, "GET", "/runyard/changes")[0] == 403


def test_the_token_is_private_and_stays(home):
    before = os.umask(0)
    try:
        token = api_token.make_token()
    finally:
        os.umask(before)
    assert len(token) == 64
    assert api_token.make_token() == token
    assert os.stat(api_token.token_path()).st_mode & 0o777 == 0o600


def test_the_token_is_told_to_no_other_machine(home):
    api_token.make_token()
    for url, told in (("http://127.0.0.1:1/api", True), ("http://yard.example/api", False)):
        client = HttpClient(url)
        assert ("authorization" in client._http.headers) is told
        client.close()


def test_with_a_password_every_user_who_has_it_gets_in(home, monkeypatch):
    monkeypatch.setattr(peers, "user_of", lambda client, server: os.geteuid() + 1)
    with serving(auth="me:word") as server:
        client = HttpClient(server.url, "me:word")
        assert client.call(count_variables, None) == 0
        client.close()
        token = {"Authorization": f"Bearer {api_token.make_token()}"}
        assert send(server, "GET", "/version", None, token)[0] == 401


# What is sent.


def test_a_body_has_a_limit(home, monkeypatch):
    monkeypatch.setenv("RUNYARD_SERVER_MAX_BODY_BYTES", "2000")
    with serving() as server:
        body = json.dumps({"name": "a", "value": "x" * 1500}).encode()
        assert send(server, "POST", "/variables/", body, JSON)[0] == 201
        body = json.dumps({"name": "b", "value": "x" * 3_000_000}).encode()
        status, text = send(server, "POST", "/variables/", body, JSON)
        assert status == 413
        assert "RUNYARD_SERVER_MAX_BODY_BYTES" in text
        chunks = {"Transfer-Encoding": "chunked", **JSON}
        whole = (
            b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:1500], body[1500:9000]))
            + b"0\r\n\r\n"
        )
        address = urlsplit(server.url)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
        connection.putrequest("POST", "/api/variables/")
        for name, value in chunks.items():
            connection.putheader(name, value)
        connection.endheaders(whole)
        assert connection.getresponse().status == 413
        connection.close()


def test_results_have_a_limit_of_their_own(home, monkeypatch):
    monkeypatch.setenv("RUNYARD_SERVER_MAX_BODY_BYTES", "2000")
    monkeypatch.setenv("RUNYARD_SERVER_MAX_RESULT_BYTES", "9000")

    def body(size):
        return json.dumps({"row": ["k", 1, None, None, "{}", "x" * size, None]}).encode()

    with serving() as server:
        assert send(server, "POST", "/runyard/results", body(8000), JSON)[0] == 200
        status, text = send(server, "POST", "/runyard/results", body(9000), JSON)
        assert (status, "RUNYARD_SERVER_MAX_RESULT_BYTES" in text) == (413, True)
        assert send(server, "POST", "/runyard/results/read", body(8000), JSON)[0] == 413


def test_a_start_that_says_little_gets_the_defaults_or_is_refused(server):
    body = {"flow_run_id": "r", "flow_name": "f", "name": None, "parameters": "{}", "empirical_policy": "{}",
            "tags": []}  # fmt: skip
    assert send(server, "POST", "/runyard/journal/start", json.dumps(body).encode(), JSON)[0] == 422
    named = json.dumps({**body, "name": "r"}).encode()
    assert send(server, "POST", "/runyard/journal/start", named, JSON)[0] == 200
    assert send(server, "GET", "/flow_runs/r", None, {})[0] == 200


def test_a_body_with_two_lengths_is_refused_at_once(server):
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    lengths = {"Transfer-Encoding": "chunked", "Content-Length": "2"}
    connection.request("POST", "/api/flows/filter", b"{}", {**JSON, **lengths})
    assert connection.getresponse().status == 400
    connection.close()


def test_the_page_of_the_routes_loads_nothing(server):
    status, text = send(server, "GET", "/docs", None, {})
    assert status == 200
    assert "create_flow_run" in text
    assert "POST" in text
    assert not re.search(r"<script|<link|<img|<iframe|src=|@import|https?://", text)
    assert send(server, "GET", "/docs/oauth2-redirect", None, {})[0] == 404


@pytest.mark.parametrize(
    "body",
    [
        '{"name": "a", "value": NaN}', '{"name": "a", "value": -Infinity}', '{"name": "a", "value": 1e400}',
        '{"name": "a", "value": ' + "1" * 299 + "e99}",
        '{"name": "a", "value": ' + "1" * 5000 + "}", '{"name": "a", "value": ' + "[" * 250 + "]" * 250 + "}",
        '{"name": "a", "value": ' + "[" * 100_000 + "]" * 100_000 + "}", "{", '{"name": "a", "value": "\xff',
    ],
)  # fmt: skip
def test_what_is_no_json_is_refused_before_anything_is_kept(server, body):
    status, text = send(server, "POST", "/variables/", body.encode("latin-1"), JSON)
    assert status == 422, text
    assert json.loads(text)["error"] == "InvalidInput"
    assert send(server, "POST", "/variables/count", b"{}", JSON) == (200, "0")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("value", ["1", "1e400", '"\\ud800"', '"\ud800"'])
def test_a_body_that_is_not_in_utf_8_is_refused(server, encoding, value):
    body = f'{{"name": "a", "value": {value}}}'
    status, text = send(server, "POST", "/variables/", body.encode(encoding, "surrogatepass"), JSON)
    assert status == 422, text
    assert send(server, "POST", "/variables/count", b"{}", JSON) == (200, "0")


def test_half_a_character_as_bytes_is_no_utf_8(server):
    assert send(server, "POST", "/variables/", b'{"name": "a", "value": "\xed\xa0\x80"}', JSON)[0] == 422


def test_what_does_not_fit_is_not_repeated(server):
    body = json.dumps({"name": 5, "value": "hunter2", "more": ["hunter2"] * 1000}).encode()
    status, text = send(server, "POST", "/variables/", body, JSON)
    assert status == 422
    assert "hunter2" not in text
    assert len(text) < 2000


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"parameters": {"count": "hunter2"}}, 'must be a whole number, not "..."'),
        ({"parameters": {"count": "hunter2" * 20}}, 'must be a whole number, not "..."'),
        ({"parameters": {"count": ["hunter2"]}}, 'must be a whole number, not ["..."]'),
        ({"parameters": {"count": ["hunter2"] * 20}}, "must be a whole number, not a list of 20"),
        ({"parameters": {"count": {"a": "hunter2"}}}, 'must be a whole number, not {"a": "..."}'),
        ({"parameters": {"kind": "hunter2"}}, 'must be one of "small", "large", not "..."'),
        ({"state": {"type": "hunter2"}}, "; valid are SCHEDULED"),
    ],
)
def test_a_wrong_parameter_is_not_repeated(server, given, said):
    made = send(server, "POST", "/flows/", b'{"name": "sized"}', JSON)
    kinds = {"count": {"type": "integer"}, "kind": {"enum": ["small", "large"]}}
    deployment = {
        "name": "d",
        "flow_id": json.loads(made[1])["id"],
        "parameter_openapi_schema": {"type": "object", "properties": kinds},
        "enforce_parameter_schema": True,
    }
    made = send(server, "POST", "/deployments/", json.dumps(deployment).encode(), JSON)
    path = f"/deployments/{json.loads(made[1])['id']}/create_flow_run"
    status, text = send(server, "POST", path, json.dumps(given).encode(), JSON)
    assert status in (409, 422)
    assert "hunter2" not in text
    assert said in json.loads(text)["detail"]


def test_half_a_character_becomes_one_that_can_be_kept(server):
    body = b'{"name": "a", "value": {"\\ud800": "x\\udfffy \\ud83d\\ude00"}}'
    assert send(server, "POST", "/variables/", body, JSON)[0] == 201
    value = json.loads(send(server, "GET", "/variables/name/a")[1])["value"]
    assert value == {"\ufffd": "x\ufffdy \U0001f600"}


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_a_version_is_one_or_is_refused(text):
    from runyard.server.guard import _recent

    assert _recent(text) in (True, False)
