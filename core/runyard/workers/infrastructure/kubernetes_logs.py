"""Reads a pod's output line by line; after a broken connection it continues without duplicates."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx

from runyard.base.clock import to_us
from runyard.base.waits import jittered
from runyard.workers.infrastructure import kubernetes_api as kube
from runyard.workers.infrastructure.kubernetes_reasons import (
    container_name,
    exit_code,
    has_logs,
    is_over,
    is_over_quota,
    lines,
    may_start_again,
    name_of,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from runyard.workers.infrastructure.kubernetes_api import KubernetesApi
    from runyard.workers.infrastructure.kubernetes_reasons import Object
    from runyard.workers.infrastructure.kubernetes_watch import View

# A longer line is yielded in pieces.
_LONGEST_LINE = 1_000_000
# The interval at which the events of a pod that does not start are read.
_FIRST_LOOK_SECONDS = 1.0
_LONGEST_LOOK_SECONDS = 30.0
# After the end of a pod its logs are available soon, or never.
_LAST_TRIES = 4
_BAD_REQUEST = 400
_LAST_WORDS_SECONDS = 30.0
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)\Z", re.ASCII)

Piece = tuple[str, bytes] | tuple[str, bytes, int]


class PodOutput:
    """The output of one Job's pod, with the cluster's events about it.

    Args:
        api: the cluster.
        view: the Job.
        since: only later output, in seconds since 1970; None: all.
    """

    def __init__(self, api: KubernetesApi, view: View, since: float | None) -> None:
        self._api = api
        self._view = view
        self._since = None if since is None else datetime.fromtimestamp(since, UTC)

    def follow(self) -> Iterator[Piece]:
        """Yield the output until the Job is over, as `Infrastructure.follow`.

        Raises:
            Refused, Unreachable, httpx.TransportError: it cannot be read now.
        """
        read: set[str] = set()
        while (pod := (yield from self._next_that_starts(read))) is not None:
            read.add(name_of(pod))
            if has_logs(pod):
                yield from self._logs(pod)
            pod = self._view.pods.get(name_of(pod), pod)
            if exit_code(pod) != 0:
                yield from self._events()
            if not may_start_again(self._view.job, pod):
                return

    def _next_that_starts(self, read: set[str]) -> Generator[Piece, None, Object | None]:
        """Wait for a pod that has started or never will; None if the Job ended without another pod."""
        view, pause, looked = self._view, _FIRST_LOOK_SECONDS, time.monotonic()
        while True:
            seen = view.version
            pod = view.pod()
            if pod is not None and name_of(pod) in read:
                pod = None
            started = pod is not None and (has_logs(pod) or is_over(pod) or not view.lives(pod))
            if started or view.ended or time.monotonic() >= looked + pause:
                yield from self._events()
                looked, pause = time.monotonic(), min(pause * 2, _LONGEST_LOOK_SECONDS)
            if started or view.ended:
                return pod
            view.wait(seen, max(looked + pause - time.monotonic(), 0.0))

    def _events(self) -> Iterator[Piece]:
        """Yield the events of the Job and its pods that the logs do not contain yet."""
        view = self._view
        events: list[Object] = []
        for name in list(view.pods) or [view.name]:
            found, _ = self._api.list(
                kube.path_of("events", view.namespace), fieldSelector=f"involvedObject.name={name}"
            )
            events += found
        for key, level, text, moment in lines(events):
            if is_over_quota(text):
                view.over_quota = text
                view.notify()
            if key not in view.told:
                view.told.add(key)
                if self._since is None or moment > self._since:
                    yield level, text.encode()

    def _logs(self, pod: Object) -> Iterator[Piece]:
        view, tries = self._view, 0
        while not view.lost:
            over = is_over(view.pod() or pod) or not view.lives(pod) or view.ended
            try:
                # Read an ended pod once more: the stream may have been cut short.
                yield from self._read(pod, not over)
            except kube.Refused as error:
                if error.code == kube.NOT_FOUND:
                    return
                if error.code != _BAD_REQUEST and not over:
                    raise
                problem = str(error)
            except httpx.TransportError as error:
                if not (over or view.ended):
                    raise
                problem = str(error) or type(error).__name__
            else:
                if over:
                    return
                view.wait(view.version, 0.1)
                continue
            tries += 1
            if over and tries > _LAST_TRIES:
                yield "warning", f"The last part of its output could not be read: {problem}".encode()
                return
            time.sleep(jittered(0.2 * 2**tries) if over else 0.2)
        yield "warning", b"The last part of its output is lost with its node"

    @contextmanager
    def _noted(self, response: httpx.Response) -> Iterator[None]:
        """Context manager: publish the response that this thread reads, so that other threads can end it."""
        self._view.reading = response
        try:
            yield
        finally:
            self._view.reading = None
            self._view.notify()

    def _read(self, pod: Object, follow: bool) -> Iterator[Piece]:
        """Yield the lines after the last one read."""
        name = name_of(pod)
        last, count = self._view.read.get(name, ("", 0))
        params = {"container": container_name(pod), "timestamps": "true", "follow": str(follow).lower()}
        since = last or (self._since.strftime("%Y-%m-%dT%H:%M:%SZ") if self._since else "")
        if since:
            params["sinceTime"] = since
        # Lines of that time come again; nodes with a resolution of seconds repeat the whole second.
        skip, last_order = count, _order(last)
        path = kube.path_of("pods", self._view.namespace, name, "log")
        with (
            self._api.stream(path, params, None if follow else _LAST_WORDS_SECONDS) as response,
            self._noted(response),
        ):
            for line in _lines_of(response, not follow):
                self._view.arrived += 1
                moment, _, text = line.partition(b" ")
                at = moment.decode("ascii", "replace")
                if last and _order(at) < last_order:
                    continue
                if at == last and skip:
                    skip -= 1
                    continue
                last, count = (at, count + 1) if at == last else (at, 1)
                skip, last_order = 0, ("", "")
                self._view.read[name] = last, count
                printed = _microseconds(at)
                yield ("stdout", text) if printed is None else ("stdout", text, printed)


def _lines_of(response: httpx.Response, with_open_end: bool) -> Iterator[bytes]:
    """Yield complete lines, and with `with_open_end` a last line without an end. After a broken connection an
    incomplete line is read again."""
    rest = bytearray()
    for chunk in response.iter_bytes():
        begin = 0
        rest += chunk
        while (end := rest.find(b"\n", begin)) >= 0:
            yield bytes(rest[begin : end + 1])
            begin = end + 1
        del rest[:begin]
        if len(rest) > _LONGEST_LINE:
            yield bytes(rest)
            rest.clear()
    if rest and with_open_end:
        yield bytes(rest)


def _microseconds(moment: str) -> int | None:
    """Convert a timestamp to microseconds since 1970, truncated; None if it is invalid."""
    found = _MOMENT.match(moment)
    if found is None:
        return None
    whole = datetime.fromisoformat(found[1] + found[3].replace("Z", "+00:00"))
    return to_us(whole) + int((found[2] or "").ljust(6, "0")[:6])


def _order(moment: str) -> tuple[str, str]:
    """A sort key for timestamps, which have any number of fraction digits and any time zone."""
    found = _MOMENT.match(moment)
    if found is None:
        return "9", moment  # unknown format: a repeated line is better than a lost one
    whole = datetime.fromisoformat(found[1] + found[3].replace("Z", "+00:00")).astimezone(UTC)
    return whole.isoformat(), (found[2] or "").ljust(9, "0")
