"""Jobs of a Kubernetes cluster, one pod each."""

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
# How long other containers may take to end by themselves after the run's container.
_BESIDE_SECONDS = 5.0
# The pause between two tries to create a Job for which a quota has no room.
_QUOTA_SECONDS, _LONGEST_QUOTA_SECONDS = 1.0, 15.0
# After this time, the logs of an ended pod are complete, or their stream is dead.
_SILENT_SECONDS = 20.0


def _answering(method: F) -> F:
    """Convert every refusal to Unreachable: the cluster does not work now."""

    @wraps(method)
    def wrapper(self: KubernetesInfrastructure, *args: Any) -> Any:
        try:
            return method(self, *args)
        except Unreachable:
            raise
        except (RunyardError, httpx.TransportError) as error:
            raise self.api.unreachable(str(error)) from None

    return wrapper  # type: ignore[return-value]  # it has the signature of the method


class KubernetesInfrastructure:
    """The cluster of a pool: from its `cluster_config`, this pod, or the kubeconfig.

    Raises:
        InvalidInput: no cluster is known, or it refuses us.
        Unreachable: it does not answer.
    """

    def __init__(self) -> None:
        self._config: Any = None
        self.namespace = ""
        # The only namespace in which this worker may list Jobs; None: all.
        self._only: str | None = None
        self._place = ""
        self.host_address: str | None = None
        self.api: kube.KubernetesApi
        self._watcher: Watcher
        # Jobs that may have been created although the cluster did not answer.
        self._doubtful: set[tuple[str, str]] = set()
        # This worker's own pod in the cluster, and its container: (namespace, name, uid, container).
        self._here: list[str] | None = None
        self._ask_again_at = 0.0

    def configure(self, pool: str, job: dict[str, Any]) -> None:
        """Connect to the cluster; called once, before all other methods.

        Args:
            pool: the pool of the runs.
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
        """Read the cluster's identity, and whether we may list Jobs in all namespaces or in one."""
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
            hint = f"make it: kubectl create namespace {self.namespace}"
        return InvalidInput(f"the cluster at {self.api.server} refuses this worker: {error}; {hint}")

    def place(self) -> str:
        """The permanent identity of the cluster; and the namespace, if we may only see that one."""
        return self._place

    def here(self) -> list[str] | None:
        """The pod and the container of this worker, if it runs in the cluster; see Infrastructure."""
        return self._here

    def is_gone(self, here: list[str]) -> bool:
        """Whether another worker's pod has ended, or its container was restarted; see Infrastructure."""
        namespace, name, uid, container = here
        if self._here is not None and container and [uid, container] == self._here[2:]:
            return True  # a restart of the same container: only one runs at a time
        if time.monotonic() < self._ask_again_at:
            return False
        params = {"fieldSelector": f"metadata.name={name}"}
        try:
            path = kube.path_of("pods", namespace)
            found = self.api.request("GET", path, params=params, within_seconds=_PEER_SECONDS).get("items")
        except (RunyardError, httpx.TransportError):
            # It is busy, or permissions are missing: the loop that renews leases does not wait for it.
            self._ask_again_at = time.monotonic() + _LOOK_AGAIN_SECONDS
            return False
        pod = next((each for each in found or () if metadata(each).get("uid") == uid), None)
        return pod is None or words.status(pod).get("phase") in ("Succeeded", "Failed")

    def start(self, request: JobRequest) -> str:
        """Create a Job and its Secret; see Infrastructure."""
        if request.job.get("cluster_config") != self._config:
            raise CannotStart(
                "cluster_config is not the one with which this worker began; a cluster has a work pool of "
                "its own, whose workers are started again when its base job template changes"
            )
        grace = settings.get("worker_kill_grace_seconds")
        made = kubernetes_manifest.manifests(request, grace, self.host_address)
        namespace, name = made.job["metadata"]["namespace"], made.job["metadata"]["name"]
        if self._only is not None and namespace != self._only:
            raise CannotStart(
                f"namespace: this worker may look for Jobs in {self._only!r} only, so that one in "
                f"{namespace!r} would be lost with it; give it the rights of a ClusterRole "
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
            raise CannotStart(f"the Job could not be made: {error}{_hint(error)}") from None
        except CannotStart:
            raise
        except RunyardError as error:
            self._doubtful.add((namespace, name))
            raise error if isinstance(error, Unreachable) else self.api.unreachable(str(error)) from None
        return f"{namespace}/{name}"

    def _make_in_quota(self, job: Object, request: JobRequest) -> Object:
        """Create a Job as soon as its namespace's quota has room."""
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
                    raise CannotStart("it was stopped before its Job was made")
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
            return found  # an earlier try created it, and its response was lost

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
        """Our Jobs that have all these labels; see Infrastructure."""
        selector = ",".join(
            [_OF_RUNS, *(f"{label_key(name)}={label_value(value)}" for name, value in labels.items())]
        )
        jobs, _ = self.api.list(kube.path_of("jobs", self._only), labelSelector=selector)
        pods, _ = self.api.list(kube.path_of("pods", self._only), labelSelector=selector)
        # A pod is deleted after its Job, and may still run then.
        named = [(name_of(job), job) for job in jobs]
        of_pods = [(str((metadata(pod).get("labels") or {}).get("job-name")), pod) for pod in pods]
        named += of_pods
        # A Job reports its end a moment after its pod.
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
        """The output of a pod, and messages of the cluster about it; see Infrastructure."""
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
        """Wait for the end of a Job, and end one whose pod cannot start; see Infrastructure."""
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
                    # Not because of what was not told yet: Jobs and pods are told of on streams of their own.
                    self._watcher.refresh(view)
                    end = judge.end()
                    if end is None:
                        continue
                if judge.gave_up or words.is_suspended(view.job):
                    # The queue that suspended it would start it again, for an attempt that has ended.
                    view.stopped = True
                    self._delete_job(namespace, name)
                view.ended = True
                view.notify()
                self._await_last_words(view)
                self._end_beside(view)
                return end

    def _end_beside(self, view: View) -> None:
        """End other containers, such as a proxy, after the run: otherwise the Job would never finish."""
        until = time.monotonic() + _BESIDE_SECONDS
        while view.job is not None and not view.stopped and words.runs_beside(view.pod()):
            seen, left = view.version, until - time.monotonic()
            if left <= 0:
                view.stopped = True
                self._delete_job(view.namespace, view.name)
                return
            view.wait(seen, left)

    def _await_last_words(self, view: View) -> None:
        """Wait until the pod's output is read completely, but not for a node that sends nothing more."""
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
        """Delete the Job: its pod gets SIGTERM and, after its own grace, SIGKILL; see Infrastructure."""
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
        """Let go of the connections."""
        self.api.close()
        self._watcher.close()


def _namespace(job: dict[str, Any]) -> Any:
    manifest = job.get("job_manifest")
    its = manifest.get("metadata") if isinstance(manifest, dict) else None
    return (its.get("namespace") if isinstance(its, dict) else None) or job.get("namespace")


def _exact_labels(its: Object) -> dict[str, str]:
    """The labels of a run before Kubernetes' restrictions were applied."""
    try:
        found = json.loads((its.get("annotations") or {})[LABELS])
    except (KeyError, ValueError):  # it is not ours, or another program changed it
        return {}
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def _parts(job_id: str) -> tuple[str, str]:
    namespace, _, name = job_id.partition("/")
    return namespace, name


def _own_address(server: str) -> str | None:
    """The address from which this machine reaches the cluster; usually its pods reach it there."""
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
    """A hint for a missing permission; quotas, policies and webhooks respond with 403 too."""
    missing = error.code == kube.FORBIDDEN and " cannot " in str(error)
    return "; see docs/kubernetes/rbac.yaml" if missing else ""
