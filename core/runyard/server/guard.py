"""The guard in front of all routes: who may call, and with which version of the API."""

from __future__ import annotations

import base64
import hmac
import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

# Watchdogs ask these without a password.
_OPEN = frozenset(("/api/health", "/api/ready"))
_OLDEST_API = (0, 8, 0)
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)\Z")


class Guard:
    """ASGI middleware that refuses a wrong password (401) and a too old API version (400).

    Args:
        app: what it guards.
        auth: `user:password`, or empty where anybody may call.
    """

    def __init__(self, app: ASGIApp, auth: str = "") -> None:
        self._app = app
        self._expected = b"Basic " + base64.b64encode(auth.encode()) if auth else b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            given = headers.get(b"authorization", b"")
            if self._expected and scope["path"] not in _OPEN and not self._right(given):
                await _answer(send, 401, {"exception_message": "Unauthorized"})
                return
            version = headers.get(b"x-prefect-api-version", b"").decode("latin-1")
            if version and not _recent(version):
                await _answer(send, 400, {"detail": f"API version {version!r} is not supported"})
                return
        await self._app(scope, receive, send)

    def _right(self, given: bytes) -> bool:
        return hmac.compare_digest(given, self._expected)


def _recent(version: str) -> bool:
    found = _VERSION.match(version)
    return found is not None and tuple(map(int, found.groups())) >= _OLDEST_API


async def _answer(send: Send, status: int, body: dict[str, str]) -> None:
    headers = [(b"content-type", b"application/json")]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="runyard"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
