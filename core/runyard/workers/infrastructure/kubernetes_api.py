"""A small client of the Kubernetes API: objects, lists, watches and logs, with retries.

Manifests are sent unchanged: a client with a class for each kind would drop the fields that it does not know.
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
# For status 409: the same request may succeed a moment later, for example when a quota is recounted. A name
# conflict has another reason.
_CHANGED_MEANWHILE = "Conflict"
# For status 500: the API's storage will never accept it.
_TOO_LARGE = "request is too large"
_TOO_MANY = 429
_BUSY = frozenset((_TOO_MANY, 500, 502, 503, 504))
# The number of tries of one request, and the longest wait between them.
_TRIES = 5
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 10.0
_ANSWER_SECONDS = 30.0
_CONNECT_SECONDS = 5.0
_PAGE = 500
# Keep-alive, so that a silent connection, such as a watch, is not dead without notice.
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
        text: its message.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.code = status
        self.retry_after: float | None = None


class KubernetesApi:
    """A client of one cluster, for any thread.

    Args:
        access: the address and the credentials.
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
                # Each running job holds a connection, which carries its logs.
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
        """Send a request, and retry if the server is busy or the connection breaks; return the response.

        Args:
            method, path, body, params: of the request.
            within_seconds: send it only once, with this time limit.

        Raises:
            Refused: the server refuses it.
            Unreachable: it does not answer, or is busy all the time.
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
            except RuntimeError:  # of httpx: another thread closed it
                raise Unreachable("the connection to the cluster is closed") from None
            pause_now = jittered(pause) if wait is None else wait
            if not tries_left or self._closing.wait(min(pause_now, _LONGEST_PAUSE_SECONDS)):
                break
            pause *= 2
        raise self.unreachable(problem)

    def unreachable(self, problem: str) -> Unreachable:
        """The error for a server that does not work."""
        return Unreachable(
            f"the Kubernetes API at {self.server} does not answer ({problem}); try: kubectl get --raw /readyz"
        )

    def list(self, path: str, **params: Any) -> tuple[list[dict[str, Any]], str]:
        """All objects of a list, page by page, and the version of the list."""
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
                if error.code != GONE or not more:  # the list expired between two pages
                    raise

    @contextmanager
    def stream(
        self, path: str, params: dict[str, Any], read_seconds: float | None
    ) -> Iterator[httpx.Response]:
        """A streaming response; `close` ends it.

        Args:
            read_seconds: the longest time without data; None: no limit.

        Raises:
            Refused: with the server's message.
            httpx.TransportError: the connection breaks, also while it is read.
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
        """The events of a watch, for at most this time.

        Raises:
            Refused, httpx.TransportError: see `stream`; also for an error event (410).
        """
        params = {**params, "watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": seconds}
        with self.stream(path, params, seconds + _ANSWER_SECONDS) as response:
            for line in response.iter_lines():
                if not line:
                    continue
                try:
                    event = json.loads(line)
                except ValueError:  # the connection broke within a line
                    raise httpx.ReadError("a broken line") from None
                if event.get("type") == "ERROR":
                    status = event.get("object") or {}
                    raise Refused(int(status.get("code") or 500), str(status.get("message")))
                yield event

    def close(self) -> None:
        """Close all connections; their readers get a TransportError."""
        self._closing.set()
        with self._lock:
            streams = list(self._streams)
        for response in streams:
            self.cut(response)
        self._http.close()

    def cut(self, response: httpx.Response) -> None:
        """End a stream that another thread reads; that thread gets a TransportError."""
        # Closing a socket does not wake the thread that reads from it; shutting it down does.
        with suppress(OSError, AttributeError, KeyError):
            response.extensions["network_stream"].get_extra_info("socket").shutdown(socket.SHUT_RDWR)


def path_of(resource: str, namespace: str | None = None, name: str | None = None, part: str = "") -> str:
    """The path of objects of a kind (`jobs`, `pods`, ...), of one of them, or of a subresource (`log`)."""
    base = "/apis/batch/v1" if resource == "jobs" else "/api/v1"
    within = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    one = f"/{quote(name, safe='')}" if name else ""
    return f"{base}{within}/{resource}{one}{f'/{part}' if part else ''}"


def is_busy(code: int) -> bool:
    """Whether the same request may succeed a moment later."""
    return code in _BUSY


def _may_try_again(response: httpx.Response, problem: str) -> bool:
    if response.status_code == CONFLICT:
        return _part_of(response, "reason") == _CHANGED_MEANWHILE
    return is_busy(response.status_code) and _TOO_LARGE not in problem


def retry_after(response: httpx.Response) -> float | None:
    """How many seconds the server asks to wait."""
    try:
        return max(float(response.headers["Retry-After"]), 0.0)
    except (KeyError, ValueError):
        return None


def _told(response: httpx.Response) -> str:
    """The message of an error response."""
    text = " ".join(str(_part_of(response, "message") or response.text).split())
    if response.status_code == UNAUTHORIZED:
        text = f"{text or 'Unauthorized'}: the credentials of this worker are not valid, or not any more"
    return redaction.redact(text)[:1000] or f"status {response.status_code}"


def _part_of(response: httpx.Response, name: str) -> Any:
    """The Status object of a response, or None."""
    try:
        return response.json()[name]
    except (ValueError, KeyError, TypeError):
        return None
