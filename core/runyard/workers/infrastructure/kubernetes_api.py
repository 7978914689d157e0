"""A small client of the Kubernetes API: objects, lists, watches and logs, with retries and errors.

It sends a manifest to the server unchanged: a client with a class for each kind would drop unknown fields.
"""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from runyard.base import redaction
from runyard.base.errors import RunyardError
from runyard.base.version import VERSION
from runyard.base.waits import jittered
from runyard.workers.infrastructure.base import Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runyard.workers.infrastructure.kubernetes_config import Access

NOT_FOUND, CONFLICT, GONE = 404, 409, 410
UNAUTHORIZED, FORBIDDEN = 401, 403
# The reason of a 409 after which a retry may succeed, such as when a quota was recounted meanwhile. A 409
# because of an existing name has another reason.
_CHANGED_MEANWHILE = "Conflict"
# The text of a 500 after which a retry is useless.
_TOO_LARGE = "request is too large"
_TOO_MANY = 429
_BUSY = frozenset((_TOO_MANY, 500, 502, 503, 504))
# Attempts per request, and the longest pause between two.
_TRIES = 5
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 10.0
_ANSWER_SECONDS = 30.0
_CONNECT_SECONDS = 5.0
_PAGE = 500
# Detects dead connections, also those without traffic, such as a watch.
_KEEPALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)
    ),
]


class Refused(RunyardError):
    """The API server refused a request.

    Args:
        status: the HTTP status.
        text: the server's message.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.code = status
        self.retry_after: float | None = None


class KubernetesApi:
    """A client for one cluster; any thread may use it.

    Args:
        access: its address and our credentials.
    """

    def __init__(self, access: Access) -> None:
        self.server = access.server
        self._extensions = {"sni_hostname": access.server_name} if access.server_name else {}
        self._http = httpx.Client(
            base_url=access.server,
            auth=access.auth,
            headers={"User-Agent": f"runyard/{VERSION}"},
            timeout=httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS),
            transport=httpx.HTTPTransport(
                verify=access.verify,
                # Each running job uses a connection, for its logs.
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
                socket_options=None if access.proxy else _KEEPALIVE,
                proxy=access.proxy,
            ),
        )
        self._streams: set[httpx.Response] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def request(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        params: dict[str, Any] | None = None,
        within_seconds: float | None = None,
    ) -> dict[str, Any]:
        """Send a request and return the response; retry if the server is busy or the connection breaks.

        Args:
            method, path, body, params: the request.
            within_seconds: send it only once, with this timeout.

        Raises:
            Refused: the server refused the request.
            Unreachable: the server does not respond, or stays busy.
        """
        pause = _FIRST_PAUSE_SECONDS
        timeout = httpx.Timeout(within_seconds or _ANSWER_SECONDS, connect=within_seconds or _CONNECT_SECONDS)
        for tries_left in reversed(range(1 if within_seconds else _TRIES)):
            wait = None
            try:
                response = self._http.request(
                    method, path, json=body, params=params, timeout=timeout, extensions=self._extensions
                )
                if response.is_success:
                    return dict(response.json())
                problem = _told(response)
                if not _may_try_again(response, problem):
                    raise Refused(response.status_code, problem)
                wait = retry_after(response)
            except (httpx.TransportError, ValueError) as error:
                problem = str(error) or type(error).__name__
            except RuntimeError:  # httpx: another thread closed the client
                raise Unreachable("the connection to the cluster is closed") from None
            pause_now = jittered(pause) if wait is None else wait
            if not tries_left or self._closing.wait(min(pause_now, _LONGEST_PAUSE_SECONDS)):
                break
            pause *= 2
        raise self.unreachable(problem)

    def unreachable(self, problem: str) -> Unreachable:
        """Create the error for a server that does not work."""
        return Unreachable(
            f"the Kubernetes API at {self.server} does not answer ({problem}); try: kubectl get --raw /readyz"
        )

    def list(self, path: str, **params: Any) -> tuple[list[dict[str, Any]], str]:
        """Read all objects of a list, page by page; return them and the version of the list."""
        while True:
            found: list[dict[str, Any]] = []
            more: dict[str, Any] = {}
            try:
                while True:
                    page = self.request("GET", path, params={**params, "limit": _PAGE, **more})
                    found += page.get("items") or []
                    metadata = page.get("metadata") or {}
                    if not metadata.get("continue"):
                        return found, str(metadata.get("resourceVersion") or "")
                    more = {"continue": metadata["continue"]}
            except Refused as error:
                if error.code != GONE or not more:  # GONE: the list expired between two pages
                    raise

    @contextmanager
    def stream(
        self, path: str, params: dict[str, Any], read_seconds: float | None
    ) -> Iterator[httpx.Response]:
        """Context manager: a streamed response; `close` ends it.

        Args:
            read_seconds: the longest time without data; None: no limit.

        Raises:
            Refused: the server refused the request.
            httpx.TransportError: the connection breaks, also during reading.
        """
        timeout = httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS, read=read_seconds)
        try:
            with self._http.stream(
                "GET", path, params=params, timeout=timeout, extensions=self._extensions
            ) as response:
                if not response.is_success:
                    response.read()
                    error = Refused(response.status_code, _told(response))
                    error.retry_after = retry_after(response)
                    raise error
                with self._lock:
                    self._streams.add(response)
                try:
                    if self._closing.is_set():
                        raise httpx.ReadError("closed")
                    yield response
                finally:
                    with self._lock:
                        self._streams.discard(response)
        except RuntimeError as error:
            if not self._closing.is_set():
                raise
            raise httpx.ReadError(str(error)) from None

    def watch(self, path: str, params: dict[str, Any], seconds: int) -> Iterator[dict[str, Any]]:
        """Yield the events of a watch, for at most `seconds`.

        Raises:
            Refused, httpx.TransportError: as in `stream`; also for an error event (410).
        """
        params = {**params, "watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": seconds}
        with self.stream(path, params, seconds + _ANSWER_SECONDS) as response:
            for line in response.iter_lines():
                if not line:
                    continue
                try:
                    event = json.loads(line)
                except ValueError:  # the connection broke inside a line
                    raise httpx.ReadError("a broken line") from None
                if event.get("type") == "ERROR":
                    status = event.get("object") or {}
                    raise Refused(int(status.get("code") or 500), str(status.get("message")))
                yield event

    def close(self) -> None:
        """Close all connections; readers get a TransportError."""
        self._closing.set()
        with self._lock:
            streams = list(self._streams)
        for response in streams:
            self.cut(response)
        self._http.close()

    def cut(self, response: httpx.Response) -> None:
        """End a stream; the thread that reads it gets a TransportError."""
        # Closing a socket does not wake the thread that reads from it, but a shutdown does.
        with suppress(OSError, AttributeError, KeyError):
            response.extensions["network_stream"].get_extra_info("socket").shutdown(socket.SHUT_RDWR)


def path_of(resource: str, namespace: str | None = None, name: str | None = None, part: str = "") -> str:
    """The URL path of a kind (`jobs`, `pods`, ...), of one object, or of its subresource (`log`)."""
    base = "/apis/batch/v1" if resource == "jobs" else "/api/v1"
    within = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    one = f"/{quote(name, safe='')}" if name else ""
    return f"{base}{within}/{resource}{one}{f'/{part}' if part else ''}"


def is_busy(code: int) -> bool:
    """Whether a retry may succeed."""
    return code in _BUSY


def _may_try_again(response: httpx.Response, problem: str) -> bool:
    if response.status_code == CONFLICT:
        return _part_of(response, "reason") == _CHANGED_MEANWHILE
    return is_busy(response.status_code) and _TOO_LARGE not in problem


def retry_after(response: httpx.Response) -> float | None:
    """The pause in seconds that the server asks for, or None."""
    try:
        return max(float(response.headers["Retry-After"]), 0.0)
    except (KeyError, ValueError):
        return None


def _told(response: httpx.Response) -> str:
    """The error message of a response."""
    text = " ".join(str(_part_of(response, "message") or response.text).split())
    if response.status_code == UNAUTHORIZED:
        text = f"{text or 'Unauthorized'}: the credentials of this worker are invalid or have expired"
    return redaction.redact(text)[:1000] or f"status {response.status_code}"


def _part_of(response: httpx.Response, name: str) -> Any:
    """A field of a Kubernetes Status object; None if the response is something else."""
    try:
        return response.json()[name]
    except (ValueError, KeyError, TypeError):
        return None
