"""The middleware in front of all routes: it decides who may call, from where, and with which content.

Checks, in this order: the Host header is a name of this server (so that a foreign web page cannot reach it
through its own name); a change does not come from a page of another origin, and has the content type JSON,
which a page of another origin cannot send; the caller has the password, or without a password is the user who
runs the server; the body is not too large; the API version is supported.
"""

from __future__ import annotations

import base64
import hmac
import ipaddress
import json
import os
import re
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from runyard.server import peers
from runyard.server.bodies import Limited
from runyard.settings import api_token

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Receive, Scope, Send

# Health checks call these with any host name and without a password.
_OPEN = frozenset(("/api/health", "/api/ready"))
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
_OLDEST_API = (0, 8, 0)
_VERSION = re.compile(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})\Z", re.ASCII)
# Characters that urlsplit treats as the end of the host or of a user name.
_NO_HOST = re.compile(r"[/?#@]")
_SHOWN_CHARACTERS = 100


class _Refusal(Exception):
    """A refusal: the response instead of the route's."""

    def __init__(self, status: int, body: dict[str, str]) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def _not_allowed(text: str, status: int = 403) -> _Refusal:
    return _Refusal(status, {"detail": text, "error": "NotAllowed"})


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Guard:
    """ASGI middleware that refuses requests before they reach a route.

    Args:
        app: the application behind it.
        auth: `user:password`, or empty: only the user who runs the server may call.
        hosts: valid host names and addresses, besides loopback; `*` means any.
        any_address: whether any IP address and this machine's name are valid too.
        most_bytes: the maximum size of a body.
        results: the paths to which results are sent, and the maximum size of a body there.
    """

    def __init__(
        self,
        app: ASGIApp,
        auth: str,
        hosts: Iterable[str],
        any_address: bool,
        most_bytes: int,
        results: tuple[frozenset[str], int],
    ) -> None:
        self._app = app
        self._expected = b"Basic " + base64.b64encode(auth.encode()) if auth else b""
        self._hosts = frozenset(host.strip().strip("[]").rstrip(".").lower() for host in hosts) - {""}
        self._own = frozenset((socket.gethostname().lower(),)) if any_address else frozenset()
        self._any_address = any_address
        self._most_bytes = most_bytes
        self._result_paths, self._most_result_bytes = results

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward the request, or respond with a refusal."""
        if scope["type"] == "websocket":
            # No route uses WebSockets; a future one must not bypass these checks.
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = _Headers(scope["headers"])
        limited = self._limited(scope["path"], receive)
        try:
            if scope["path"] not in _OPEN:
                self._check_host(headers)
            if scope["method"] not in _SAFE:
                self._check_origin(headers)
                _check_type(scope["method"], headers)
            if scope["path"] not in _OPEN:
                self._check_caller(scope, headers)
            _check_version(headers)
            if headers.all("transfer-encoding") and headers.all("content-length"):
                # Two statements about the body's end may be read differently by programs on the way.
                raise _Refusal(400, {"detail": "Transfer-Encoding and Content-Length exclude each other"})
            if limited.is_too_large(headers.one("content-length")):
                raise _Refusal(413, {"detail": limited.refusal, "error": "InvalidInput"})
        except _Refusal as refusal:
            await _answer(send, refusal, limited, headers)
            return
        await self._app(scope, limited.receive, send)

    def _limited(self, path: str, receive: Receive) -> Limited:
        if path in self._result_paths:
            return Limited(receive, self._most_result_bytes, "RUNYARD_SERVER_MAX_RESULT_BYTES")
        return Limited(receive, self._most_bytes, "RUNYARD_SERVER_MAX_BODY_BYTES")

    def _check_host(self, headers: _Headers) -> None:
        given = headers.all("host")
        if not given:
            raise _not_allowed("the request has no Host header", 400)
        for text in given:
            if not self._is_ours(_host_of(text)):
                shown = text[:_SHOWN_CHARACTERS]
                raise _not_allowed(
                    f"unknown host name {shown!r}; add it to RUNYARD_SERVER_ALLOWED_HOSTS "
                    "on the server, or use the server's address"
                )

    def _is_ours(self, host: str) -> bool:
        if not host:
            return False
        if host == "localhost" or host in self._hosts or host in self._own or "*" in self._hosts:
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return address.is_loopback or self._any_address

    def _is_public(self, host: str) -> bool:
        """Whether an origin is a configured name, for pages that come through a proxy with another Host.

        A loopback name does not count: another port there is another program's page.
        """
        return host in self._hosts and not is_loopback(host)

    def _check_origin(self, headers: _Headers) -> None:
        """Refuse a change that a browser sends from a page of another origin."""
        sites, origins = headers.all("sec-fetch-site"), headers.all("origin")
        own = headers.one("host").lower()
        foreign = any(site not in ("same-origin", "none") for site in sites)
        for origin in origins:
            parts = urlsplit(origin.lower()) if origin.isascii() else urlsplit("")
            known = parts.scheme in ("http", "https") and parts.netloc != ""
            if not known or (parts.netloc != own and not self._is_public(_host_of(parts.netloc))):
                foreign = True
        if foreign:
            raise _not_allowed("a page of another origin may not change data here")

    def _check_caller(self, scope: Scope, headers: _Headers) -> None:
        given = headers.one("authorization").encode("latin-1")
        if self._expected:
            if not hmac.compare_digest(given, self._expected):
                raise _Refusal(401, {"exception_message": "Unauthorized"})
            return
        user = _user_of(scope)
        if user in (0, os.geteuid()):  # root can read everything of this user, including the token
            return
        token = api_token.read_token()
        if token and hmac.compare_digest(given, f"Bearer {token}".encode()):
            return
        raise _not_allowed(
            "without a password, only the user who runs this API may call it; set "
            "RUNYARD_API_AUTH_STRING=user:password on both sides"
        )


class _Headers:
    """The headers of a request, by their names in lower case."""

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in raw:
            self._values.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))

    def all(self, name: str) -> list[str]:
        return self._values.get(name, [])

    def one(self, name: str) -> str:
        """The value of a header; empty if it is missing or repeated."""
        found = self.all(name)
        return found[0].strip() if len(found) == 1 else ""


def _host_of(text: str) -> str:
    """The name or address in `host:port`; empty if invalid."""
    if _NO_HOST.search(text):
        return ""
    try:
        return (urlsplit(f"//{text.strip()}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _user_of(scope: Scope) -> int | None:
    client, server = scope.get("client"), scope.get("server")
    try:
        return peers.user_of(client, server) if client and server and server[1] else None
    except ValueError:
        return None  # not an IP address, for example an in-process call


def _check_type(method: str, headers: _Headers) -> None:
    """Refuse a change without the content type JSON: any web page can send forms and plain text."""
    given = headers.all("content-type")
    has_body = headers.one("content-length") not in ("", "0") or bool(headers.all("transfer-encoding"))
    if not given and not has_body and method != "POST":
        return
    kinds = {text.partition(";")[0].strip().lower() for text in given}
    if kinds != {"application/json"}:
        raise _Refusal(
            415,
            {
                "detail": "send the header Content-Type: application/json, also without a body",
                "error": "InvalidInput",
            },
        )


def _check_version(headers: _Headers) -> None:
    version = headers.one("x-prefect-api-version")
    if version and not _recent(version):
        shown = version[:_SHOWN_CHARACTERS]
        raise _Refusal(400, {"detail": f"API version {shown!r} is not supported"})


def _recent(version: str) -> bool:
    found = _VERSION.match(version)
    return found is not None and tuple(map(int, found.groups())) >= _OLDEST_API


async def _answer(send: Send, refusal: _Refusal, limited: Limited, headers: _Headers) -> None:
    found: list[tuple[bytes, bytes]] = [(b"content-type", b"application/json"), (b"connection", b"close")]
    if refusal.status == 401:
        found.append((b"www-authenticate", b'Basic realm="runyard"'))
    body: dict[str, Any] = {"type": "http.response.body", "body": json.dumps(refusal.body).encode()}
    if refusal.status == 413 and headers.one("expect").lower() != "100-continue":
        # A caller that sends before it reads would see a broken connection instead of the response.
        await limited.discard()
    await send({"type": "http.response.start", "status": refusal.status, "headers": found})
    await send(body)
