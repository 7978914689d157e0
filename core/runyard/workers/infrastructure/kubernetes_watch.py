"""Tracks the Jobs and pods of a worker's runs with one list and one watch, resumed after a break."""

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

# The server ends a watch after this time, so that a silent watch cannot block the worker.
_WATCH_SECONDS = 120
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
# After so many broken watches in a row the thread reads a list, which shows whether the server responds.
_BREAKS = 3
_JOB_NAME = ("batch.kubernetes.io/job-name", "job-name")


class View:
    """The known state of one Job and its pods.

    Args:
        namespace, name: the Job.
    """

    def __init__(self, namespace: str, name: str) -> None:
        self.namespace = namespace
        self.name = name
        self.changed = threading.Condition()
        self.version = 0
        self.job: Object | None = None
        # By name; deleted pods stay with their last state.
        self.pods: dict[str, Object] = {}
        self.gone: set[str] = set()
        self.users = 0
        # The worker itself has requested its end.
        self.stopped = False
        # Its end is known.
        self.ended = False
        # Events that the run's logs already contain; and the event of an exceeded quota.
        self.told: set[str] = set()
        self.over_quota: str | None = None
        # The read position of each pod's output: the time of the last line, and its number.
        self.read: dict[str, tuple[str, int]] = {}
        # The response from which its output is being read, and the number of lines that arrived on it.
        self.reading: httpx.Response | None = None
        self.arrived = 0
        # Its node does not respond: its last output is lost.
        self.lost = False
        # Since when a situation holds, on the monotonic clock.
        self._since: dict[str, float] = {}

    def pod(self) -> Object | None:
        """The newest pod."""
        pods = self.ordered()
        return pods[-1] if pods else None

    def ordered(self) -> list[Object]:
        """All pods, the oldest first."""
        with self.changed:
            return sorted(self.pods.values(), key=lambda pod: str(metadata(pod).get("creationTimestamp")))

    def lives(self, pod: Object) -> bool:
        """Whether the pod still exists in the cluster."""
        return name_of(pod) not in self.gone

    def seconds(self, what: str, holds: bool) -> float:
        """For how long a situation has held without interruption."""
        now = time.monotonic()
        if not holds:
            self._since.pop(what, None)
            return 0.0
        return now - self._since.setdefault(what, now)

    def wait(self, seen: int, seconds: float) -> int:
        """Wait until the version differs from `seen`; return the current version."""
        with self.changed:
            self.changed.wait_for(lambda: self.version != seen, seconds)
            return self.version

    def notify(self) -> None:
        """Wake all waiting threads."""
        with self.changed:
            self.version += 1
            self.changed.notify_all()


class Watcher:
    """Keeps the views of all watched Jobs up to date, in two threads.

    Args:
        api: the cluster.
        namespace: the only watched namespace; None: all.
        selector: the label selector of this pool's Jobs and pods.
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
        """Why the state is unknown at present, or None."""
        return next(iter(self._problems.values()), None)

    def start(self) -> None:
        """Start the threads, if they are not running."""
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
        """Create the view of a Job that was just created."""
        view = self._view(str(metadata(job)["namespace"]), name_of(job))
        if view.job is None:
            view.job = job
        return view

    def known(self, namespace: str, name: str) -> View | None:
        """The view of a watched Job, or None."""
        with self._lock:
            return self._views.get((namespace, name))

    def _view(self, namespace: str, name: str) -> View:
        with self._lock:
            return self._views.setdefault((namespace, name), View(namespace, name))

    @contextmanager
    def looking(self, namespace: str, name: str) -> Iterator[View]:
        """Context manager: watch a Job.

        Raises:
            Unreachable, Refused: its current state cannot be read.
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
        """Read the current state of the Job and its pods.

        Raises:
            Unreachable, Refused: it cannot be read.
        """
        selector = f"{_JOB_NAME[1]}={view.name}"
        while True:
            seen = view.version
            job = self.read_job(view)
            pods, _ = self._api.list(kube.path_of("pods", view.namespace), labelSelector=selector)
            with view.changed:
                if view.version != seen:  # the watch delivered a change meanwhile, so this state may be old
                    continue
                # Set the Job last: a thread that sees the Job must see its pods.
                found = {name_of(pod): _lean(pod) for pod in pods}
                view.gone = (view.gone | view.pods.keys()) - found.keys()
                view.pods |= found
                view.job = job
                return

    def read_job(self, view: View) -> Object | None:
        """Read the Job; None if it does not exist."""
        try:
            return _lean(self._api.request("GET", kube.path_of("jobs", view.namespace, view.name)))
        except kube.Refused as error:
            if error.code != kube.NOT_FOUND:
                raise
            return None

    def close(self) -> None:
        """Stop the threads; waiting callers get Unreachable. The owner closes the connections."""
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
                continue  # the watch reached its time limit
            except kube.Refused as error:
                wait = error.retry_after
                if error.code == kube.GONE:
                    version = None  # events were missed: read a list
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
                # A Job that was created after the list is not in it: read such a Job again.
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
        """Yield each version up to which the watch has delivered all events."""
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
            )  # if the server ends it at once, do not ask again immediately

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
            else:  # a pod that is missing in an older list is not deleted
                view.gone.discard(name_of(found))
            view.notify()


def _lean(found: Object) -> Object:
    """Remove the large metadata field that nothing here uses."""
    its: dict[str, Any] = {name: value for name, value in metadata(found).items() if name != "managedFields"}
    return {**found, "metadata": its}
