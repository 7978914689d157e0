"""The REST API of the cluster over HTTP, with what goes wrong there on demand."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from _kubernetes.store import ApiError, matches

_PATH = re.compile(
    r"/api(?:s/batch)?/v1(?:/namespaces/(?P<namespace>[^/]+))?/(?P<resource>[a-z]+)"
    r"(?:/(?P<name>[^/]+)(?:/(?P<part>log))?)?\Z"
)
_BATCH = frozenset(("jobs",))
_BOOKMARK_SECONDS = 0.2


class Fault:
    """What happens to the next requests of a kind instead of their answer.

    Args:
        verb, resource: which; None: any.
        times: how many.
        status: the answer; None: the connection breaks after `lines` lines of the answer.
        retry_after: seconds, for the header.
        delay_seconds: the answer is right, but late.
        after: whether the request is carried out before the connection breaks.
        message, reason: of the answer.
    """

    def __init__(
        self,
        verb=None,
        resource=None,
        times=1,
        status=None,
        retry_after=None,
        delay_seconds=None,
        after=False,
        message=None,
        reason="Fault",
    ):
        self.verb, self.resource, self.times, self.status = verb, resource, times, status
        self.retry_after, self.delay_seconds, self.after = retry_after, delay_seconds, after
        self.message, self.reason = message or f"on purpose: {status}", reason
        self.seen = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def cluster(self):
        return self.server.cluster

    def log_message(self, *args):
        pass

    def setup(self):
        super().setup()
        with self.server.lock:
            self.server.connections.add(self.connection)

    def finish(self):
        with suppress(OSError, ValueError):
            super().finish()
        with self.server.lock:
            self.server.connections.discard(self.connection)
            self.server.streams.discard(self.connection)

    def handle(self):
        with suppress(OSError, ValueError):
            super().handle()

    def do_GET(self):
        self._answer()

    do_POST = do_DELETE = do_GET  # noqa: N815 - the names that the library calls

    def _answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        try:
            self._route(body)
        except ApiError as error:
            status = {
                "kind": "Status", "apiVersion": "v1", "status": "Failure",
                "code": error.code, "reason": error.reason, "message": error.message,
            }  # fmt: skip
            self._send(error.code, status, error.retry_after)

    def _route(self, body):
        parts = urlsplit(self.path)
        self.query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if self.cluster.token and token not in {self.cluster.token, *self.cluster.more_tokens}:
            raise ApiError(401, "Unauthorized", "Unauthorized")
        if parts.path == "/version":
            self._send(200, {"major": "1", "minor": "34", "gitVersion": "v1.34.0"})
            return
        found = _PATH.match(parts.path)
        if found is None:
            if parts.path.startswith("/api/v1/namespaces/"):
                found = re.match(r"/api/v1/(?P<resource>namespaces)/(?P<name>[^/]+)\Z", parts.path)
            if found is None:
                raise ApiError(404, "NotFound", "the server could not find the requested resource")
        its = found.groupdict()
        resource, name = its["resource"], its.get("name")
        namespace = its.get("namespace") or ""
        if (resource in _BATCH) != parts.path.startswith("/apis/"):
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        verb = self._verb(name)
        what = f"{resource}/{its['part']}" if its.get("part") else resource
        self._authorize(verb, what, namespace or (name if resource == "namespaces" else ""))
        fault = self.cluster.take_fault(verb, what)
        if fault is not None:
            if fault.delay_seconds:
                time.sleep(fault.delay_seconds)
            elif fault.status is not None:
                raise ApiError(fault.status, fault.reason, fault.message, fault.retry_after)
            elif not fault.after:
                raise ConnectionAbortedError
        answer = self._perform(verb, what, namespace, name, body)
        if fault is not None and fault.after:
            raise ConnectionAbortedError
        if answer is not None:
            self._send(201 if verb == "create" else 200, answer)

    def _verb(self, name):
        if self.command == "GET":
            if name:
                return "get"
            return "watch" if self.query.get("watch") in ("1", "true") else "list"
        return {"POST": "create", "DELETE": "delete"}[self.command]

    def _authorize(self, verb, what, namespace):
        group = "batch" if what in _BATCH else ""
        if not self.cluster.may(verb, group, what, namespace):
            where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
            raise ApiError(
                403, "Forbidden",
                f'{what} is forbidden: User "worker" cannot {verb} resource "{what}" '
                f'in API group "{group}" {where}',
            )  # fmt: skip
        self.cluster.calls.append((verb, group, what, namespace))

    def _perform(self, verb, what, namespace, name, body):
        store = self.cluster.store
        labels, fields = self.query.get("labelSelector", ""), self.query.get("fieldSelector", "")
        if what == "pods/log":
            return self._log(namespace, name)
        if verb == "get":
            return store.get(what, namespace, name)
        if verb == "list":
            items, version = store.list(what, namespace, labels, fields)
            begin = int(self.query.get("continue") or 0)
            end = begin + min(int(self.query.get("limit") or 500), self.cluster.page)
            metadata = {"resourceVersion": str(version)}
            if end < len(items):
                metadata["continue"] = str(end)
            return {"kind": "List", "metadata": metadata, "items": items[begin:end]}
        if verb == "watch":
            return self._watch(what, namespace, labels, fields)
        if verb == "create":
            made = store.create(what, namespace, body)
            self.cluster.created.append(made)
            return made
        if verb == "delete":
            return self.cluster.delete(what, namespace, name, body)
        raise ApiError(405, "MethodNotAllowed", verb)

    # Answers

    def _send(self, code, body, retry_after=None):
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if retry_after is not None:
            self.send_header("Retry-After", str(retry_after))
        self.end_headers()
        self.wfile.write(data)

    def _begin_stream(self, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with self.server.lock:
            self.server.streams.add(self.connection)

    def _chunk(self, data):
        if data:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _end_stream(self):
        self.wfile.write(b"0\r\n\r\n")
        with self.server.lock:
            self.server.streams.discard(self.connection)

    def _watch(self, resource, namespace, labels, fields):
        store = self.cluster.store
        version = int(self.query.get("resourceVersion") or 0)
        deadline = time.monotonic() + float(self.query.get("timeoutSeconds") or 60)
        self._begin_stream("application/json")
        bookmark_at = time.monotonic() + _BOOKMARK_SECONDS
        while time.monotonic() < deadline and not self.server.closing:
            with store.lock:
                events = store.since(version)
                if events == []:
                    store.changed.wait(0.05)
                    events = store.since(version)
            if events is None:
                gone = {
                    "kind": "Status",
                    "code": 410,
                    "reason": "Expired",
                    "message": "too old resource version",
                }
                self._chunk(json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n")
                break
            for number, kind, its, found in events:
                version = number
                there = its == resource and namespace in ("", found["metadata"]["namespace"])
                if there and matches(found, labels, fields):
                    self._chunk(json.dumps({"type": kind, "object": found}).encode() + b"\n")
            if time.monotonic() > bookmark_at and self.query.get("allowWatchBookmarks") == "true":
                bookmark_at = time.monotonic() + _BOOKMARK_SECONDS
                mark = {"metadata": {"resourceVersion": str(version)}}
                self._chunk(json.dumps({"type": "BOOKMARK", "object": mark}).encode() + b"\n")
        self._end_stream()

    def _log(self, namespace, name):
        pod = self.cluster.store.get("pods", namespace, name)
        container = self.query.get("container")
        if container not in [each["name"] for each in pod["spec"]["containers"]]:
            raise ApiError(400, "BadRequest", f"container {container} is not valid for pod {name}")
        log = self.cluster.kubelet.log_of(namespace, name)
        if log is None:
            raise ApiError(
                400,
                "BadRequest",
                f'container "{container}" in pod "{name}" is waiting to start: ContainerCreating',
            )
        # The node is asked with seconds.
        since = self.query.get("sinceTime", "")[:19]
        follow = self.query.get("follow") == "true"
        self._begin_stream("text/plain")
        at = 0
        while not self.server.closing:
            over = log.over
            lines = log.lines[at:]
            at += len(lines)
            for moment, text in lines:
                if moment[:19] >= since:
                    self._chunk(moment.encode() + b" " + text if self.query.get("timestamps") else text)
            if over or not follow:
                break
            time.sleep(0.005)
        self._end_stream()


class Server(ThreadingHTTPServer):
    """Listens on a port of this machine; may be stopped and started again at the same one."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, cluster, port=0, tls=None):
        super().__init__(("127.0.0.1", port), Handler)
        self.cluster = cluster
        self.lock = threading.Lock()
        self.connections, self.streams = set(), set()
        self.closing = False
        self.tls = tls
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name="kubernetes-api")
        self._thread.start()

    def get_request(self):
        connection, address = super().get_request()
        if self.tls is not None:
            connection.settimeout(10)
            connection = self.tls.wrap_socket(connection, server_side=True)
            connection.settimeout(None)
        return connection, address

    def handle_error(self, request, client_address):
        pass  # a connection that broke on purpose

    def break_streams(self):
        """Cut all watches and logs that are read."""
        with self.lock:
            streams = list(self.streams)
        for connection in streams:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        return len(streams)

    def close(self):
        self.closing = True
        self.shutdown()
        with self.lock:
            connections = list(self.connections)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()
        self._thread.join()
