"""Proofs of death: checks on the holder's own machine whether a lease holder can no longer execute its runs.

A lease carries a place and a proof, JSON with a `kind`. A supervisor lists the holders at its own places and
calls the judge of their kind. In doubt the holder counts as alive, until its lease expires. A kind of worker
that runs flows elsewhere (containers, jobs of a cluster) registers its judge and its place with `add`.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

from runyard.base import machine

if TYPE_CHECKING:
    from collections.abc import Callable

_never = threading.Event()
_more_places: list[str] = []
# How long to wait for killed processes to end; after that the next check decides.
_END_SECONDS = 2.0


def places() -> list[str]:
    """The places whose holders this process can judge."""
    here = machine.place()
    return [*([] if here is None else [here]), *_more_places]


def add(kind: str, place: str, judge: Callable[[dict[str, Any], bool], bool]) -> None:
    """Register a judge for another kind of holder.

    Args:
        kind: the `kind` in its proofs.
        place: where such holders run: a container engine, a cluster.
        judge: called with the proof and whether the holder is overdue; returns whether its runs have
            certainly ended.
    """
    _JUDGES[kind] = judge
    _more_places.append(place)


def is_dead(proof: str, overdue: bool) -> bool:
    """Whether the runs of a holder have certainly ended.

    Args:
        proof: of the holder, at one of `places()`.
        overdue: the holder has not renewed its lease for so long that its runs are about to be taken over;
            the judge then kills what the holder still executes.
    """
    try:
        facts = json.loads(proof)
        judge = _JUDGES[facts["kind"]]
    except (ValueError, TypeError, KeyError):
        return False  # written by a newer version or another program
    return judge(facts, overdue)


def _judge_process(facts: dict[str, Any], overdue: bool) -> bool:
    """Judge a process of this machine: a worker with a launcher, or a process that executes its own run."""
    if facts["boot"] != machine.boot_id():
        return True
    if facts["pids"] != machine.pid_namespace():
        return False  # its pids belong to another pid namespace
    launcher = facts.get("launcher")
    alive = machine.is_alive(*facts["worker"])
    if launcher is None:
        return not alive  # a script: never killed while it is alive
    if alive and not overdue:
        return False
    # Ended, stopped or hanging: its runs must not continue beside those of another holder.
    return _end_launcher(*launcher)


def _end_launcher(pid: int, start: int) -> bool:
    """Kill a launcher that has lost its worker, with its runs; returns whether all have ended.

    A launcher usually ends by itself. A stopped one cannot; its runs end only when it ends.
    """
    if not machine.is_alive(pid, start):
        return True
    try:
        os.kill(pid, signal.SIGSTOP)  # so that it starts nothing more
        runs = {child: machine.started(child) for child in machine.children(pid)}
        for run in runs:
            _end_group(run)
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False  # the process of another user
    return _are_gone({pid: start, **{run: began for run, began in runs.items() if began is not None}})


def _end_group(pid: int) -> None:
    try:
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it has ended


def _are_gone(processes: dict[int, int]) -> bool:
    deadline = time.monotonic() + _END_SECONDS
    while any(machine.is_alive(pid, start) for pid, start in processes.items()):
        if time.monotonic() > deadline:
            return False
        _never.wait(0.01)
    return True


_JUDGES: dict[str, Callable[[dict[str, Any], bool], bool]] = {"process": _judge_process}
