"""Explains the state of a run's pod to the user, from the objects of the cluster."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from runyard.workers.infrastructure.base import JobEnd
from runyard.workers.infrastructure.kubernetes_manifest import CONTAINER

if TYPE_CHECKING:
    from collections.abc import Iterator

Object = dict[str, Any]
_KILLED = 137
# Reasons of a waiting container that will never start, or only after help.
# Source: https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/images/types.go and
# pkg/kubelet/kuberuntime/kuberuntime_container.go
_IMAGE = frozenset(("ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable"))
_FOR_GOOD = frozenset(("InvalidImageName", "ErrImageNeverPull"))
_CONFIG = frozenset(("CreateContainerConfigError", "CreateContainerError", "RunContainerError"))
# Reasons of the condition DisruptionTarget: why another component ended a pod.
# Source: https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions
_DISRUPTED = {
    "PreemptionByScheduler": "was preempted to make room for a pod of higher priority",
    "PreemptionByKubeScheduler": "was preempted to make room for a pod of higher priority",
    "DeletionByTaintManager": "was ended because its node got a taint, as a node does that is lost",
    "EvictionByEvictionAPI": "was evicted, as by a drain of its node",
    "DeletionByPodGC": "was ended because its node is gone",
    "TerminationByKubelet": "was ended by its node, which ran out of something or was shut down",
}
_NOT_STARTED = ("StartError", "ContainerCannotRun")
_SHUT_DOWN = frozenset(("Shutdown", "NodeShutdown", "Terminated"))
# Events without information: every run has them.
_USUAL = frozenset(("Created", "Started", "SuccessfulCreate", "Completed", "SuccessfulDelete"))


def metadata(found: Object) -> Object:
    """The metadata of an object; empty if missing."""
    return found.get("metadata") or {}


def status(found: Object) -> Object:
    """The status of an object; empty if missing."""
    return found.get("status") or {}


def name_of(found: Object) -> str:
    """The name of an object."""
    return str(metadata(found).get("name") or "")


def condition(found: Object, kind: str) -> Object | None:
    """A condition of an object, if its status is True."""
    for each in status(found).get("conditions") or ():
        if each.get("type") == kind and each.get("status") == "True":
            return dict(each)
    return None


def container_name(pod: Object) -> str:
    """The name of the run's container, among several in its pod."""
    marked = (metadata(pod).get("annotations") or {}).get(CONTAINER)
    containers = (pod.get("spec") or {}).get("containers") or [{}]
    return str(marked or containers[0].get("name") or "")


def _state(pod: Object) -> Object:
    name = container_name(pod)
    for each in status(pod).get("containerStatuses") or ():
        if each.get("name") == name:
            return each.get("state") or {}
    return {}


def has_logs(pod: Object) -> bool:
    """Whether the run's container has started, so that it may have printed something."""
    state = _state(pod)
    return "running" in state or "terminated" in state


def has_started(pod: Object) -> bool:
    """Whether the run's command was started."""
    state = _state(pod)
    return (
        "running" in state or state.get("terminated", {}).get("reason", _NOT_STARTED[0]) not in _NOT_STARTED
    )


def is_over(pod: Object) -> bool:
    """Whether the run's container will never run again."""
    return "terminated" in _state(pod) or status(pod).get("phase") in ("Succeeded", "Failed")


def exit_code(pod: Object) -> int | None:
    """The exit code of the run's container; None if unknown."""
    ended = _state(pod).get("terminated")
    if ended is not None:
        return int(ended.get("exitCode", 0))
    return 0 if status(pod).get("phase") == "Succeeded" else None


def is_suspended(job: Object | None) -> bool:
    """Whether a Job is suspended, for example by a queue."""
    return bool(job is not None and (job.get("spec") or {}).get("suspend"))


def may_start_again(job: Object | None, pod: Object) -> bool:
    """Whether the Job may fail more than once and will create another pod after this one."""
    if job is None or exit_code(pod) == 0 or condition(job, "Failed") or condition(job, "FailureTarget"):
        return False
    most = int((job.get("spec") or {}).get("backoffLimit") or 0)
    return most > 0 and int(status(job).get("failed") or 0) <= most


def end_of(pod: Object) -> JobEnd:
    """How an ended pod ended."""
    code = exit_code(pod)
    return JobEnd(code, None if code == 0 else _why(pod, code))


def _why(pod: Object, code: int | None) -> str | None:
    its = status(pod)
    reason, message = its.get("reason"), _sentence(its.get("message"))
    if reason == "Evicted":
        return f"its pod was evicted{message}"
    if reason == "DeadlineExceeded":
        return too_long()
    if reason == "NodeLost":
        return f"its node {_node(pod)} was lost"
    if reason in _SHUT_DOWN:
        return f"its node {_node(pod)} was shut down"
    disrupted = disruption(pod)
    if disrupted:
        return disrupted
    if reason:
        return f"its pod failed: {reason}{message}"
    ended = _state(pod).get("terminated") or {}
    if ended.get("reason") == "OOMKilled":
        return "its container ran out of memory and was killed; raise memory_limit"
    if ended.get("reason") in _NOT_STARTED:
        return f"its container could not start{_sentence(ended.get('message'))}"
    beside = _failed_beside(pod) if code is None else None
    return beside or ("its container was killed" if code == _KILLED else None)


def replaced_in_vain(pod: Object) -> str:
    """The end of the pod that began an attempt, after which Kubernetes created others."""
    end = end_of(pod)
    why = end.reason or f"its pod ended with exit code {end.code}"
    return f"{why}; the pods after it (backoff_limit) may not begin it again, as crash_retries does"


def disruption(pod: Object) -> str | None:
    """Why another component ended a pod; None if none did."""
    found = condition(pod, "DisruptionTarget")
    if found is None:
        return None
    what = _DISRUPTED.get(str(found.get("reason")), f"was ended by its cluster: {found.get('reason')}")
    return f"its pod {what}{_sentence(found.get('message'))}"


def too_long() -> str:
    """The text for an exceeded deadline of the Job or its pod."""
    return "it ran for longer than its Job may (job_watch_timeout_seconds, activeDeadlineSeconds)"


def _failed_beside(pod: Object) -> str | None:
    """The failure of an init container, or of another container of the pod."""
    its = status(pod)
    for each in (*(its.get("initContainerStatuses") or ()), *(its.get("containerStatuses") or ())):
        ended = (each.get("state") or {}).get("terminated") or {}
        if ended.get("exitCode"):
            return f"its container {each.get('name')!r} ended with exit code {ended['exitCode']}"
    return None


def failure_of_job(job: Object) -> str | None:
    """Why a Job failed, if it did and its pod does not show it."""
    failed = condition(job, "Failed") or condition(job, "FailureTarget")
    if failed is None:
        return None
    if failed.get("reason") == "DeadlineExceeded":
        return too_long()
    return f"its Job failed: {failed.get('reason')}{_sentence(failed.get('message'))}"


def stuck(pod: Object) -> tuple[str, bool] | None:
    """Why a pod cannot start its containers now, and whether this is permanent."""
    its = status(pod)
    for each in (*(its.get("initContainerStatuses") or ()), *(its.get("containerStatuses") or ())):
        waiting = (each.get("state") or {}).get("waiting") or {}
        reason = waiting.get("reason")
        if reason in _IMAGE or reason in _FOR_GOOD:
            told = waiting.get("message") or reason
            text = f"the image {each.get('image')!r} could not be pulled{_sentence(told)}"
            if reason == "ErrImageNeverPull":
                text = f"the image {each.get('image')!r} is not on its node, and image_pull_policy is Never"
            return text, reason in _FOR_GOOD
        if reason in _CONFIG:
            return f"its container could not be created{_sentence(waiting.get('message') or reason)}", False
    return None


def unscheduled(pod: Object) -> str | None:
    """Why a pod is not scheduled yet; None if it is."""
    for each in status(pod).get("conditions") or ():
        if each.get("type") == "PodScheduled" and each.get("status") == "False":
            return str(each.get("message") or each.get("reason") or "it is not scheduled")
    return None


def is_over_quota(text: str) -> bool:
    """Whether an object was refused because it exceeds a ResourceQuota; a retry may succeed later."""
    return "exceeded quota" in text


def no_room(seconds: float, why: str) -> str:
    """The text for an object that waited too long for room in a quota."""
    return f"there was no room for it within {seconds:g} s (pending_timeout_seconds): {why}"


def runs_beside(pod: Object | None) -> bool:
    """Whether other containers continue although the run's container has ended."""
    if pod is None or status(pod).get("phase") in ("Succeeded", "Failed"):
        return False
    name = container_name(pod)
    beside = [each for each in status(pod).get("containerStatuses") or () if each.get("name") != name]
    return is_over(pod) and any("running" in (each.get("state") or {}) for each in beside)


def lost(pod: Object) -> str:
    """The text for a pod that was to be deleted but has not ended."""
    return (
        f"its node {_node(pod)} does not answer: its pod should have ended but did not. The process may "
        "still run there"
    )


def lines(events: list[Object]) -> Iterator[tuple[str, str, str, datetime]]:
    """The key, level (`info` or `warning`), text and time of each event, the oldest first."""
    for event in sorted(events, key=_moment):
        if event.get("type") != "Warning" and event.get("reason") in _USUAL:
            continue
        about = event.get("involvedObject") or {}
        text = " ".join(str(event.get("message") or "").split())
        key = f"{metadata(event).get('uid')}:{text}"
        level = "warning" if event.get("type") == "Warning" else "info"
        yield key, level, f"{about.get('kind', 'Pod')} {event.get('reason')}: {text}", _moment(event)


def _moment(event: Object) -> datetime:
    series = event.get("series") or {}
    for text in (
        series.get("lastObservedTime"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
        metadata(event).get("creationTimestamp"),
    ):
        if text:
            return moment_of(str(text))
    return datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def moment_of(text: str) -> datetime:
    """Parse a timestamp of the API."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _node(pod: Object) -> str:
    return repr((pod.get("spec") or {}).get("nodeName") or "?")


def _sentence(text: Any) -> str:
    words = " ".join(str(text or "").split()).rstrip(".")
    return f": {words}" if words else ""
