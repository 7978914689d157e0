"""Decides from a Job and its pods when the Job is over, how it ended, and when to give up."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from runyard.workers.infrastructure import kubernetes_reasons as words
from runyard.workers.infrastructure.base import JobEnd
from runyard.workers.infrastructure.kubernetes_manifest import PENDING_WITHIN, START_WITHIN
from runyard.workers.infrastructure.kubernetes_reasons import Object, metadata

if TYPE_CHECKING:
    from runyard.workers.infrastructure.kubernetes_watch import View

# The default time limit for the start of a pod.
_START_WITHIN_SECONDS = 60.0
_GRACE_SECONDS = 30.0
# A pod that others ended is over shortly before its Job reports the cause.
_JOB_TELLS_SECONDS = 3.0
# Pods arrive on a separate stream, which may be behind the stream of Jobs.
_POD_TELLS_SECONDS = 5.0
_GIVEN_UP = 1
# The exit code of a run that could not start.
_NOT_BEGUN = 126


class Judge:
    """Checks one Job repeatedly.

    Args:
        view: the known state of the Job.
        lost_after_seconds: a pod that has not ended this long after its grace period counts as lost.
    """

    def __init__(self, view: View, lost_after_seconds: float) -> None:
        self._view = view
        self._lost_after_seconds = lost_after_seconds
        self._next = math.inf
        self._image = ""
        self._started = False
        # The worker gave up: the Job still exists and must be deleted.
        self.gave_up = False

    def seconds_until_next_look(self) -> float:
        """The time after which the result may differ although nothing changed."""
        return self._next

    def end(self) -> JobEnd | None:
        """How the Job ended; None while it continues."""
        pod = self._view.pod()
        self._started = self._started or (pod is not None and words.has_started(pod))
        end = self._end()
        return None if end is None else replace(end, started=self._started)

    def _end(self) -> JobEnd | None:
        self._next, self.gave_up = math.inf, False
        view = self._view
        job, pod = view.job, view.pod()
        if pod is not None and words.is_over(pod):
            return None if words.may_start_again(job, pod) else self._of_pod(job, pod)
        lives = pod is not None and view.lives(pod)
        if job is None:
            return self._lost(pod) if lives and pod is not None else JobEnd(None, self._deleted(pod))
        if words.condition(job, "Complete"):
            return JobEnd(0)
        failure = words.failure_of_job(job)
        if failure is not None and not lives:
            if pod is None and self._waits("no pod told", _POD_TELLS_SECONDS):
                return None
            disrupted = words.disruption(pod) if pod is not None else None
            return JobEnd(None, disrupted or (self._deleted(pod) if pod is not None else None) or failure)
        if pod is None or not lives:
            return self._without_pod(job, pod)
        return self._lost(pod) or self._stuck(job, pod)

    def _of_pod(self, job: Object | None, pod: Object) -> JobEnd | None:
        end = words.end_of(pod)
        before = next((each for each in self._view.ordered() if words.has_started(each)), pod)
        if end.code == _NOT_BEGUN and before is not pod:
            # An earlier pod began the attempt, and no other may begin it again: the earlier end counts.
            return JobEnd(end.code, words.replaced_in_vain(before))
        deleted = metadata(pod).get("deletionTimestamp") or not self._view.lives(pod)
        if end.code == 0 or not deleted or words.disruption(pod):
            return end
        failure = words.failure_of_job(job) if job is not None else None
        tells = job is not None and not (metadata(job).get("deletionTimestamp") or words.is_suspended(job))
        if tells and failure is None and self._waits("told", _JOB_TELLS_SECONDS):
            return None
        return JobEnd(end.code, failure if failure == words.too_long() else self._deleted(pod) or end.reason)

    def _deleted(self, pod: Object | None) -> str | None:
        """What another program deleted or suspended, as text; None if nothing."""
        if self._view.stopped:
            return None
        job = self._view.job
        if job is None or metadata(job).get("deletionTimestamp"):
            return "its Job was deleted while it ran"
        if words.is_suspended(job):
            return "its Job was suspended while it ran, as a queue does"
        return "its pod was deleted while it ran" if pod is not None else None

    def _without_pod(self, job: Object, gone: Object | None) -> JobEnd | None:
        if words.is_suspended(job):
            self._view.seconds("no pod made", False)
            return None
        if self._view.over_quota is not None and gone is None:
            return self._over_quota(job, self._view.over_quota)
        within = _seconds(job, START_WITHIN) or _START_WITHIN_SECONDS
        if self._waits("no pod made", within):
            return None
        return self._give_up(
            (self._deleted(gone) if gone is not None else None)
            or f"its Job has no pod after {within:g} s (pod_watch_timeout_seconds); see the events of the "
            "Job in the logs of the run"
        )

    def _over_quota(self, job: Object, why: str) -> JobEnd | None:
        within = _seconds(job, PENDING_WITHIN)
        if within is None or self._waits("no pod made", within):
            return None
        return self._give_up(words.no_room(within, why))

    def _lost(self, pod: Object) -> JobEnd | None:
        its = metadata(pod)
        to_end = its.get("deletionTimestamp") is not None
        if not to_end:
            self._view.seconds("to end", False)
            return None
        grace = its.get("deletionGracePeriodSeconds")
        grace = _GRACE_SECONDS if grace is None else float(grace)
        if self._waits("to end", grace + self._lost_after_seconds):
            return None
        self._view.lost = True
        return JobEnd(None, words.lost(pod))

    def _stuck(self, job: Object, pod: Object) -> JobEnd | None:
        stuck = words.stuck(pod)
        if stuck is None:
            self._view.seconds("stuck", False)
            return self._unscheduled(job, pod)
        reason, for_good = stuck
        # The first message has the cause; later ones only announce the next attempt.
        self._image = max(self._image, reason, key=len)
        within = _seconds(job, START_WITHIN) or _START_WITHIN_SECONDS
        if not for_good and self._waits("stuck", within):
            return None
        return self._give_up(self._image)

    def _unscheduled(self, job: Object, pod: Object) -> JobEnd | None:
        why = words.unscheduled(pod)
        within = _seconds(job, PENDING_WITHIN)
        if why is None or within is None:
            self._view.seconds("unscheduled", False)
            return None
        if self._waits("unscheduled", within):
            return None
        return self._give_up(f"its pod got no node within {within:g} s (pending_timeout_seconds): {why}")

    def _give_up(self, reason: str) -> JobEnd:
        self.gave_up = True
        return JobEnd(_GIVEN_UP, reason)

    def _waits(self, what: str, seconds: float) -> bool:
        """Whether to wait longer, as the named situation has not lasted `seconds` yet."""
        left = seconds - self._view.seconds(what, True)
        if left > 0:
            self._next = min(self._next, left)
        return left > 0


def _seconds(job: Object, annotation: str) -> float | None:
    try:
        return float((metadata(job).get("annotations") or {})[annotation])
    except (KeyError, ValueError):
        return None
