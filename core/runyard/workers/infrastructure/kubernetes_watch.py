"""Keeps up with the Jobs and pods of a worker's runs by one list and one watch, resumed when it breaks."""

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

# A watch is ended by the server after so long, so that one which is silent for ever cannot hold us up.
_WATCH_SECONDS = 120
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
# A watch that breaks so often in a row begins again with a list, which tells whether the server is there.
_BREAKS = 3
_JOB_NAME = ("batch.kubernetes.io/job-name", "job-name")


class View:
    """What is known of one Job and its pods.

    Args:
        namespace, name: of the Job.
    """

    def __init__(self, namespace: str, name: str) -> None:
        self.namespace = namespace
        self.name = name
        self.changed = threading.Condition()
        self.version = 0
        self.job: Object | None = None
        # By name, with those that are gone as they were last.
        self.pods: dict[str, Object] = {}
        self.gone: set[str] = set()
        self.users = 0
        # We ask for its end ourselves.
        self.stopped = False
        # How it ended is known.
        self.ended = False
        # Events of which the run's logs tell already; and what they say of a quota that leaves no room.
        self.told: set[str] = set()
        self.over_quota: str | None = None
        # How far what each pod prints was read: the moment of the last line, and how many have that moment.
        self.read: dict[str, tuple[str, int]] = {}
        # The answer from which what it prints is being read, and how often something came on it.
        self.reading: httpx.Response | None = None
        self.arrived = 0
        # Its node does not answer: what it printed last is lost with it.
        self.lost = False
        # Since when something is so, on the monotonic clock.
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
        """For how long something holds without a break."""
        now = time.monotonic()
        if not holds:
            self._since.pop(what, None)
            return 0.0
        return now - self._since.setdefault(what, now)

    def wait(self, seen: int, seconds: float) -> int:
        """Wait until something changed after `seen`; the version of now."""
        with self.changed:
            self.changed.wait_for(lambda: self.version != seen, seconds)
            return self.version

    def notify(self) -> None:
        """Have all that wait look again."""
        with self.changed:
            self.version += 1
            self.changed.notify_all()


class Watcher:
    """The views of all Jobs that are waited for, kept up to date in two threads.

    Args:
        api: the cluster.
        namespace: the only one that is looked at; None for all.
        selector: of labels, which Jobs and pods of this pool have.
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
        """Begin, where it has not begun."""
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
        """The view of a Job that was just made."""
        view = self._view(str(metadata(job)["namespace"]), name_of(job))
        if view.job is None:
            view.job = job
        return view

    def known(self, namespace: str, name: str) -> View | None:
        """The view of a Job that is looked at."""
        with self._lock:
            return self._views.get((namespace, name))

    def _view(self, namespace: str, name: str) -> View:
        with self._lock:
            return self._views.setdefault((namespace, name), View(namespace, name))

    @contextmanager
    def looking(self, namespace: str, name: str) -> Iterator[View]:
        """A block with the view of a Job.

        Raises:
            Unreachable, Refused: what was there before is asked for, and not told.
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
        """Ask for the Job and its pods as they are now.

        Raises:
            Unreachable, Refused: it is not told.
        """
        selector = f"{_JOB_NAME[1]}={view.name}"
        while True:
            seen = view.version
            job = self.read_job(view)
            pods, _ = self._api.list(kube.path_of("pods", view.namespace), labelSelector=selector)
            with view.changed:
                if view.version != seen:  # the watch told more meanwhile, and what was asked may be old
                    continue
                # The Job last: another thread that sees it must see its pods.
                found = {name_of(pod): _lean(pod) for pod in pods}
                view.gone = (view.gone | view.pods.keys()) - found.keys()
                view.pods |= found
                view.job = job
                return

    def read_job(self, view: View) -> Object | None:
        """The Job as it is now; None where it is gone."""
        try:
            return _lean(self._api.request("GET", kube.path_of("jobs", view.namespace, view.name)))
        except kube.Refused as error:
            if error.code != kube.NOT_FOUND:
                raise
            return None

    def close(self) -> None:
        """Stop; what is waited for is unreachable then. The connections are closed by whose they are."""
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

    # In the threads

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
                continue  # its time was over
            except kube.Refused as error:
                wait = error.retry_after
                if error.code == kube.GONE:
                    version = None  # what happened meanwhile is no longer told: look at all
                elif not kube.is_busy(error.code):
                    version = None
                    self._tell(resource, self._api.unreachable(str(error)))
            except httpx.TransportError:
                pass  # the next watch begins where this one broke
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
                # One that was made after the list is not in it: this is asked again where it counts.
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
        """The versions up to which a watch told everything."""
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
            )  # a server which ends it at once is not asked all the time

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
            else:  # one that was asked for before is not in an older list, and seemed to be gone
                view.gone.discard(name_of(found))
            view.notify()


def _lean(found: Object) -> Object:
    """An object without what fills the memory and nobody reads."""
    its: dict[str, Any] = {name: value for name, value in metadata(found).items() if name != "managedFields"}
    return {**found, "metadata": its}
