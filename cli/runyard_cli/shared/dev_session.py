"""What `runyard dev` does beside its worker: deploy on save, and run what a person types."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from runyard_cli.shared import output as out
from runyard_cli.shared import values

if TYPE_CHECKING:
    from runyard.client import Client
    from runyard.deployments.dev.copies import Copied, Copy, Wanted
    from runyard.deployments.dev.deploy_process import DeployProcess

# How often files are looked at; also how long a typed line may wait.
_LOOK_SECONDS = 0.3
# More deployments are listed only when `l` is typed.
_SHOWN = 20
_HELP = "Type a number to run it (1 date=2026-01-01); Enter repeats, l lists, q ends."


class DevSession:
    """A thread that deploys on save and obeys typed lines, from `__enter__` to `__exit__`.

    Args:
        wanted: what to deploy.
        run: the deployment to run after each deploy, by its name or number; None: none.
        parameters: of those runs, as texts.
    """

    def __init__(
        self, wanted: Wanted, run: str | None = None, parameters: dict[str, str] | None = None
    ) -> None:
        self._wanted = wanted
        self._run = run
        self._parameters = parameters or {}
        self._copies: list[Copy] = []
        self._warnings: list[str] = []
        self._last: tuple[Copy, dict[str, str]] | None = None
        self._stopped = threading.Event()
        self._deploying: DeployProcess | None = None
        self._typed = b""
        self._reads = True
        self._thread = threading.Thread(target=self._work, name="runyard-dev", daemon=True)

    def __enter__(self) -> None:
        from runyard.workers import live_region, terminal

        if terminal.is_screen():
            terminal.set_region(live_region.ColouredOutput(sys.stdout))
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        from runyard.workers import terminal

        terminal.set_region(None)
        self._stopped.set()
        deploying = self._deploying
        if deploying is not None:
            deploying.kill()
        self._thread.join(timeout=10)

    def _work(self) -> None:
        from runyard.client import connect
        from runyard.deployments.dev.saved_files import SavedFiles
        from runyard.workers.terminal import say_to_terminal

        client = connect()
        try:
            files = SavedFiles(self._wanted.file)
            self._deploy(client, "")
            while not self._stopped.is_set():
                for line in self._lines():
                    self._obey(client, line.strip())
                saved = files.changed()
                if saved and not self._stopped.is_set():
                    more = f" and {len(saved) - 1} more" if len(saved) > 1 else ""
                    self._deploy(client, f"{saved[0]}{more} saved; ")
        except BrokenPipeError:
            pass  # the reader of the output has gone
        except OSError as error:
            say_to_terminal("ERROR", f"{error}; the session ends")
        finally:
            client.close()
            if not self._stopped.is_set():
                _stop_worker()  # a fault ended this thread

    # Deploying

    def _deploy(self, client: Client, why: str) -> None:
        from runyard.base.errors import RunyardError
        from runyard.deployments.dev.deploy_process import DeployProcess

        self._deploying = DeployProcess(self._wanted)
        try:
            copied = self._deploying.wait()
        except RunyardError as error:
            if not self._stopped.is_set():
                out.error_line(str(error))
                out.progress("Not deployed; waiting for the next save.")
            return
        finally:
            self._deploying = None
        self._tell(copied, why)
        if self._run is not None:
            chosen = self._find(self._run)
            if chosen is not None:
                self._start(client, chosen, self._parameters)

    def _tell(self, copied: Copied, why: str) -> None:
        for warning in copied.warnings:
            if warning not in self._warnings:
                out.progress(warning)
        self._warnings = copied.warnings
        before = [(each.name, each.needs) for each in self._copies]
        self._copies = copied.copies
        count = f"{len(self._copies)} deployment{'' if len(self._copies) == 1 else 's'}"
        out.done(f"{why}deployed again." if why else f"Deployed {count} to the pool '{self._wanted.pool}'.")
        if before != [(each.name, each.needs) for each in self._copies]:
            self._list(_SHOWN)

    def _list(self, most: int | None = None) -> None:
        shown = self._copies[:most]
        width = max((len(each.name) for each in shown), default=0)
        for number, each in enumerate(shown, 1):
            needs = f"  (needs {', '.join(each.needs)})" if each.needs else ""
            out.say(f"{number:>3}  {each.name:{width}}  {each.entrypoint}{needs}")
        if len(shown) < len(self._copies):
            out.say(f"     and {len(self._copies) - len(shown)} more")
        if self._reads:
            out.hint(_HELP)

    # Typed lines

    def _lines(self) -> list[str]:
        """The lines that were typed; waits for some, as long as a look at the files may wait."""
        if not self._reads or not _is_in_front():
            self._stopped.wait(_LOOK_SECONDS)
            return []
        try:
            readable, _, _ = select.select([sys.stdin], [], [], _LOOK_SECONDS)
            data = os.read(sys.stdin.fileno(), 4096) if readable else None
        except (OSError, ValueError):
            data = b""  # closed
        if data is None:
            return []
        if not data:
            self._reads = False
            return []
        *lines, self._typed = (self._typed + data).split(b"\n")
        return [line.decode(errors="replace") for line in lines]

    def _obey(self, client: Client, line: str) -> None:
        first, *rest = line.split() or [""]
        if first in ("q", "quit", "exit"):
            _stop_worker()
        elif first in ("l", "ls", "list"):
            self._list()
        elif first in ("?", "h", "help"):
            out.hint(_HELP)
        elif not first:
            again = self._last or ((self._copies[0], {}) if len(self._copies) == 1 else None)
            if again is None:
                out.hint(_HELP)
            else:
                self._start(client, *again)
        else:
            chosen = self._find(first)
            if chosen is not None:
                self._start(client, chosen, rest)

    def _find(self, word: str) -> Copy | None:
        """The copy of a number or a name; says so if there is none."""
        from runyard.base.suggestions import did_you_mean

        if word.isdecimal() and 0 < int(word) <= len(self._copies):
            return self._copies[int(word) - 1]
        ending = f"-{self._wanted.pool}"
        known: dict[str, Copy] = {}
        for each in self._copies:
            flow, _, name = each.name.rpartition("/")
            plain = name.removesuffix(ending)
            for key in (each.name, name, plain, f"{flow}/{plain}"):
                known.setdefault(key, each)
        if word not in known:
            out.error_line(
                f"no deployment {word!r} in this session{did_you_mean(word, known, 'l lists them')}"
            )
        return known.get(word)

    def _start(self, client: Client, copy: Copy, given: Any) -> None:
        """Create a run; the worker starts it."""
        from runyard.base.errors import RunyardError
        from runyard.operations.deployments.deployment_shapes import DeploymentRunCreate
        from runyard.operations.flow_runs.create_deployment_run import run_deployment

        try:
            texts = given if isinstance(given, dict) else values.typed(tuple(given))
            self._last = (copy, texts)
            body = DeploymentRunCreate(deployment=copy.name, parameter_texts=texts, strict=True)
            run = client.call(run_deployment, body).flow_run
        except RunyardError as error:
            out.error_line(str(error))
        else:
            out.say(f"Created flow run '{run.name}' of '{copy.name}'.")


def _stop_worker() -> None:
    """Stop the worker of this process, as Ctrl-C does."""
    os.kill(os.getpid(), signal.SIGINT)


def _is_in_front() -> bool:
    """Whether this process may read its terminal: one in the background would be stopped."""
    try:
        return not sys.stdin.isatty() or os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False
