"""Tracks the Jobs and pods of a worker's runs with one list and one watch, which is resumed if it breaks."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import httpx

from runyard.base.errors import RunyardError
from runyard.base.waits import jittered
from runyard.workers.infrastructure import kubernetes_api as kube
from runyard.workers.infrastructure.base import Unreachable
from runyard.workers.infrastructure.kubernetes_reasons import Object, metadata, name_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runyard.workers.infrastructure.kubernetes_api import KubernetesApi

# The server ends a watch after this time, so that a silent one cannot block us.
_WATCH_SECONDS = 120
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
# After this many broken watches in a row, start again with a list, which shows whether the server works.
_BREAKS = 3
_JOB_NAME = ("batch.kubernetes.io/job-name", "job-name")


class View:
    """The known state of one Job and its pods.

    Args:
        namespace, name: of the Job.
    """

    def __init__(self, namespace: str, name: str) -> None:
        self.namespace = namespace
        self.name = name
        self.changed = threading.Condition()
        self.version = 0
        self.job: Object | None = None
        # By name; deleted ones in their last state.
        self.pods: dict[str, Object] = {}
        self.gone: set[str] = set()
        self.users = 0
        # This worker requested its end.
        self.stopped = False
        # Its end is known.
        self.ended = False
        # Events that the run's logs already have; and their messages about a quota without room.
        self.told: set[str] = set()
        self.over_quota: str | None = None
        # How far each pod's output was read: the time of the last line, and the number of lines with it.
        self.read: dict[str, tuple[str, int]] = {}
        # The response from which its output is read, and how often data arrived on it.
        self.reading: httpx.Response | None = None
        self.arrived = 0
        # Its node does not answer: its last output is lost.
        self.lost = False
        # Since when a condition holds, on the monotonic clock.
        self._since: dict[str, float] = {}

    def pod(self) -> Object | None:
        """The latest pod."""
        pods = self.ordered()
        return pods[-1] if pods else None

    def ordered(self) -> list[Object]:
        """All pods, the oldest first."""
        with self.changed:
            return sorted(self.pods.values(), key=lambda pod: str(metadata(pod).get("creationTimestamp")))

    def lives(self, pod: Object) -> bool:
        """Whether the cluster still has the pod."""
        return name_of(pod) not in self.gone

    def seconds(self, what: str, holds: bool) -> float:
        """How long a condition has held without interruption."""
        now = time.monotonic()
        if not holds:
            self._since.pop(what, None)
            return 0.0
        return now - self._since.setdefault(what, now)

    def wait(self, seen: int, seconds: float) -> int:
        """Wait until something changed after `seen`; return the current version."""
        with self.changed:
            self.changed.wait_for(lambda: self.version != seen, seconds)
            return self.version

    def notify(self) -> None:
        """Wake all waiting threads."""
        with self.changed:
            self.version += 1
            self.changed.notify_all()


class Watcher:
    """The states of all watched Jobs, updated in two threads.

    Args:
        api: the cluster.
        namespace: the only namespace; None for all.
        selector: the label selector for the Jobs and pods of this pool.
    """

    def __init__(self, api: KubernetesApi, namespace: str | None, selector: str) -> None:
        self._api = api
        self._namespace = namespace
        self._selector = selector
        self._views: dict[tuple[str, str], View] = {}
        self._lock = threading.Lock()
        self._problems: dict[str, Unreachable] = {}
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()

    @property
    def problem(self) -> Unreachable | None:
        """Why nothing is known at present."""
        return next(iter(self._problems.values()), None)

    def start(self) -> None:
        """Start, if it has not started."""
        with self._lock:
            if self._threads or self._closing.is_set():
                return
            for resource in ("jobs", "pods"):
                thread = threading.Thread(
                    target=self._keep_up, args=(resource,), name=f"runyard-watch-{resource}", daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def expect(self, job: Object) -> View:
        """The state of a Job that was just created."""
        view = self._view(str(metadata(job)["namespace"]), name_of(job))
        if view.job is None:
            view.job = job
        return view

    def known(self, namespace: str, name: str) -> View | None:
        """The state of a watched Job."""
        with self._lock:
            return self._views.get((namespace, name))

    def _view(self, namespace: str, name: str) -> View:
        with self._lock:
            return self._views.setdefault((namespace, name), View(namespace, name))

    @contextmanager
    def looking(self, namespace: str, name: str) -> Iterator[View]:
        """A block with the state of a Job.

        Raises:
            Unreachable, Refused: its present state cannot be read.
        """
        self.start()
        view = self._view(namespace, name)
        with self._lock:
            view.users += 1
        try:
            if view.job is None:
                self.refresh(view)
            yield view
        finally:
            with self._lock:
                view.users -= 1
                if view.users == 0 and view.ended:
                    self._views.pop((namespace, name), None)

    def refresh(self, view: View) -> None:
        """Read the present state of the Job and its pods.

        Raises:
            Unreachable, Refused: it cannot be read.
        """
        selector = f"{_JOB_NAME[1]}={view.name}"
        while True:
            seen = view.version
            job = self.read_job(view)
            pods, _ = self._api.list(kube.path_of("pods", view.namespace), labelSelector=selector)
            with view.changed:
                if view.version != seen:  # the watch has newer data, and the response may be outdated
                    continue
                # The Job last: another thread that sees it must see its pods.
                found = {name_of(pod): _lean(pod) for pod in pods}
                view.gone = (view.gone | view.pods.keys()) - found.keys()
                view.pods |= found
                view.job = job
                return

    def read_job(self, view: View) -> Object | None:
        """The present Job; None if it does not exist."""
        try:
            return _lean(self._api.request("GET", kube.path_of("jobs", view.namespace, view.name)))
        except kube.Refused as error:
            if error.code != kube.NOT_FOUND:
                raise
            return None

    def close(self) -> None:
        """Stop; waiting threads get Unreachable. The owner closes the connections."""
        self._closing.set()
        for thread in self._threads:
            thread.join(_LONGEST_PAUSE_SECONDS)
        self._tell("closed", Unreachable("the connection to the cluster is closed"))

    def _tell(self, what: str, problem: Unreachable | None) -> None:
        if problem is None and what not in self._problems:
            return
        if problem is None:
            self._problems.pop(what, None)
        else:
            self._problems[what] = problem
        with self._lock:
            views = list(self._views.values())
        for view in views:
            view.notify()

    # Called in the threads

    def _keep_up(self, resource: str) -> None:
        version: str | None = None
        breaks, pause = 0, _FIRST_PAUSE_SECONDS
        while not self._closing.is_set():
            wait: float | None = None
            try:
                if version is None:
                    version = self._list(resource)
                    self._tell(resource, None)
                for reached in self._watch(resource, version):
                    version, breaks, pause = reached, 0, _FIRST_PAUSE_SECONDS
                continue  # its time limit expired
            except kube.Refused as error:
                wait = error.retry_after
                if error.code == kube.GONE:
                    version = None  # older events are not available any more: list all objects
                elif not kube.is_busy(error.code):
                    version = None
                    self._tell(resource, self._api.unreachable(str(error)))
            except httpx.TransportError:
                pass  # the next watch continues where this one broke
            except RunyardError as error:
                version = None
                self._tell(resource, error if isinstance(error, Unreachable) else Unreachable(str(error)))
            breaks += 1
            if breaks >= _BREAKS:
                version = None
            self._closing.wait(jittered(pause) if wait is None else min(wait, _LONGEST_PAUSE_SECONDS))
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def _list(self, resource: str) -> str:
        items, version = self._api.list(kube.path_of(resource, self._namespace), labelSelector=self._selector)
        there = set()
        for item in items:
            there.add((metadata(item).get("namespace"), name_of(item)))
            self._apply(resource, item, False)
        with self._lock:
            views = list(self._views.values())
        for view in views:
            if resource == "jobs":
                # An object created after the list is not in it: it is read again when needed.
                if view.job is not None and (view.namespace, view.name) not in there:
                    with suppress(kube.Refused):
                        self._put_job(view, self.read_job(view))
            else:
                for name in view.pods:
                    if (view.namespace, name) not in there:
                        view.gone.add(name)
                view.notify()
        return version

    def _put_job(self, view: View, job: Object | None) -> None:
        with view.changed:
            view.job = job
            view.notify()

    def _watch(self, resource: str, version: str) -> Iterator[str]:
        """The versions up to which a watch has reported everything."""
        params = {"labelSelector": self._selector, "resourceVersion": version}
        began = time.monotonic()
        for event in self._api.watch(kube.path_of(resource, self._namespace), params, _WATCH_SECONDS):
            found = event.get("object") or {}
            if event.get("type") != "BOOKMARK":
                self._apply(resource, found, event.get("type") == "DELETED")
            yield str(metadata(found).get("resourceVersion") or version)
        if time.monotonic() - began < _FIRST_PAUSE_SECONDS:
            self._closing.wait(
                _FIRST_PAUSE_SECONDS
            )  # do not ask a server too often that ends watches at once

    def _apply(self, resource: str, found: Object, deleted: bool) -> None:
        labels = metadata(found).get("labels") or {}
        name = name_of(found)
        if resource == "pods":
            name = next((labels[label] for label in _JOB_NAME if label in labels), "")
        with self._lock:
            view = self._views.get((str(metadata(found).get("namespace")), name))
        if view is None:
            return
        if resource == "jobs":
            self._put_job(view, None if deleted else _lean(found))
            return
        with view.changed:
            view.pods[name_of(found)] = _lean(found)
            if deleted:
                view.gone.add(name_of(found))
            else:  # an object that was read before is not in an older list
                view.gone.discard(name_of(found))
            view.notify()


def _lean(found: Object) -> Object:
    """An object without large fields that nothing reads."""
    its: dict[str, Any] = {name: value for name, value in metadata(found).items() if name != "managedFields"}
    return {**found, "metadata": its}
