"""The client: runs an operation in this process on a database, or sends it to an API."""

from __future__ import annotations

import json
import math
import re
import sys
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import quote

from runyard import settings
from runyard.base import errors
from runyard.operations.perform import perform, retried
from runyard.settings import api_token
from runyard.store.database import Database, get_database

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from runyard.operations.operation import Operation
    from runyard.store.database import Transaction

R = TypeVar("R")
# The port of `server start`.
_USUAL_PORT = 4200


class Client(Protocol):
    """The interface of both clients."""

    def call(self, operation: Operation[..., R], /, *args: Any, **kwargs: Any) -> R:
        """Run an operation with its arguments, without `tx`."""
        ...

    def changes(self) -> Any:
        """A token for `wait_for_change`."""
        ...

    def wait_for_change(self, since: Any, timeout_seconds: float) -> Any:
        """Wait for a change of the data, at most `timeout_seconds`; returns the current token."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class LocalClient:
    """Runs operations in this process, each in its own transaction.

    Args:
        database: the database; the default is the database of the settings.
    """

    def __init__(self, database: Database | None = None) -> None:
        self.database = database or get_database()

    def call(self, operation: Operation[..., R], /, *args: Any, **kwargs: Any) -> R:
        """Run an operation.

        Raises:
            RunyardError: the error of the operation, or StoreError.
        """
        return perform(self.database, operation, args, kwargs)[0]

    def call_soon(self, operation: Operation[..., R], /, *args: Any, prepare: bool = True) -> R:
        """As `call`, for changes that do not matter after this machine went down: they may be lost then.

        With an SQLite database, it does not wait for the disk.

        Args:
            prepare: False if the operation is likely to find something to do.
        """
        durable = self.database.dialect != "sqlite"
        return perform(self.database, operation, args, {}, durable, prepare)[0]

    def together(self, work: Callable[[Transaction], R]) -> R:
        """Call `work` in one transaction for several operations; returns its result.

        Raises:
            RunyardError: the error of an operation, which rolls back all of them; or StoreError.
        """

        def once() -> R:
            with self.database.transaction() as tx:
                return work(tx)

        return retried(self.database, once)

    def changes(self) -> Any:
        """A token for `wait_for_change`."""
        return self.database.changes()

    def wait_for_change(self, since: Any, timeout_seconds: float) -> Any:
        """Wait until another connection commits, at most `timeout_seconds`."""
        return self.database.wait_for_change(since, timeout_seconds)

    def close(self) -> None:
        """Close this process's connections."""
        self.database.close()


_SECONDS = re.compile(r"\d{1,9}(\.\d+)?")

# A connection that was idle for longer is not reused. Servers close idle connections (uvicorn after 5 s). A
# request sent at that moment is lost, and the client cannot know whether the server read it.
_IDLE_SECONDS = 2.0


def import_httpx() -> Any:
    """Import httpx without its command line, which takes as long to import as the rest."""
    if "httpx" not in sys.modules:
        # A module that is None here cannot be imported; httpx works without it.
        sys.modules["httpx._main"] = None  # type: ignore[assignment]
        try:
            import httpx
        finally:
            sys.modules.pop("httpx._main", None)
    import httpx

    return httpx


@cache
def _tls(plain: bool) -> ssl.SSLContext:
    """The TLS context. Loading the certificates takes 30 ms: once per process, and not for plain HTTP."""
    import ssl

    if plain:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts no certificate
    context: ssl.SSLContext = import_httpx().create_ssl_context()
    return context


class HttpClient:
    """Sends operations to an API.

    Args:
        url: the base URL of the API, ending in `/api`.
        auth: `user:password`, or empty.
        transport: an httpx transport, for a server in the same process.
    """

    def __init__(self, url: str, auth: str = "", transport: Any = None) -> None:
        httpx = import_httpx()
        self.url = url.rstrip("/")
        user, _, password = auth.partition(":")
        self._http = httpx.Client(
            base_url=self.url,
            auth=(user, password) if auth else None,
            headers={} if auth else api_token.token_headers(self.url),
            timeout=httpx.Timeout(30.0, connect=5.0),
            limits=httpx.Limits(
                max_connections=100, max_keepalive_connections=20, keepalive_expiry=_IDLE_SECONDS
            ),
            transport=transport,
            verify=_tls(self.url.startswith("http://")),
        )

    def call(self, operation: Operation[..., R], /, *args: Any, **kwargs: Any) -> R:
        """Send an operation, and decode its result from the response.

        Raises:
            RunyardError: the error of the operation, with the same class; or ApiUnavailable.
        """
        # Only calls over HTTP need it (48 ms, with pydantic).
        from runyard.operations.wire import decode_result, encode

        given = operation.bind(args, kwargs)
        path = operation.path.format_map(
            {name: quote(str(given.pop(name)), safe="") for name in operation.placeholders}
        )
        body = given.pop("body", None)
        answer = self._send(
            operation.method,
            path,
            content=_json(encode(body)) if body is not None else None,
            headers={"Content-Type": "application/json"},
            params={name: value for name, value in given.items() if value is not None},
        )
        if operation.text:
            return answer.text
        try:
            return decode_result(operation, answer.json() if answer.content else None)
        except (ValueError, RecursionError):
            raise self._no_answer_of_runyard(answer) from None

    def changes(self) -> Any:
        """A token for `wait_for_change`."""
        return self._changes()

    def wait_for_change(self, since: Any, timeout_seconds: float) -> Any:
        """A long poll: the server responds after a change of the data, or after `timeout_seconds`."""
        params = {"since": since, "timeout_seconds": min(timeout_seconds, 20.0)}
        return self._changes(params=params)

    def _changes(self, **fields: Any) -> Any:
        answer = self._send("GET", "/runyard/changes", **fields)
        try:
            return answer.json()
        except (ValueError, RecursionError):
            raise self._no_answer_of_runyard(answer) from None

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _send(self, method: str, path: str, **fields: Any) -> Any:
        httpx = import_httpx()
        try:
            answer = self._http.request(method, path, **fields)
        except (httpx.TransportError, httpx.DecodingError) as error:
            # `from None`: the errors of the transport's layers repeat the same in a hundred lines.
            raise errors.ApiUnavailable(
                f"no API answers at {self.url} ({error}); check {settings.place_of('api_url')}"
                + (_how_to_start(self.url) if isinstance(error, httpx.ConnectError) else "")
            ) from None
        if answer.status_code in (404, 405) and _has_no_route(answer):
            if self._lacks_prefix():
                raise errors.ApiUnavailable(
                    f"{self.url} ({settings.place_of('api_url')}) lacks the end of the address, /api; "
                    f"set it to {self.url}/api"
                )
            raise errors.ApiUnavailable(
                f"{self.url} ({settings.place_of('api_url')}) is not a Runyard server: it has no {method} "
                f"{path}; a Prefect server does not have it. Unset it to use this machine's database, or "
                "give the address of `runyard server start`"
            )
        if answer.status_code >= 400:
            raise _error_of(answer, self.url)
        if answer.status_code >= 300:
            raise self._no_answer_of_runyard(answer)
        return answer

    def _no_answer_of_runyard(self, answer: Any) -> errors.ApiUnavailable:
        """The error of a success that cannot be read: of a proxy, a page of login, another version."""
        request = answer.request
        kind = answer.headers.get("Content-Type", "no content type")
        return errors.ApiUnavailable(
            f"{self.url} ({settings.place_of('api_url')}) does not answer as this version of Runyard: "
            f"{request.method} {errors.bounded(request.url.path)} gave {answer.status_code}, "
            f"{len(answer.content):,} bytes of {errors.bounded(kind)}; check the address, and what is between"
        )

    def _lacks_prefix(self) -> bool:
        """Whether an API answers below this address, at `/api`."""
        if self.url.endswith("/api"):
            return False
        try:
            answer = self._http.get("/api/health", timeout=5.0)
        except import_httpx().RequestError:
            return False
        # A server that asks for a password answers this route without one.
        return bool(answer.status_code == 200)


def _json(body: Any) -> str:
    """The JSON of a body; NaN and infinities become texts, which the server converts to floats."""
    try:
        return json.dumps(body, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return json.dumps(_without_nan(body), separators=(",", ":"), allow_nan=False)


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    return [_without_nan(item) for item in value] if isinstance(value, list) else value


def _has_no_route(answer: Any) -> bool:
    """Whether the server has no route for the request; False if only the requested object is missing.

    An answer that is not JSON comes from another program, such as a proxy.
    """
    try:
        return answer.json() in ({"detail": "Not Found"}, {"detail": "Method Not Allowed"})
    except (ValueError, RecursionError):
        return True


def _error_of(answer: Any, url: str) -> errors.RunyardError:
    try:
        body = answer.json()
    except (ValueError, RecursionError):
        body = {}
    if not isinstance(body, dict):
        body = {}
    message = body.get("detail") or _in_words(body) or answer.reason_phrase
    kind = getattr(errors, str(body.get("error", "")), None)
    if isinstance(kind, type) and issubclass(kind, errors.RunyardError):
        wait = answer.headers.get("Retry-After")
        seconds = {"retry_after_seconds": float(wait)} if wait and _SECONDS.fullmatch(wait) else {}
        return kind(message, **seconds)
    by_status = {404: errors.NotFound, 409: errors.Conflict, 422: errors.InvalidInput}
    if answer.status_code in (401, 403):
        return errors.NotAllowed(f"{url} refuses this caller; check {settings.place_of('api_auth_string')}")
    if answer.status_code in by_status:
        return by_status[answer.status_code](str(message))
    if answer.status_code == 500:
        # The API is available, and the same request would fail again.
        return errors.RunyardError(f"{url} failed at this request: {message}; see the server's log")
    if 400 <= answer.status_code < 500 and answer.status_code not in (408, 429):
        # A retry would not help.
        return errors.InvalidInput(f"{url} answered {answer.status_code}: {message}")
    return errors.ApiUnavailable(f"{url} answered {answer.status_code}: {message}")


def _in_words(body: Mapping[str, Any]) -> str | None:
    """The error message of another server, such as Prefect's, with the invalid parts of the request."""
    faults = body.get("exception_detail")
    if isinstance(faults, list) and faults and all(isinstance(fault, dict) for fault in faults):
        told = [f"{'.'.join(map(str, fault.get('loc', ())))}: {fault.get('msg')}" for fault in faults[:3]]
        return f"the server refuses the request: {'; '.join(told)}"
    return body.get("exception_message")


def connect() -> Client:
    """The client of the settings: an HttpClient if an API URL is set, else a LocalClient."""
    url = settings.get("api_url")
    if url:
        return HttpClient(url, settings.get("api_auth_string"))
    return LocalClient()


def _how_to_start(url: str) -> str:
    """The end of an error: how the server of an address of this machine is started; else nothing."""
    from urllib.parse import urlsplit

    address = urlsplit(url)
    if address.scheme != "http" or address.hostname not in ("127.0.0.1", "localhost", "::1"):
        return ""
    port = "" if address.port == _USUAL_PORT else f" --port {address.port or 80}"
    return f", or start the server: runyard server start{port}"
