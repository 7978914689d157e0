"""Tokens of single runs: what a run in a container may do with the API, and until when.

The token is an HMAC-SHA256 of the run's id and attempt with a secret of the home as the key. So a restarted
worker accepts the tokens of the runs that continue. It is the password of a user with the name of the run.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from typing import TYPE_CHECKING

from runyard import settings
from runyard.base import clock, private_files
from runyard.operations import all_operations
from runyard.store.database import Database

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_SECRET_FILE = "run-tokens.key"  # noqa: S105  # the name of the file
# What flow code does: read everything, and make these changes. What operators and workers do (deployments,
# pools, queues, schedules, claims, recovery) is not included.
_CHANGES = frozenset(
    """
    create_artifact update_artifact create_block_document update_block_document create_block_schema
    create_block_type update_block_type create_flow create_flow_run delete_variable delete_variable_by_name
    create_flow_run_from_deployment run_deployment
    create_flow_run_input create_logs create_task_run create_variable update_variable update_variable_by_name
    decrement_slots decrement_slots_with_lease decrement_tag_slots increment_slots increment_slots_with_lease
    increment_tag_slots note_slot_wait renew_slots tick_lease_clock acquire_lock release_lock
    submit_background_tasks is_open keep_results report_lost_task report_state start_flow_run write_journal
    write_journal_soon
    write_result delete_result renew_leases pause_flow_run set_task_run_state update_task_run
    """.split()  # noqa: SIM905  # a list of a hundred quotes is harder to read
)
# Changes of one run, which must be the token's run or one below it.
_OF_A_RUN = frozenset(
    (
        "set_flow_run_state",
        "update_flow_run",
        "update_flow_run_labels",
        "delete_flow_run_input",
        "resume_flow_run",
    )
)
_READING = frozenset(("count", "filter", "paginate", "read"))
_DEEPEST = 100
# How long a token is valid after its run's end, for hooks; a token found in an old container is useless.
_AFTER_END_SECONDS = 3600


def _secret() -> bytes:
    path = os.path.join(settings.home(), _SECRET_FILE)
    if not os.path.exists(path):
        private_files.write_once(path, os.urandom(32).hex() + "\n")
    with open(path, encoding="ascii") as file:
        return bytes.fromhex(file.read().strip())


def make(flow_run_id: str, attempt: int) -> str:
    """The `user:password` of a run's attempt."""
    user = f"{flow_run_id}.{attempt}"
    return f"{user}:{hmac.digest(_secret(), user.encode(), hashlib.sha256).hex()}"


class RunTokens:
    """ASGI middleware that accepts the tokens of runs and limits what each may do.

    Args:
        app: the application behind it.
        database: the database of the runs.
        auth: the `user:password` of `app`.
    """

    def __init__(self, app: ASGIApp, database: Database, auth: str) -> None:
        self._app = app
        self._database = database
        self._auth = b"Basic " + base64.b64encode(auth.encode())
        self._routes = [
            (operation.method, re.compile(_pattern(operation.path)), operation.name)
            for operation in all_operations()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward the request of a run, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        from starlette.concurrency import run_in_threadpool

        given = [value for name, value in scope["headers"] if name == b"authorization"]
        problem = await run_in_threadpool(self._problem, scope["method"], scope["path"], given)
        if problem is not None:
            from starlette.responses import JSONResponse

            status, text = problem
            await JSONResponse({"detail": text, "error": "NotAllowed"}, status)(scope, receive, send)
            return
        headers = [pair for pair in scope["headers"] if pair[0] != b"authorization"]
        await self._app({**scope, "headers": [*headers, (b"authorization", self._auth)]}, receive, send)

    def _problem(self, method: str, path: str, given: list[bytes]) -> tuple[int, str] | None:
        run = _run_of(given[0]) if len(given) == 1 else None
        if run is None:
            return 401, "this API is for the runs of one worker, each with its own token"
        flow_run_id, attempt = run
        with self._database.transaction(write=False) as tx:
            held = tx.value("SELECT attempt FROM leases WHERE flow_run_id = :id", {"id": flow_run_id})
            # The hooks of a run are called after its end, when it has no lease any more.
            last = tx.value(
                "SELECT attempt FROM flow_runs WHERE id = :id AND (end_time IS NULL OR end_time > :since)",
                {"id": flow_run_id, "since": clock.now_us() - _AFTER_END_SECONDS * 1_000_000},
            )
        if attempt not in (held, last):
            return 403, "the run or the attempt of this token has ended"
        found = self._route(method, path)
        if found is None:
            return None  # the route does not exist; the application responds with that
        name, names = found
        if name.partition("_")[0] in _READING or method == "GET" or name in _CHANGES:
            return None
        if name in _OF_A_RUN and self._is_below(names.get("flow_run_id"), flow_run_id):
            return None
        return 403, f"the token of a run does not allow {method} {path[:200]}"

    def _route(self, method: str, path: str) -> tuple[str, dict[str, str]] | None:
        for its_method, pattern, name in self._routes:
            found = pattern.fullmatch(path) if its_method == method else None
            if found is not None:
                return name, found.groupdict()
        return None

    def _is_below(self, flow_run_id: str | None, root_id: str) -> bool:
        """Whether a run is this run, or was started by it, at any depth."""
        with self._database.transaction(write=False) as tx:
            for _ in range(_DEEPEST):
                if flow_run_id is None or flow_run_id == root_id:
                    return flow_run_id is not None
                flow_run_id = tx.value(
                    "SELECT t.flow_run_id FROM flow_runs r JOIN task_runs t ON t.id = r.parent_task_run_id "
                    "WHERE r.id = :id",
                    {"id": flow_run_id},
                )
        return False


def _pattern(path: str) -> str:
    parts = re.split(r"\{(\w+)\}", path)
    return "/api" + "".join(
        f"(?P<{part}>[^/]+)" if number % 2 else re.escape(part) for number, part in enumerate(parts)
    )


def _run_of(given: bytes) -> tuple[str, int] | None:
    """The run and the attempt of an Authorization header, if its token is valid."""
    kind, _, coded = given.partition(b" ")
    if kind.lower() != b"basic":
        return None
    try:
        text = base64.b64decode(coded, validate=True).decode()
        flow_run_id, _, attempt = text.partition(":")[0].rpartition(".")
        number = int(attempt)
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    if not hmac.compare_digest(text.encode(), make(flow_run_id, number).encode()):
        return None
    return flow_run_id, number
