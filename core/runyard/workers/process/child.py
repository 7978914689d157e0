"""A run's own process: from the fork to the flow's first line. Also used with `python -m`."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from runyard import settings
from runyard.base import descriptors, scratch
from runyard.base.errors import RunyardError
from runyard.client import import_httpx
from runyard.engine.entry import run_claimed
from runyard.engine.logging.handlers import CONSOLE_VARIABLE
from runyard.operations.schemas import build_models
from runyard.store.database import get_database
from runyard.store.sqlite import path_of
from runyard.workers.process import hooks_of_killed_runs
from runyard.workers.process.claimed_flow import load, read
from runyard.workers.process.process_constants import CANNOT_START, ENTER, HOOKS_VARIABLE, PLACE_VARIABLE
from runyard.workers.process.process_exit import wind_up
from runyard.workers.process.run_place import place
from runyard.workers.process.status_channel import STATUS_VARIABLE, StatusChannel
from runyard.workers.process.through_worker import ThroughWorker

if TYPE_CHECKING:
    from collections.abc import Callable

# Modules that nearly every run imports (0.3 ms). By name: they are above this room, which does not use them.
_OF_SCRIPTS = ("runyard.flows", "runyard.tasks")
_PR_SET_PDEATHSIG = 1
_prctl: Callable[..., int] | None = None


def preload() -> None:
    """Import and build what every run needs, once for all runs that are forked from this process."""
    import asyncio  # noqa: F401  # 25 ms
    import sqlite3  # noqa: F401

    for module in _OF_SCRIPTS:
        import_module(module)
    build_models()
    try:
        if settings.get("api_url"):
            import_httpx()
        elif not settings.database_url().startswith("sqlite"):
            import runyard.store.postgres  # noqa: F401
    except RunyardError:
        pass  # a setting is invalid; the worker or the run reports it


def prepare() -> None:
    """Load the system call `prctl`, which ends a run together with its launcher; only on Linux."""
    global _prctl
    if sys.platform == "linux":
        import ctypes

        _prctl = ctypes.CDLL(None).prctl


def main(
    message: dict[str, Any], files: list[int], launcher_pid: int, drop_inherited: Callable[[], None]
) -> None:
    """Become the run that `message` describes; never returns.

    Args:
        message: the worker's message: flow_run_id, attempt, env, cwd, argv, environment, python, claim.
        files: the write ends for stdout, stderr and the status channel; then a socket, if the worker accepts
            reports; then a write end for output that goes only to the worker's terminal, if it shows output.
        launcher_pid: the launcher; this process ends with it.
        drop_inherited: closes the launcher's files and resets its signal handlers.
    """
    code = 1
    try:
        os.setsid()
        if _prctl is not None:
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != launcher_pid:
            os._exit(1)
        _take_files(files[:2])
        # The journal stores log records: printing them into the pipes would store them twice.
        more = files[3:]
        reports = more.pop(0) if message["reports"] else None
        console = more.pop(0) if more else None
        os.environ[CONSOLE_VARIABLE] = "" if console is None else descriptors.name_of(console)
        if console is not None:
            os.set_inheritable(console, bool(message["argv"] or message["environment"]))
        drop_inherited()
        if reports is not None:
            os.set_inheritable(reports, False)
        code = _become(message, files[2], reports)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            code = code or wind_up()
        finally:
            os._exit(code)


def _become(message: dict[str, Any], status_file: int, reports: int | None) -> int:
    status = StatusChannel(descriptors.name_of(status_file))
    for name, value in message["env"].items():
        try:
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        except (OSError, ValueError) as error:
            return _fail(status, f"the variable {name!r} of env cannot be set: {_reason(error)}")
    try:
        if message["cwd"]:
            os.chdir(message["cwd"])
            if message["scratch"]:
                held = scratch.hold(".")
                if held is not None:
                    os.set_inheritable(held, True)  # the run keeps it, whichever program it becomes
    except (OSError, ValueError) as error:
        return _fail(status, f"working_dir {message['cwd']} cannot be entered: {_reason(error)}")
    if "TZ" in message["env"]:
        time.tzset()
    argv = message["argv"]
    if message["environment"]:
        # Only runs with an environment need it; the others would carry it.
        from runyard.workers.process.enter_environment import enter

        status.listen_for_secrets()
        try:
            argv = enter(message, message["claim"]["deployment"], argv)
        except RunyardError as error:
            return _fail(status, str(error))
    if argv is None:
        sys.argv = ["runyard"]
        line = None if reports is None else descriptors.name_of(reports)
        return execute(message["flow_run_id"], message["attempt"], message["claim"], status, line)
    os.set_inheritable(status_file, True)
    os.environ[STATUS_VARIABLE] = descriptors.name_of(status_file)
    try:
        # Python ignores SIGPIPE; other programs expect its default action.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.execvp(argv[0], argv)  # noqa: S606 - a command has no shell unless it names one
    except (OSError, ValueError) as error:
        kind = 127 if isinstance(error, FileNotFoundError) else CANNOT_START
        return _fail(status, f"command {argv[0]!r} cannot be started: {_reason(error)}", kind)


def _reason(error: OSError | ValueError) -> str:
    """The reason of a failed system call; Python raises ValueError for NUL bytes and surrogates."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _take_files(files: list[int]) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    for file, target in ((nothing, 0), (files[0], 1), (files[1], 2)):
        os.dup2(file, target)
        os.close(file)
    # Line-buffered, so that output appears at once.
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = open(number, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115 - lives as long as the process
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - as above


def _fail(status: StatusChannel, text: str, code: int = CANNOT_START) -> int:
    """Report why the run cannot start: to the worker, for its state and its logs; without one, to stderr."""
    status.tell(failure=text)
    if not status.is_open:
        print(text, file=sys.stderr)
    return code


def execute(
    flow_run_id: str,
    attempt: int,
    claim: dict[str, Any] | None,
    status: StatusChannel,
    reports: str | None = None,
) -> int:
    """Load the flow of a claimed run and run it.

    Args:
        flow_run_id: the run.
        attempt: its fencing token.
        claim: `flow_run` and `deployment` as the API returns them; None: read them.
        status: the channel on which to report the end, or why the run cannot start.
        reports: the name (`descriptors.name_of`) of the socket for reports, if the worker accepts them.

    Returns:
        The exit code: 0 if the run's end was reported.
    """
    status.listen_for_secrets()
    _expect_database()
    if os.environ.pop(HOOKS_VARIABLE, None):
        return hooks_of_killed_runs.call(flow_run_id)
    elsewhere = os.environ.get(PLACE_VARIABLE) not in (None, place())
    try:
        if elsewhere and not _can_hold_runs():
            return _fail(status, _not_begun("no such database file"))
        if claim is None or elsewhere:
            claim = read(flow_run_id)  # the run may not exist in that other place: do not wait for it
    except RunyardError as error:
        return _fail(status, _not_begun(str(error)))
    try:
        flow, parameters = load(claim)
    except RunyardError as error:
        return _fail(status, str(error))
    except Exception as error:
        traceback.print_exc()
        status.tell(failure=f"the flow could not be loaded: {type(error).__name__}: {error}")
        return CANNOT_START
    refusals: list[str] = []
    ended: dict[str, Any] = {}
    try:
        code = run_claimed(
            flow,
            flow_run_id,
            attempt,
            parameters,
            claim["flow_run"]["name"],
            ThroughWorker(reports) if reports and not elsewhere else None,
            on_ending=lambda: status.tell(ending=True),
            on_refused=refusals.append,
            on_ended=lambda state: ended.update(state_type=state.type, state_name=state.name),
        )
    except RunyardError as error:
        return _fail(status, f"the end of the run could not be recorded: {error}", 1)
    if refusals:
        status.tell(failure=_not_begun(refusals[0]))
        return CANNOT_START
    if code == 0:
        status.tell(reported=True, **ended)
    return code


def _expect_database() -> None:
    """Do not create a database: the run already exists in one."""
    with suppress(RunyardError):  # a setting is invalid; the code that needs it reports this
        if not settings.get("api_url"):
            get_database().expect()


def _not_begun(why: str) -> str:
    """Why the run could not begin: mostly as its process uses another database or API than its worker."""
    ours, theirs = place(), os.environ.get(PLACE_VARIABLE)
    if not theirs or ours == theirs:
        return f"the run could not begin: {why}"
    return (
        f"the run could not begin: its environment points to {ours}, its worker's to {theirs}; look for "
        f"RUNYARD_ and PREFECT_ variables in its job variable env, and for settings in its folder ({why})"
    )


def _can_hold_runs() -> bool:
    """Whether the database file of this process exists; opening it would create it."""
    url = settings.database_url()
    if settings.get("api_url") or not url.startswith("sqlite:"):
        return True
    return os.path.exists(path_of(url))


def _from_environment() -> int:
    """Run the flow run that the environment names: `python -m runyard.workers.process.child`."""
    flow_run_id, attempt = os.environ.get("RUNYARD__FLOW_RUN_ID"), os.environ.get("RUNYARD__ATTEMPT")
    if not flow_run_id or not attempt:
        print("RUNYARD__FLOW_RUN_ID and RUNYARD__ATTEMPT must name a claimed flow run", file=sys.stderr)
        return 2
    claim = _enter_project(flow_run_id) if ENTER in sys.argv else None
    return execute(flow_run_id, int(attempt), claim, StatusChannel.inherited())


def _enter_project(flow_run_id: str) -> dict[str, Any] | None:
    """Change to the deployment's folder, as a worker does for a run.

    Returns:
        The run as read from the API; None: read it again.
    """
    before = place()
    try:
        claim = read(flow_run_id)
    except RunyardError:
        return None  # the next read reports the problem
    deployment = claim["deployment"]
    path = deployment and not deployment["pull_steps"] and deployment["path"]
    if path and os.path.isdir(path):
        os.chdir(path)
    return claim if place() == before else None  # that folder's settings may name another database


def _as_program() -> None:
    """Run the flow run that the environment names, and exit; never returns."""
    code = _from_environment()
    try:
        wind_up()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _as_program()
