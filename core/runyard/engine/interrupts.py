"""Handles Ctrl-C, SIGTERM and SIGHUP in a root run: the handler raises only where it is safe.

Python calls a signal handler between any two instructions of the main thread. An exception in the middle of
the engine's own work can lose a state, a record or a hook. So the handler checks where the thread is. In the
user's code, and where the engine only waits, it raises. Elsewhere it sends the signal again a little later.
On an event loop it cancels the flow's task, and raises only in code of the flow that blocks the loop.
"""

from __future__ import annotations

import os
import signal
import sys
import sysconfig
import threading
import time
from typing import TYPE_CHECKING, Any

from runyard.base import write_retries
from runyard.base.exceptions import TerminationSignal
from runyard.domain.states import RUNNING
from runyard.engine import effects
from runyard.engine.context import current_flow

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from types import FrameType

_AGAIN_SECONDS = 0.01
_UNNOTICED_SECONDS = 0.2
# An event loop that does not run a callback for this time counts as blocked.
_BLOCKED_SECONDS = 0.5
# How long a flow waits until the other flows on its loop end; their hooks may use ten seconds of it.
_OTHERS_SECONDS = 30.0
# How often a signal is sent again; after that the handler raises wherever the thread is.
_MOST_TIMES = 1_000
_PACKAGE = __name__.partition(".")[0]
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
# Safe places: modules through which the user's thread enters the engine, which holds no lock yet, and
# functions in which the thread only waits. An exception there does not block other threads.
_OPEN_MODULES = frozenset(f"{_PACKAGE}.{name}" for name in ("sdk.flows", "sdk.pausing", "sdk.tasks"))
_OPEN_ROOMS = (f"{_PACKAGE}.deployments.",)
_WAITING = {
    f"{_PACKAGE}.{module}": frozenset(functions)
    for module, functions in {
        "engine.concurrency.slot_waiting": ("take", "_ask_until_taken", "_pause"),
        "engine.background.background_submit": ("result", "wait"),
        "engine.effects": ("pause",),
        "engine.futures": ("as_completed", "result", "wait"),
        "engine.locking.lock_protocol": ("acquire_lock", "again", "wait_for_lock"),
        "base.waits": ("for_event", "for_threads", "in_slices"),
    }.items()
}
# Functions of `threading` in which raising is safe. Elsewhere in it a lock would stay locked, or its waiter
# would not wake up. In the functions of _LOCKING raising is never safe.
_WAITING_IN_THREADING = frozenset(("join", "wait", "wait_for", "_wait_for_tstate_lock"))
_LOCKING = frozenset(("__enter__", "__exit__", "acquire", "release", "_acquireLock", "_releaseLock"))


# The open guards, the newest last, and the handler of each signal before the first guard.
_guards: list[SignalGuard] = []
_before: dict[int, Any] = {}
# Whether the guards received a SIGTERM that they have not yet passed to the program's own handler.
_unpassed_sigterm = False


class SignalGuard:
    """A block in which SIGTERM and SIGHUP raise TerminationSignal once, and SIGINT KeyboardInterrupt, in the
    main thread and where it is safe. If no safe place was reached, the end of the block raises.

    Several flows may run on one event loop, so blocks end in any order; a signal is for all open blocks.
    In other threads the block does nothing, because Python delivers signals to the main thread only. The
    user's handler for SIGINT or SIGHUP stays installed; one for SIGTERM is called at the end, see `pass_on`.

    Args:
        cancellation: used instead of raising, on an event loop.
    """

    def __init__(self, cancellation: Cancellation | None = None) -> None:
        # Whether SIGTERM or SIGHUP arrived, and whether SIGINT did.
        self.received = False
        self.interrupted = False
        self.cancellation = cancellation
        self._pending: int | None = None
        self._sent = 0
        self._open = False
        self.active = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> SignalGuard:
        global _unpassed_sigterm
        if not _guards:
            write_retries.reset()
            _unpassed_sigterm = False
        if self.active:
            self._open = True
            _guards.append(self)
            for number in _guarded():
                _before[number] = signal.signal(number, _handle)
        return self

    def __exit__(self, kind: object, *_error: object) -> None:
        self.close()
        if self._pending is not None and kind is None:
            raise self._error(self._pending)

    def close(self) -> None:
        """Close the guard: the block has ended or will never continue."""
        self._open = False
        if self in _guards:
            _guards.remove(self)
            if not _guards:
                _restore()

    def take(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal. Raises TerminationSignal or KeyboardInterrupt where it is safe."""
        global _unpassed_sigterm
        if self.cancellation is not None and self.cancellation.is_blocked() and _is_harmless(frame):
            self.cancellation.raised()
            self._note(number)
            raise self._error(number)
        if number != signal.SIGINT:
            _unpassed_sigterm = _unpassed_sigterm or number == signal.SIGTERM
            if self.received:
                return  # the run is ending already; SIGKILL ends it immediately
            write_retries.request_stop()
        if self.cancellation is not None:
            self._note(number)
            if not self.cancellation.ask():
                self.close()
            elif number != signal.SIGINT:  # the user can press Ctrl-C again
                threading.Thread(
                    target=self._repeat_signal, args=(self.cancellation, number), daemon=True
                ).start()
        elif _is_harmless(frame) or self._sent >= _MOST_TIMES:
            self._pending = None
            self._note(number)
            raise self._error(number)
        else:
            write_retries.request_stop()
            self._pending = number
            self._sent += 1
            threading.Timer(_AGAIN_SECONDS, self._send_again, (number,)).start()

    def _note(self, number: int) -> None:
        if number == signal.SIGINT:
            self.interrupted = True
        else:
            self.received = True

    def _send_again(self, number: int) -> None:
        sent = self._sent
        # Repeated: a blocking call that starts just after the signal does not notice it.
        while self._open and self._pending == number and self._sent == sent:
            signal.pthread_kill(threading.main_thread().ident or 0, number)
            time.sleep(_UNNOTICED_SECONDS)

    def _repeat_signal(self, cancellation: Cancellation, number: int) -> None:
        """Send the signal again until the event loop runs the cancellation, or the blocking code ends."""
        while not cancellation.done.wait(_BLOCKED_SECONDS) and self._open:
            signal.pthread_kill(threading.main_thread().ident or 0, number)

    def _error(self, number: int) -> BaseException:
        if number == signal.SIGINT:
            return KeyboardInterrupt()
        return TerminationSignal("the process was asked to stop")


class Cancellation:
    """Cancels a flow on an event loop at the request of a guard. The flow's own asyncio task creates it.

    Args:
        run_id: the flow's run.
    """

    def __init__(self, run_id: str) -> None:
        import asyncio

        self._run_id = run_id
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        self._current_task = asyncio.current_task
        self._is_asked = False
        # Whether the handler raised in the task itself, so that the task need not be cancelled.
        self._has_raised = False
        # Set when the loop has run the cancellation, or need not run it.
        self.done = threading.Event()

    def ask(self) -> bool:
        """Request the cancellation. Returns False if the loop is closed and cannot run it."""
        if self._task is None or self._loop.is_closed():
            return False
        self._is_asked = True
        self._loop.call_soon_threadsafe(self._cancel)
        return True

    def is_blocked(self) -> bool:
        """Whether the cancellation is pending because code of this flow blocks the loop now.

        False for the code of other flows on the loop, and for the hooks of a run that has ended.
        """
        if not self._is_asked or self.done.is_set():
            return False
        flow = current_flow.get()
        if flow is None or flow.flow_run.state.type != RUNNING:
            return False
        return self._run_id in (flow.flow_run.id, flow.flow_run.root_flow_run_id)

    def raised(self) -> None:
        """The handler raises in that code now. Other asyncio tasks of the flow may be cancelled later."""
        if self._current_task(self._loop) is self._task:
            self._has_raised = True
            self.done.set()

    def _cancel(self) -> None:
        self.done.set()
        if _own_handler() is None and self._loop.get_exception_handler() is None:
            # The process exits next and stops the loop: warnings about pending tasks would mislead the user.
            self._loop.set_exception_handler(_unless_exiting)
        if self._task is not None and not self._has_raised:
            self._task.cancel()


def pass_on() -> bool:
    """Pass a SIGTERM that ended a run to the program's own handler, after the last guard has closed.

    Returns:
        Whether the program has a handler, which then decides how the process ends.

    Raises:
        BaseException: the exception of the handler, usually SystemExit.
    """
    global _unpassed_sigterm
    own = _own_handler()
    # asyncio has called its own handler already: it receives signals independently of Python's handlers.
    of_loop = (getattr(own, "__module__", None) or "").partition(".")[0] == "asyncio"
    if own is not None and _unpassed_sigterm and not _guards:
        _unpassed_sigterm = False
        if not of_loop:
            own(int(signal.SIGTERM), sys._getframe())
    return own is not None


def _own_handler() -> Callable[[int, FrameType | None], Any] | None:
    """The program's own handler of SIGTERM; None if the default action or SIG_IGN is set."""
    number = int(signal.SIGTERM)
    own = _before[number] if number in _before else signal.getsignal(number)
    return own if callable(own) and own is not _handle else None


async def others_ended() -> None:
    """Wait until the other flows on this event loop that the signal stopped have ended.

    An exit of the process would interrupt them before they report their end.
    """
    import asyncio

    until = time.monotonic() + _OTHERS_SECONDS
    while time.monotonic() < until and any(
        each.received or each.interrupted for each in _guards if each.cancellation is not None
    ):
        await asyncio.sleep(_AGAIN_SECONDS)


def _handle(number: int, frame: FrameType | None) -> None:
    newest = [each for each in reversed(_guards) if each.cancellation is None][:1]
    # Guards on event loops first: they do not raise.
    for guard in [each for each in _guards if each.cancellation is not None] + newest:
        guard.take(number, frame)
    if not _guards:
        _restore()
        if signal.getsignal(number) is _handle:
            # User code saved this handler during a flow and installed it again afterwards.
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        os.kill(os.getpid(), number)


if hasattr(os, "register_at_fork"):
    # A process that the user's code forked handles signals by default and reports nothing.
    os.register_at_fork(after_in_child=_guards.clear)


def _unless_exiting(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if not isinstance(context.get("exception"), SystemExit) and "pending" not in context["message"]:
        loop.default_exception_handler(context)


def _restore() -> None:
    """Restore the handlers from before the first guard. Only the main thread can do it; in another thread
    this does nothing, and the next signal restores them."""
    if threading.current_thread() is threading.main_thread():
        for number, before in _before.items():
            signal.signal(number, before or signal.SIG_DFL)
        _before.clear()


def _guarded() -> list[int]:
    numbers = []
    if signal.getsignal(signal.SIGTERM) is not _handle:
        numbers.append(int(signal.SIGTERM))
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        numbers.append(int(signal.SIGINT))
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is not None and signal.getsignal(hangup) is signal.SIG_DFL:
        numbers.append(int(hangup))
    return numbers


def _is_harmless(frame: FrameType | None) -> bool:
    """Whether raising is safe here: the innermost frame outside of libraries decides."""
    if frame is not None and _holds_lock(frame):
        return False
    inside = False
    while frame is not None:
        module = frame.f_globals.get("__name__") or ""
        if module == _PACKAGE or module.startswith(f"{_PACKAGE}."):
            return _is_waiting(module, frame.f_code.co_name) or (inside and module == effects.__name__)
        if not _is_library(module, frame.f_code.co_filename):
            return True
        inside = inside or module != "contextlib"
        frame = frame.f_back
    return True


def _holds_lock(frame: FrameType) -> bool:
    """Whether Python's own code is acquiring or releasing a lock here, or importing a module."""
    module, name = frame.f_globals.get("__name__") or "", frame.f_code.co_name
    if module == "threading":
        # `Condition.wait` releases its lock between the assignments of these two variables.
        halfway = "waiter" in frame.f_locals and "gotit" not in frame.f_locals
        return name not in _WAITING_IN_THREADING or halfway
    if module.startswith(("importlib.", "_frozen_importlib")) or frame.f_code.co_filename.startswith(
        "<frozen importlib"
    ):
        return True
    return name in _LOCKING and _is_library(module, frame.f_code.co_filename)


def _is_library(module: str, file: str) -> bool:
    return file.startswith(("<frozen", *_LIBRARIES)) or module in sys.stdlib_module_names


def _is_waiting(module: str, function: str) -> bool:
    if module.startswith(f"{_PACKAGE}.engine.task_runners."):
        return function in ("close", "stop")
    return module in _OPEN_MODULES or module.startswith(_OPEN_ROOMS) or function in _WAITING.get(module, ())
