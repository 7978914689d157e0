"""Ctrl-C, SIGTERM and SIGHUP in a root run: raised where they do no harm, and nowhere else.

Python runs a signal's handler between any two instructions of the main thread. An exception that is raised
amid the engine's own work can cost a state, a record, the hooks. The handler looks where the thread is: in
the user's code, and where the engine only waits, it raises; elsewhere the signal is sent again soon after.
On an event loop it cancels the flow's task instead, and raises only in code of the flow that blocks the loop.
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
# After this time without a turn an event loop is taken to be blocked.
_BLOCKED_SECONDS = 0.5
# So long a flow waits for the ends of the others on its loop; hooks have ten seconds of it.
_OTHERS_SECONDS = 30.0
# So often a signal is sent again; then it is raised wherever the thread is.
_MOST_TIMES = 1_000
_PACKAGE = __name__.partition(".")[0]
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
# Modules in which a thread of the user is on its way into the engine, which holds nothing yet, and the
# functions in which it waits, or the engine does. None of them keeps others from going on when it is left.
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
# Where Python's own modules may be left: elsewhere in them a lock would stay held, or its waiter asleep.
_WAITING_IN_THREADING = frozenset(("join", "wait", "wait_for", "_wait_for_tstate_lock"))
_LOCKING = frozenset(("__enter__", "__exit__", "acquire", "release", "_acquireLock", "_releaseLock"))


# The blocks that are open now, the newest last, and what handled each signal before the first of them.
_guards: list[SignalGuard] = []
_before: dict[int, Any] = {}
# Whether a SIGTERM that these blocks took has not come to the program's own handler yet.
_owed = False


class SignalGuard:
    """A block in which SIGTERM and SIGHUP raise TerminationSignal in the main thread, once, and SIGINT
    KeyboardInterrupt, each where it does no harm. When none was possible it is raised at the end.

    Several flows may run on one event loop, so blocks end in any order: a signal is for all that are open.
    In other threads it does nothing: Python delivers signals to the main thread only. A handler of the user's
    for SIGINT or SIGHUP stays; one for SIGTERM is called at the end, see `pass_on`.

    Args:
        cancellation: asked for instead of raising, on an event loop.
    """

    def __init__(self, cancellation: Cancellation | None = None) -> None:
        # A stop was asked for; an interrupt was.
        self.received = False
        self.interrupted = False
        self.cancellation = cancellation
        self._pending: int | None = None
        self._sent = 0
        self._open = False
        self.active = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> SignalGuard:
        global _owed
        if not _guards:
            write_retries.reset()
            _owed = False
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
        """The block is over, or will never go on."""
        self._open = False
        if self in _guards:
            _guards.remove(self)
            if not _guards:
                _restore()

    def take(self, number: int, frame: FrameType | None) -> None:
        """A signal came. Errors: TerminationSignal, KeyboardInterrupt, where they do no harm."""
        global _owed
        if self.cancellation is not None and self.cancellation.is_blocked() and _is_harmless(frame):
            self.cancellation.raised()
            self._note(number)
            raise self._error(number)
        if number != signal.SIGINT:
            _owed = _owed or number == signal.SIGTERM
            if self.received:
                return  # the end is being reported already; who cannot wait sends SIGKILL
            write_retries.request_stop()
        if self.cancellation is not None:
            self._note(number)
            if not self.cancellation.ask():
                self.close()
            elif number != signal.SIGINT:  # a second Ctrl-C is a person's matter
                threading.Thread(target=self._press, args=(self.cancellation, number), daemon=True).start()
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
        # Again and again, since it may come just before a call that waits, which would not notice it.
        while self._open and self._pending == number and self._sent == sent:
            signal.pthread_kill(threading.main_thread().ident or 0, number)
            time.sleep(_UNNOTICED_SECONDS)

    def _press(self, cancellation: Cancellation, number: int) -> None:
        """Send the signal until the event loop takes the cancellation, or code that blocks it is left."""
        while not cancellation.done.wait(_BLOCKED_SECONDS) and self._open:
            signal.pthread_kill(threading.main_thread().ident or 0, number)

    def _error(self, number: int) -> BaseException:
        if number == signal.SIGINT:
            return KeyboardInterrupt()
        return TerminationSignal("the process was asked to stop")


class Cancellation:
    """The end of a flow on an event loop, which a guard asks for: its task, which makes this, is cancelled.

    Args:
        run_id: the flow's run.
    """

    def __init__(self, run_id: str) -> None:
        import asyncio

        self._run_id = run_id
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        self._current_task = asyncio.current_task
        self._is_asked = False
        # An exception of a signal was raised in the task itself, which then is not cancelled too.
        self._has_raised = False
        # The loop has come to it, or need not.
        self.done = threading.Event()

    def ask(self) -> bool:
        """Whether the loop, which may be closed, will come to it."""
        if self._task is None or self._loop.is_closed():
            return False
        self._is_asked = True
        self._loop.call_soon_threadsafe(self._cancel)
        return True

    def is_blocked(self) -> bool:
        """Whether it was asked for, and code of the flow runs here that has not let the loop come to it.

        Not the code of others on the loop, and not the hooks of a run that has ended.
        """
        if not self._is_asked or self.done.is_set():
            return False
        flow = current_flow.get()
        if flow is None or flow.flow_run.state.type != RUNNING:
            return False
        return self._run_id in (flow.flow_run.id, flow.flow_run.root_flow_run_id)

    def raised(self) -> None:
        """That code is left by an exception now; what of the flow runs in tasks of its own may be next."""
        if self._current_task(self._loop) is self._task:
            self._has_raised = True
            self.done.set()

    def _cancel(self) -> None:
        self.done.set()
        if _own_handler() is None and self._loop.get_exception_handler() is None:
            # The exit that follows stops the loop where it is: what that leaves pending is no user's fault.
            self._loop.set_exception_handler(_unless_exiting)
        if self._task is not None and not self._has_raised:
            self._task.cancel()


def pass_on() -> bool:
    """A run was ended by SIGTERM, which goes to the own handler of the program after the last of them.

    Returns:
        Whether it has one: how the process ends is then its matter.

    Raises:
        BaseException: what the handler raises, mostly SystemExit.
    """
    global _owed
    own = _own_handler()
    # A loop of asyncio has called its own already: it learns of signals beside Python's handlers.
    of_loop = (getattr(own, "__module__", None) or "").partition(".")[0] == "asyncio"
    if own is not None and _owed and not _guards:
        _owed = False
        if not of_loop:
            own(int(signal.SIGTERM), sys._getframe())
    return own is not None


def _own_handler() -> Callable[[int, FrameType | None], Any] | None:
    """What the program does at SIGTERM where no run is open, unless that is to end, or nothing."""
    number = int(signal.SIGTERM)
    own = _before[number] if number in _before else signal.getsignal(number)
    return own if callable(own) and own is not _handle else None


async def others_ended() -> None:
    """Wait for the ends of the flows on this event loop that a signal stopped too: an exit of the process
    would leave them in the midst of it."""
    import asyncio

    until = time.monotonic() + _OTHERS_SECONDS
    while time.monotonic() < until and any(
        each.received or each.interrupted for each in _guards if each.cancellation is not None
    ):
        await asyncio.sleep(_AGAIN_SECONDS)


def _handle(number: int, frame: FrameType | None) -> None:
    newest = [each for each in reversed(_guards) if each.cancellation is None][:1]
    # Those on event loops first: they do not raise.
    for guard in [each for each in _guards if each.cancellation is not None] + newest:
        guard.take(number, frame)
    if not _guards:
        _restore()
        if signal.getsignal(number) is _handle:
            # User code found it during a flow and set it again afterwards.
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        os.kill(os.getpid(), number)


if hasattr(os, "register_at_fork"):
    # A process that the user's code forked ends as it would without us, and reports nothing.
    os.register_at_fork(after_in_child=_guards.clear)


def _unless_exiting(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if not isinstance(context.get("exception"), SystemExit) and "pending" not in context["message"]:
        loop.default_exception_handler(context)


def _restore() -> None:
    """Handle signals as before the first block; in another thread, which cannot, the next signal does."""
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
    """Whether an exception may be raised here: the innermost frame that is no library's decides."""
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
    """Whether Python's own code is taking or giving back a lock here, or importing a module."""
    module, name = frame.f_globals.get("__name__") or "", frame.f_code.co_name
    if module == "threading":
        # `Condition.wait` gives its lock up between these two variables.
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
