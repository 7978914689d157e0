"""Whatever is sent to the API, the answer is no 500, and what was accepted can be read.

Schemathesis makes requests that fit the description of each route; some of their values are then replaced by
ones that programs stumble over, and their paths by things that exist. Not among the tests of every day:
`make fuzz`, with DATABASE=postgres there, for RUNYARD_FUZZ_SECONDS (by default five minutes). With CI set the
requests are the same each time, as many as there is time for.
"""

from __future__ import annotations

import json
import os
import time

import httpx
import pytest
from _api import ApiServer
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from runyard.client import LocalClient
from runyard.operations import all_operations
from runyard.operations import operation as base
from runyard.server.app import create_app

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("RUNYARD_FUZZ_SECONDS", "300"))
EXAMPLES_A_ROUND = 10
MOST_REQUESTS = 100_000

DEEP = 190
NUMBERS = [
    0, -1, 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 10**400, 1.5, 1e300,
    float("nan"), float("inf"),
]  # fmt: skip
TIMES = [
    "0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999-14:00",
    "9999-12-31T23:59:59Z", "2024-02-30T00:00:00Z", "+99999-01-01T00:00:00Z", "1969-12-31T23:59:59.5Z", 1e18,
]  # fmt: skip
TEXTS = [
    "", " ", "\ud800", "a\udfffb", "\0", "\u202e", "x" * 300, "x" * 5000, "%_\\", "' OR 1=1 --",
    "../../etc/passwd", "{}", "[", "null", "a/b", "{{ a }}", "* * * * *", "FREQ=DAILY", "Europe/Zürich",
    "process", "p", "default", "f", "d", "v",
]  # fmt: skip
NESTED = [
    [],
    {},
    [None],
    {"": None},
    {"\ud800": "\0"},
    [[]],
    {"any_": None},
    {"any_": [5, None, {}]},
    {"operator": "x"},
]
VERSIONS = ["0.8.4", "0.8.3", "x", "9" * 5000, "1.2.3.4", "٣.٣.٣", "-1.0.0"]


def nested(levels):
    value = None
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


VALUES = [None, True, False, *NUMBERS, *TIMES, *TEXTS, *NESTED, nested(DEEP), nested(260)]


@st.composite
def spoiled(draw, value, depth=0):
    """`value` with some of its parts replaced."""
    if draw(st.integers(0, 7)) == 0:
        return draw(st.sampled_from(VALUES))
    if isinstance(value, dict):
        return {key: draw(spoiled(item, depth + 1)) for key, item in value.items()}
    if isinstance(value, list):
        return [draw(spoiled(item, depth + 1)) for item in value]
    return value


# A connection is not used again that the server, which closes idle ones after 5 s, may be closing.
LIMITS = httpx.Limits(keepalive_expiry=2.0)


class Target:
    """A server with one of each thing, and what was found wrong with it."""

    def __init__(self, server, database):
        self.server = server
        self.http = httpx.Client(timeout=60, limits=LIMITS)
        self.client = LocalClient(database)
        self.names: list[str] = ["x"]
        self.requests = 0
        self.last: list[str] = []
        self.faults: dict[str, str] = {}
        self.readers = [
            operation
            for operation in all_operations()
            if not operation.placeholders
            and (
                operation.method == "GET"
                or operation.path.rpartition("/")[2] in ("filter", "count", "paginate")
            )
            # These need to be told what: a client, a kind of names, a change.
            and operation.name
            not in ("read_csrf_token", "list_names", "list_candidates", "count_bulk_change")
            and not operation.name.startswith("find_")
        ]

    def send(self, method, path, content=None, params=None, headers=None):
        """The answer; one with a status of 500 or more is a fault."""
        self.requests += 1
        url = f"{self.server.url}{path}"
        shown = f"{method} {path} {params or ''} {(content or b'')[:600]!r}"
        try:
            answer = self.http.request(
                method,
                url,
                content=content,
                params=params,
                headers={"Content-Type": "application/json", **(headers or {})},
            )
        except (httpx.InvalidURL, UnicodeEncodeError, ValueError):
            return None
        if answer.status_code >= 500:
            self.faults.setdefault(
                f"{method} {path.partition('?')[0]}: {answer.status_code}", f"{shown} -> {answer.text}"
            )
        if answer.status_code < 300 and method != "GET":
            self.last = [*self.last[-30:], shown]
        return answer

    def make(self, path, body):
        answer = self.send("POST", path, json.dumps(body).encode())
        assert answer.status_code in (200, 201), answer.text
        made = answer.json()
        for name in ("id", "name", "slug", "key"):
            if isinstance(made, dict) and made.get(name):
                self.names.append(made[name])
        return made

    def furnish(self):
        """One of each thing."""
        self.make("/work_pools/", {"name": "p", "type": "process"})
        flow = self.make("/flows/", {"name": "f"})
        schedule = {"schedule": {"cron": "0 5 * * *"}, "slug": "daily"}
        deployment = self.make(
            "/deployments/",
            {
                "name": "d",
                "flow_id": flow["id"],
                "work_pool_name": "p",
                "schedules": [schedule],
                "tags": ["t"],
            },
        )
        self.make(f"/deployments/{deployment['id']}/create_flow_run", {})
        run = self.make("/flow_runs/", {"flow_id": flow["id"], "name": "r", "state": {"type": "PENDING"}})
        task = {"flow_run_id": run["id"], "task_key": "t", "dynamic_key": "0", "state": {"type": "PENDING"}}
        self.make("/task_runs/", task)
        self.make("/variables/", {"name": "v", "value": 1})
        self.make("/artifacts/", {"key": "k", "data": 1})
        kind = self.make("/block_types/", {"name": "B", "slug": "b"})
        fields = {"secret_fields": ["s"]}
        schema = self.make("/block_schemas/", {"block_type_id": kind["id"], "fields": fields})
        block = {"block_type_id": kind["id"], "block_schema_id": schema["id"], "data": {"s": "x", "a": 1}}
        self.make("/block_documents/", {"name": "b", **block})
        self.make("/block_documents/", {"is_anonymous": True, **block})
        self.make("/v2/concurrency_limits/", {"name": "g", "limit": 2})
        self.make("/concurrency_limits/", {"tag": "t", "concurrency_limit": 2})

    def read_all(self):
        """Every list, which must be readable whatever was accepted."""
        for operation in self.readers:
            content = None if operation.method == "GET" else b"{}"
            answer = self.send(operation.method, operation.path, content)
            if answer is not None and answer.status_code >= 400:
                what = f"{operation.name} {answer.status_code} {answer.text[:300]}"
                self.faults.setdefault(
                    f"unreadable: {operation.name}", f"{what}\n  after: " + "\n  ".join(self.last)
                )


@pytest.fixture
def target(database):
    server = ApiServer(create_app(database, auth="", maintenance=False))
    target = Target(server, database)
    yield target
    target.http.close()
    server.stop()


def requests_of(target, operation):
    """Requests to one route: fitting ones, spoiled ones, with paths that exist and paths that do not."""

    @st.composite
    def make(draw):
        case = draw(operation.as_strategy())
        path = operation.path.removeprefix("/api")
        for name in base._PLACEHOLDER.findall(path):
            value = draw(st.sampled_from(target.names) | st.sampled_from([text for text in TEXTS if text]))
            quoted = (
                httpx.QueryParams({"a": value.encode("utf-8", "replace").decode()})
                if value.isascii()
                else None
            )
            path = path.replace(f"{{{name}}}", str(quoted)[2:] if quoted else "x")
        content = None
        if operation.body:
            body = case.body if isinstance(case.body, (dict, list)) else {}
            content = json.dumps(draw(spoiled(body)) if draw(st.booleans()) else body).encode()
        params = draw(spoiled(dict(case.query or {})))
        params = {key: str(value) for key, value in params.items()} if isinstance(params, dict) else None
        headers = {}
        if draw(st.integers(0, 20)) == 0:
            headers["X-PREFECT-API-VERSION"] = (
                draw(st.sampled_from(VERSIONS)).encode("ascii", "replace").decode()
            )
        return operation.method.upper(), path, content, params, headers

    return make()


def test_no_request_gives_500_and_what_was_accepted_can_be_read(target):
    schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    target.furnish()
    described = schemathesis.openapi.from_dict(target.server.app.openapi())
    operations = [found.ok() for found in described.get_all_operations()]
    assert len(operations) > 100
    deadline = time.monotonic() + SECONDS
    rounds = 0
    while time.monotonic() < deadline and target.requests < MOST_REQUESTS:
        for operation in operations:
            if time.monotonic() >= deadline:
                break

            @settings(
                max_examples=EXAMPLES_A_ROUND,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(request=requests_of(target, operation))
            def attack(request):
                target.send(*request)

            if os.environ.get("CI"):
                # The same requests each time, and others in each round.
                attack = seed(f"{rounds} {operation.method} {operation.path}")(attack)
            attack()
            if operation.method.upper() != "GET":
                target.read_all()
        rounds += 1
    target.read_all()
    print(f"{target.requests} requests in {rounds} rounds")
    assert not target.faults, "\n".join(f"{key}\n  {shown}" for key, shown in target.faults.items())
