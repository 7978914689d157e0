"""The objects of the cluster, with versions, watches and selectors, as etcd and the API server keep them."""

from __future__ import annotations

import copy
import re
import threading
import uuid
from datetime import UTC, datetime

NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\Z")
LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?\Z")
LABEL_KEY = re.compile(r"([a-z0-9][-a-z0-9.]*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?\Z")
KINDS = {"jobs": "Job", "pods": "Pod", "secrets": "Secret", "events": "Event", "namespaces": "Namespace"}


class ApiError(Exception):
    """An answer that is an error."""

    def __init__(self, code, reason, message, retry_after=None):
        super().__init__(message)
        self.code, self.reason, self.message, self.retry_after = code, reason, message, retry_after


def now():
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Store:
    """All objects, by kind, namespace and name."""

    def __init__(self):
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.version = 1000
        self.oldest = 0  # watches that begin before are told that it is gone
        self.objects = {}
        self.history = []

    def wait(self, seen, seconds):
        """Wait until something changes after a version."""
        with self.lock:
            self.changed.wait_for(lambda: self.version != seen, seconds)

    def _record(self, kind, resource, found):
        self.version += 1
        found["metadata"]["resourceVersion"] = str(self.version)
        self.history.append((self.version, kind, resource, copy.deepcopy(found)))
        self.changed.notify_all()

    def create(self, resource, namespace, body):
        with self.lock:
            body = copy.deepcopy(body)
            its = body.setdefault("metadata", {})
            if not its.get("name") and its.get("generateName"):
                its["name"] = its["generateName"][:58] + uuid.uuid4().hex[:5]
            _check(resource, body)
            if resource != "namespaces":
                if its.setdefault("namespace", namespace) != namespace:
                    raise ApiError(
                        400, "BadRequest", "the namespace of the object does not match the request"
                    )
                self.get("namespaces", "", namespace)
            key = (resource, namespace, its["name"])
            if key in self.objects:
                raise ApiError(409, "AlreadyExists", f'{resource} "{its["name"]}" already exists')
            its |= {"uid": str(uuid.uuid4()), "creationTimestamp": now()}
            body.setdefault("kind", KINDS[resource])
            body.setdefault("status", {})
            self.objects[key] = body
            self._record("ADDED", resource, body)
            return copy.deepcopy(body)

    def get(self, resource, namespace, name):
        with self.lock:
            try:
                return copy.deepcopy(self.objects[resource, namespace, name])
            except KeyError:
                raise ApiError(404, "NotFound", f'{resource} "{name}" not found') from None

    def update(self, resource, namespace, name, change):
        """Change an object that is there; None where it is gone."""
        with self.lock:
            found = self.objects.get((resource, namespace, name))
            if found is None:
                return None
            before = copy.deepcopy(found)
            change(found)
            if found != before:
                self._record("MODIFIED", resource, found)
            return copy.deepcopy(found)

    def remove(self, resource, namespace, name):
        with self.lock:
            found = self.objects.pop((resource, namespace, name), None)
            if found is not None:
                self._record("DELETED", resource, found)
            return found

    def list(self, resource, namespace="", labels="", fields=""):
        with self.lock:
            found = [
                copy.deepcopy(each)
                for (kind, its, _), each in self.objects.items()
                if kind == resource and namespace in ("", its) and matches(each, labels, fields)
            ]
            return found, self.version

    def since(self, version):
        """What happened after a version; None where that is no longer known."""
        with self.lock:
            if version < self.oldest:
                return None
            return [entry for entry in self.history if entry[0] > version]

    def forget_history(self):
        with self.lock:
            self.history.clear()
            self.oldest = self.version + 1
            self.version += 1
            self.changed.notify_all()


def matches(found, labels, fields):
    its = found["metadata"].get("labels") or {}
    for part in filter(None, labels.split(",")):
        name, equals, value = part.partition("=")
        if name not in its or (equals and its[name] != value.removeprefix("=")):
            return False
    for part in filter(None, fields.split(",")):
        name, _, value = part.partition("=")
        at = found
        for step in name.split("."):
            at = (at or {}).get(step)
        if at != value:
            return False
    return True


def _check(resource, body):
    its = body["metadata"]
    problems = []
    if not NAME.match(its.get("name") or ""):
        problems.append(f'metadata.name: Invalid value: "{its.get("name")}"')
    metadata = [its]
    if resource == "jobs":
        if (body.get("apiVersion"), body.get("kind")) != ("batch/v1", "Job"):
            raise ApiError(400, "BadRequest", "no kind is registered for that version")
        if len(its.get("name") or "") > 63:
            problems.append("metadata.name: must be no more than 63 characters")
        metadata.append(body["spec"]["template"]["metadata"])
        if body["spec"]["template"]["spec"].get("restartPolicy") not in ("Never", "OnFailure"):
            problems.append("spec.template.spec.restartPolicy: Required value")
    for each in metadata:
        for name, value in (each.get("labels") or {}).items():
            if not LABEL_KEY.match(name) or not LABEL_VALUE.match(value):
                problems.append(f'metadata.labels: Invalid value: "{name}={value}"')
    if problems:
        raise ApiError(
            422, "Invalid", f'{KINDS[resource]} "{its.get("name")}" is invalid: ' + ", ".join(problems)
        )
