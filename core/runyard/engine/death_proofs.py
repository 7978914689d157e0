"""Proofs of death: whether somebody who holds runs can execute them no more, judged where he was.

A lease carries a place and a proof, JSON with a `kind`. Who looks after lost runs asks for the holders at
its own places and judges each by the judge of its kind. In doubt nobody is dead: then the lease decides.
A kind of worker whose runs are elsewhere (containers, jobs of a cluster) adds its judge and its place: `add`.
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
# How long killed processes may take to be gone, before the next look decides.
_END_SECONDS = 2.0


def places() -> list[str]:
    """Where this process can tell the living from the dead."""
    here = machine.place()
    return [*([] if here is None else [here]), *_more_places]


def add(kind: str, place: str, judge: Callable[[dict[str, Any], bool], bool]) -> None:
    """Let another kind of holder be judged by this process.

    Args:
        kind: as in its proofs.
        place: where such holders are: an engine, a cluster.
        judge: called with the proof, and whether it is overdue; whether its runs are over for certain.
    """
    _JUDGES[kind] = judge
    _more_places.append(place)


def is_dead(proof: str, overdue: bool) -> bool:
    """Whether what a holder executed is over for certain.

    Args:
        proof: of the holder, at one of `places()`.
        overdue: it has not renewed for so long that its runs are about to be taken over: what it still
            executes is ended.
    """
    try:
        facts = json.loads(proof)
        judge = _JUDGES[facts["kind"]]
    except (ValueError, TypeError, KeyError):
        return False  # of a newer version, or another program's
    return judge(facts, overdue)


def _judge_process(facts: dict[str, Any], overdue: bool) -> bool:
    """A process of this machine: a worker with a launcher, or one that executes its run itself."""
    if facts["boot"] != machine.boot_id():
        return True
    if facts["pids"] != machine.pid_namespace():
        return False  # its numbers mean nothing here
    launcher = facts.get("launcher")
    alive = machine.is_alive(*facts["worker"])
    if launcher is None:
        return not alive  # a script, which is left to itself while it lives
    if alive and not overdue:
        return False
    # Gone, or stopped, or hanging: its runs may not go on beside those of another.
    return _end_launcher(*launcher)


def _end_launcher(pid: int, start: int) -> bool:
    """End a launcher that nobody commands any more, with its runs; whether all are gone.

    Mostly it has done so itself. One that is stopped cannot, and the kernel ends its runs only with it.
    """
    if not machine.is_alive(pid, start):
        return True
    try:
        os.kill(pid, signal.SIGSTOP)  # from now on it starts nothing
        runs = {child: machine.started(child) for child in machine.children(pid)}
        for run in runs:
            _end_group(run)
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False  # another user's
    return _are_gone({pid: start, **{run: began for run, began in runs.items() if began is not None}})


def _end_group(pid: int) -> None:
    try:
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it ended by itself


def _are_gone(processes: dict[int, int]) -> bool:
    deadline = time.monotonic() + _END_SECONDS
    while any(machine.is_alive(pid, start) for pid, start in processes.items()):
        if time.monotonic() > deadline:
            return False
        _never.wait(0.01)
    return True


_JUDGES: dict[str, Callable[[dict[str, Any], bool], bool]] = {"process": _judge_process}
