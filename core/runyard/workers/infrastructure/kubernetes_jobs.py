"""Runs as Jobs of a Kubernetes cluster, one pod each."""

from __future__ import annotations

import json
import socket
import time
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import httpx

from runyard import settings
from runyard.base.errors import InvalidInput, RunyardError
from runyard.workers.infrastructure import kubernetes_api as kube
from runyard.workers.infrastructure import kubernetes_config, kubernetes_manifest, own_container
from runyard.workers.infrastructure import kubernetes_reasons as words
from runyard.workers.infrastructure.base import (
    POOL_LABEL,
    RUN_LABEL,
    CannotStart,
    FoundJob,
    JobEnd,
    Unreachable,
)
from runyard.workers.infrastructure.kubernetes_logs import PodOutput
from runyard.workers.infrastructure.kubernetes_manifest import LABELS, label_key, label_value
from runyard.workers.infrastructure.kubernetes_outcome import Judge
from runyard.workers.infrastructure.kubernetes_reasons import metadata, name_of
from runyard.workers.infrastructure.kubernetes_watch import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runyard.workers.infrastructure.base import JobRequest
    from runyard.workers.infrastructure.kubernetes_logs import Piece
    from runyard.workers.infrastructure.kubernetes_reasons import Object
    from runyard.workers.infrastructure.kubernetes_watch import View

F = TypeVar("F", bound="Callable[..., Any]")
_OF_RUNS = label_key(RUN_LABEL)
_CLUSTER = "kube-system"
_BACKGROUND = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
_NOW = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0}
_LOOK_AGAIN_SECONDS = 30.0
_PEER_SECONDS = 2.0
# Other containers of the pod may end by themselves, if they watch the run's container.
_BESIDE_SECONDS = 5.0
# The pause between two attempts to create a Job that exceeds a quota.
_QUOTA_SECONDS, _LONGEST_QUOTA_SECONDS = 1.0, 15.0
# The logs of an ended pod must arrive within this time, or their stream is dead.
_SILENT_SECONDS = 20.0


def _answering(method: F) -> F:
    """Decorator: convert every refusal into Unreachable, as the cluster does not work now."""

    @wraps(method)
    def wrapper(self: KubernetesInfrastructure, *args: Any) -> Any:
        try:
            return method(self, *args)
        except Unreachable:
            raise
        except (RunyardError, httpx.TransportError) as error:
            raise self.api.unreachable(str(error)) from None

    return wrapper  # type: ignore[return-value]  # the signature stays the same


class KubernetesInfrastructure:
    """The cluster of a pool: that of its `cluster_config`, of this pod, or of the kubeconfig.

    Raises:
        InvalidInput: no cluster is configured, or it refuses this worker.
        Unreachable: the cluster does not respond.
    """

    def __init__(self) -> None:
        self._config: Any = None
        self.namespace = ""
        # The only namespace that this worker may read; None: all.
        self._only: str | None = None
        self._place = ""
        self.host_address: str | None = None
        self.api: kube.KubernetesApi
        self._watcher: Watcher
        # Jobs that may have been created although the cluster did not respond.
        self._doubtful: set[tuple[str, str]] = set()
        # This worker's own pod in the cluster, and its container: (namespace, name, uid, container).
        self._here: list[str] | None = None
        self._ask_again_at = 0.0

    def configure(self, pool: str, job: dict[str, Any]) -> None:
        """Connect to the cluster; called once, before all other methods.

        Args:
            pool: the work pool.
            job: the pool's job configuration, with the defaults of its variables.
        """
        self._config = job.get("cluster_config")
        access = kubernetes_config.access(self._config)
        if access.pod is not None:
            self._here = [*access.pod, own_container.of_pod(access.pod[2])]
        self.namespace = str(_namespace(job) or access.namespace)
        self.api = kube.KubernetesApi(access)
        try:
            self._identify()
        except BaseException:
            self.api.close()
            raise
        self.host_address = settings.get("worker_api_host") or _own_address(access.server)
        selector = f"{label_key(POOL_LABEL)}={label_value(pool)}"
        self._watcher = Watcher(self.api, self._only, selector)

    def _identify(self) -> None:
        """Read the cluster's unique id, and find out whether we may read Jobs in all namespaces or in one."""
        try:
            self.api.list(kube.path_of("jobs"), labelSelector=f"{_OF_RUNS}=none")
            self._place = f"kubernetes:{self._uid(_CLUSTER)}"
        except kube.Refused as error:
            if error.code != kube.FORBIDDEN:
                raise self._no_use(error) from None
            try:
                self._place = f"kubernetes:{self._uid(self.namespace)}/{self.namespace}"
                self.api.list(kube.path_of("jobs", self.namespace), labelSelector=f"{_OF_RUNS}=none")
            except kube.Refused as refused:
                raise self._no_use(refused) from None
            self._only = self.namespace

    def _uid(self, namespace: str) -> str:
        return str(metadata(self.api.request("GET", kube.path_of("namespaces", name=namespace)))["uid"])

    def _no_use(self, error: kube.Refused) -> InvalidInput:
        hint = "the rights that a worker needs are in docs/kubernetes/rbac.yaml"
        if error.code == kube.NOT_FOUND:
            hint = f"create it: kubectl create namespace {self.namespace}"
        return InvalidInput(f"the cluster at {self.api.server} refuses this worker: {error}; {hint}")

    def place(self) -> str:
        """The unique id of the cluster; and the namespace, if this worker may read only that one."""
        return self._place

    def here(self) -> list[str] | None:
        """This worker's pod and container, if it runs in this cluster; see Infrastructure."""
        return self._here

    def is_gone(self, here: list[str]) -> bool:
        """Whether another worker's pod has ended, or its container was restarted; see Infrastructure."""
        namespace, name, uid, container = here
        if self._here is not None and container and [uid, container] == self._here[2:]:
            return True  # an earlier start of this container, which runs only once at a time
        if time.monotonic() < self._ask_again_at:
            return False
        params = {"fieldSelector": f"metadata.name={name}"}
        try:
            path = kube.path_of("pods", namespace)
            found = self.api.request("GET", path, params=params, within_seconds=_PEER_SECONDS).get("items")
        except (RunyardError, httpx.TransportError):
            # Busy or not permitted: a loop that must renew leases does not wait for it.
            self._ask_again_at = time.monotonic() + _LOOK_AGAIN_SECONDS
            return False
        pod = next((each for each in found or () if metadata(each).get("uid") == uid), None)
        return pod is None or words.status(pod).get("phase") in ("Succeeded", "Failed")

    def start(self, request: JobRequest) -> str:
        """Create a Job and its Secret; see Infrastructure."""
        if request.job.get("cluster_config") != self._config:
            raise CannotStart(
                "cluster_config differs from the one with which this worker started; use one work pool per "
                "cluster, and restart its workers when its base job template changes"
            )
        grace = settings.get("worker_kill_grace_seconds")
        made = kubernetes_manifest.manifests(request, grace, self.host_address)
        namespace, name = made.job["metadata"]["namespace"], made.job["metadata"]["name"]
        if self._only is not None and namespace != self._only:
            raise CannotStart(
                f"namespace: this worker may read Jobs only in {self._only!r}, so that it could lose one in "
                f"{namespace!r}; give it the rights of a ClusterRole "
                "(docs/kubernetes/rbac.yaml)"
            )
        self._clear_doubtful()
        try:
            view = self._watcher.expect(self._make_in_quota(made.job, request))
            if made.secret and view.job is not None:
                self._make_secret(made, view)
        except kube.Refused as error:
            if error.code == kube.UNAUTHORIZED:
                raise self.api.unreachable(str(error)) from None
            raise CannotStart(f"the Job could not be created: {error}{_hint(error)}") from None
        except CannotStart:
            raise
        except RunyardError as error:
            self._doubtful.add((namespace, name))
            raise error if isinstance(error, Unreachable) else self.api.unreachable(str(error)) from None
        return f"{namespace}/{name}"

    def _make_in_quota(self, job: Object, request: JobRequest) -> Object:
        """Create a Job; while a quota of its namespace has no room, wait and retry."""
        within = request.job.get("pending_timeout_seconds")
        since, pause, told = time.monotonic(), _QUOTA_SECONDS, False
        while True:
            try:
                return self._make(job)
            except kube.Refused as error:
                if error.code != kube.FORBIDDEN or not words.is_over_quota(str(error)):
                    raise
                if within is not None and time.monotonic() - since + pause > within:
                    raise CannotStart(words.no_room(within, str(error))) from None
                if not told:
                    request.say(f"Waiting for room: {error}")
                told = True
            end = time.monotonic() + pause
            while time.monotonic() < end:
                if not request.is_wanted():
                    raise CannotStart("it was stopped before its Job was created")
                time.sleep(0.1)
            pause = min(pause * 1.5, _LONGEST_QUOTA_SECONDS)

    def _make(self, job: Object) -> Object:
        namespace, name = metadata(job)["namespace"], name_of(job)
        try:
            return self.api.request("POST", kube.path_of("jobs", namespace), job)
        except kube.Refused as error:
            if error.code != kube.CONFLICT:
                raise
            found = self.api.request("GET", kube.path_of("jobs", namespace, name))
            if (metadata(found).get("annotations") or {}).get(LABELS) != metadata(job)["annotations"][LABELS]:
                raise
            return found  # an earlier attempt created it, but its response was lost

    def _make_secret(self, made: kubernetes_manifest.Manifests, view: View) -> None:
        try:
            self.api.request("POST", kube.path_of("secrets", view.namespace), made.secret_for(view.job or {}))
        except kube.Refused as error:
            if error.code != kube.CONFLICT:
                self._delete_job(view.namespace, view.name)
                raise

    def _clear_doubtful(self) -> None:
        while self._doubtful:
            namespace, name = next(iter(self._doubtful))
            self._delete_job(namespace, name)
            self._doubtful.discard((namespace, name))

    @_answering
    def find(self, labels: dict[str, str]) -> list[FoundJob]:
        """Find our Jobs that have all these labels; see Infrastructure."""
        selector = ",".join(
            [_OF_RUNS, *(f"{label_key(name)}={label_value(value)}" for name, value in labels.items())]
        )
        jobs, _ = self.api.list(kube.path_of("jobs", self._only), labelSelector=selector)
        pods, _ = self.api.list(kube.path_of("pods", self._only), labelSelector=selector)
        # A pod is deleted after its Job, and may still run until then.
        named = [(name_of(job), job) for job in jobs]
        of_pods = [(str((metadata(pod).get("labels") or {}).get("job-name")), pod) for pod in pods]
        named += of_pods
        # A Job reports its end shortly after its pod does.
        ended = {f"{metadata(pod)['namespace']}/{name}" for name, pod in of_pods if words.is_over(pod)}
        found: dict[str, FoundJob] = {}
        for name, each in named:
            its = metadata(each)
            exact = _exact_labels(its)
            if exact and labels.items() <= exact.items():
                job_id = f"{its['namespace']}/{name}"
                over = bool(words.condition(each, "Complete") or words.condition(each, "Failed"))
                found.setdefault(job_id, FoundJob(job_id, exact, over=over or job_id in ended))
        return list(found.values())

    def follow(self, job_id: str, since: float | None) -> Iterator[Piece]:
        """Yield a pod's output and the cluster's events about it; see Infrastructure."""
        try:
            with self._watcher.looking(*_parts(job_id)) as view:
                yield from PodOutput(self.api, view, since).follow()
                view.ended = True
        except Unreachable:
            raise
        except (RunyardError, httpx.TransportError) as error:
            raise self.api.unreachable(str(error)) from None

    @_answering
    def wait(self, job_id: str) -> JobEnd:
        """Wait for the end of a Job, and delete a Job whose pod cannot start; see Infrastructure."""
        namespace, name = _parts(job_id)
        with self._watcher.looking(namespace, name) as view:
            judge = Judge(view, settings.get("takeover_after_seconds"))
            while True:
                seen = view.version
                if self._watcher.problem is not None:
                    raise self._watcher.problem
                end = judge.end()
                if end is None:
                    view.wait(seen, min(judge.seconds_until_next_look(), _LOOK_AGAIN_SECONDS))
                    continue
                pod = view.pod()
                if judge.gave_up or pod is None or not words.is_over(pod):
                    # The view may be incomplete, as Jobs and pods arrive on separate streams: read both now.
                    self._watcher.refresh(view)
                    end = judge.end()
                    if end is None:
                        continue
                if judge.gave_up or words.is_suspended(view.job):
                    # A queue that suspended it would resume it later, for an attempt that is over.
                    view.stopped = True
                    self._delete_job(namespace, name)
                view.ended = True
                view.notify()
                self._await_last_words(view)
                self._end_beside(view)
                return end

    def _end_beside(self, view: View) -> None:
        """Stop other containers of the pod after the run, such as a proxy: else the Job never finishes."""
        until = time.monotonic() + _BESIDE_SECONDS
        while view.job is not None and not view.stopped and words.runs_beside(view.pod()):
            seen, left = view.version, until - time.monotonic()
            if left <= 0:
                view.stopped = True
                self._delete_job(view.namespace, view.name)
                return
            view.wait(seen, left)

    def _await_last_words(self, view: View) -> None:
        """Wait until the rest of the pod's output is read, unless its node sends nothing more."""
        arrived, silent_since = view.arrived, time.monotonic()
        while (reading := view.reading) is not None:
            if view.arrived != arrived:
                arrived, silent_since = view.arrived, time.monotonic()
            if view.lost or time.monotonic() > silent_since + _SILENT_SECONDS:
                self.api.cut(reading)
                return
            view.wait(view.version, 1.0)

    @_answering
    def stop(self, job_id: str, grace_seconds: float) -> None:
        """Delete the Job: its pod gets SIGTERM and, after its grace period, SIGKILL; see Infrastructure."""
        namespace, name = _parts(job_id)
        view = self._watcher.known(namespace, name)
        if view is not None:
            view.stopped = True
        self._delete_job(namespace, name)
        if grace_seconds <= 0:
            pods, _ = self.api.list(kube.path_of("pods", namespace), labelSelector=f"job-name={name}")
            for pod in pods:
                self._delete(kube.path_of("pods", namespace, name_of(pod)), _NOW)

    @_answering
    def remove(self, job_id: str) -> None:
        """Delete a Job with its pod and its Secret; see Infrastructure."""
        self._delete_job(*_parts(job_id))

    def _delete_job(self, namespace: str, name: str) -> None:
        self._delete(kube.path_of("jobs", namespace, name), _BACKGROUND)

    def _delete(self, path: str, options: dict[str, Any]) -> None:
        try:
            self.api.request("DELETE", path, options)
        except kube.Refused as error:
            if error.code != kube.NOT_FOUND:
                raise

    def close(self) -> None:
        """Close the connections."""
        self.api.close()
        self._watcher.close()


def _namespace(job: dict[str, Any]) -> Any:
    manifest = job.get("job_manifest")
    its = manifest.get("metadata") if isinstance(manifest, dict) else None
    return (its.get("namespace") if isinstance(its, dict) else None) or job.get("namespace")


def _exact_labels(its: Object) -> dict[str, str]:
    """The original labels of a run, which Kubernetes labels may not hold completely."""
    try:
        found = json.loads((its.get("annotations") or {})[LABELS])
    except (KeyError, ValueError):  # not created by Runyard, or changed by another program
        return {}
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def _parts(job_id: str) -> tuple[str, str]:
    namespace, _, name = job_id.partition("/")
    return namespace, name


def _own_address(server: str) -> str | None:
    """This machine's address in its connections to the cluster; pods can usually reach it there."""
    parts = urlsplit(server)
    try:
        family, _, _, _, address = socket.getaddrinfo(
            parts.hostname, parts.port or 443, type=socket.SOCK_DGRAM
        )[0]
        with socket.socket(family, socket.SOCK_DGRAM) as there:
            there.connect(address)  # sends nothing
            return str(there.getsockname()[0])
    except OSError:
        return None


def _hint(error: kube.Refused) -> str:
    """A hint for a missing right; a quota, a policy or a webhook of the cluster also responds with 403."""
    missing = error.code == kube.FORBIDDEN and " cannot " in str(error)
    return "; see docs/kubernetes/rbac.yaml" if missing else ""
