"""Finds or creates the environment of a run: with uv if it is installed, else with venv and pip."""

from __future__ import annotations

import collections
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from runyard import settings
from runyard.base import clock, redaction
from runyard.base.errors import InvalidInput, RunyardError, bounded
from runyard.base.texts import visible
from runyard.base.url_passwords import hidden
from runyard.workers.environments import environment_store
from runyard.workers.environments.own_wheel import NAME, Installation
from runyard.workers.environments.requirement_files import LOCK, Wanted
from runyard.workers.environments.requires_python import suits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Changes when the way of creating environments changes.
_FORMAT = "1"
_KEY_CHARACTERS = 16
_TAIL_LINES = 30
_MOST_REASON = 1200
_ERROR = re.compile(r"\W*(error|fatal)\b|\s*×", re.IGNORECASE)
_NO_ANSWER = re.compile("WARNING: Retrying")
# Variables that would make an installer use other folders, or import modules from elsewhere.
_DROPPED = re.compile(
    r"PYTHON|VIRTUAL_ENV$|CONDA_PREFIX$|__PYVENV|(PIP|UV)_(USER|TARGET|PREFIX|ROOT|PYTHON|REQUIRE_)"
)
_QUIET = {
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PIP_PROGRESS_BAR": "off",
    "UV_NO_PROGRESS": "1",
    "NO_COLOR": "1",
    "GIT_TERMINAL_PROMPT": "0",
}
_VERSION = "import sys; print('.'.join(map(str, sys.version_info[:3])))"
# The modules that every run needs.
_CHECK = "import runyard.workers.process.child, runyard.engine.entry, runyard.client"


def environment_for(
    wanted: Wanted, python: str | None, say: Callable[[str], None], may_make: bool = True
) -> environment_store.Held:
    """Find the environment of a project, or create it.

    Args:
        wanted: its requirements.
        python: the base interpreter; default: that of this process.
        say: prints one progress line.
        may_make: whether it may be created now.

    Raises:
        RunyardError: it cannot be created; the text is for the run's state.
    """
    installation = Installation()
    try:
        interpreter = _interpreter(python)
        key = _key(wanted, interpreter, installation)
        held = environment_store.take(key)
        if held is None and not may_make:
            raise RunyardError(f"the environment of {wanted.file} was not created")
        if held is None:
            held = _made(key, wanted, interpreter, installation, say)
        else:
            say(f"Environment {key} of {wanted.file}")
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        raise RunyardError(
            f"the environment of {wanted.file} cannot be created: {error.strerror}{where}"
        ) from error
    return held


def _interpreter(python: str | None) -> str:
    if python is None:
        return sys.executable
    found = shutil.which(os.path.expanduser(python))
    if found is None:
        raise InvalidInput(f"python: interpreter {python!r} not found on this machine")
    return os.path.abspath(found)


def _key(wanted: Wanted, interpreter: str, installation: Installation) -> str:
    """Compute the key, which environments with the same content share."""
    base = os.path.realpath(interpreter)
    told = os.stat(base)
    parts = [
        _FORMAT, wanted.digest, base, told.st_size, told.st_mtime_ns, sysconfig.get_platform(),
        installation.version, installation.digest(), *_extras(),
    ]  # fmt: skip
    return hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()[
        :_KEY_CHARACTERS
    ]


def _extras() -> list[str]:
    """The extras of Runyard that a run needs to reach the worker's database."""
    local = not settings.get("api_url")
    return ["postgres"] if local and settings.database_url().startswith("postgres") else []


def _made(
    key: str, wanted: Wanted, interpreter: str, installation: Installation, say: Callable[[str], None]
) -> environment_store.Held:
    asked_at = time.time()
    with environment_store.making(
        key, lambda: say(f"Another run is creating the environment {key} of {wanted.file}; waiting")
    ) as folder:
        held = environment_store.take(key)
        if held is not None:
            return held
        reason = environment_store.failure_since(key, asked_at)
        if reason is not None:
            raise RunyardError(reason)
        maker = _Maker(wanted, interpreter, installation, folder, say)
        try:
            maker.make(key)
        except (RunyardError, OSError) as error:
            environment_store.discard(folder)
            if isinstance(error, RunyardError):
                environment_store.note_failure(key, str(error))
            raise
        held = environment_store.take(key)
        if held is None:
            raise RunyardError(f"the environment {key} was removed right after its creation")
        return held


class _Maker:
    """Creates one environment.

    Args:
        wanted: its requirements.
        interpreter: the base interpreter.
        installation: the local installation of Runyard.
        folder: the folder to create; does not exist yet.
        say: prints one line.
    """

    def __init__(
        self,
        wanted: Wanted,
        interpreter: str,
        installation: Installation,
        folder: str,
        say: Callable[[str], None],
    ) -> None:
        self.wanted = wanted
        self.interpreter = interpreter
        self.installation = installation
        self.folder = folder
        self.folder_of_project = os.path.dirname(wanted.path)
        self.python = environment_store.python_of(folder)
        self.files = os.path.join(folder, "files")
        self.say = say
        self.uv = find_uv()
        self.environment = {
            name: value for name, value in os.environ.items() if not _DROPPED.match(name)
        } | _QUIET
        redaction.register(_secrets(wanted))

    def make(self, key: str) -> None:
        """Create the environment and make it available to others.

        Raises:
            RunyardError: it cannot be created.
            OSError: the disk is full, or the home cannot be written.
        """
        if self.wanted.needs_uv and self.uv is None:
            raise RunyardError(
                f"the environment of {self.wanted.file} cannot be created: {self.wanted.needs_uv}, and uv "
                "is not installed on the worker's machine; install uv there, or name a requirements file, "
                "such as environment: requirements.txt"
            )
        begun = time.monotonic()
        by = "uv" if self.uv else "pip"
        self.say(f"Creating the environment {key} of {self.wanted.file} with {by}")
        pip = self._new()
        self._check_python()
        os.mkdir(self.files)
        self._install(pip)
        self._run([self.python, "-I", "-c", _CHECK], "the check of the environment")
        shutil.rmtree(self.files)
        facts = {
            "file": self.wanted.file,
            "folder": self.folder_of_project,
            "installer": by,
            "python": self.interpreter,
            "made": clock.format_time(clock.now()),
        }
        environment_store.publish(key, self.folder, facts)
        self.say(f"Environment {key} created in {time.monotonic() - begun:.1f} s: {self.folder}")

    def _new(self) -> list[str]:
        """Create an empty environment; return the command of its installer."""
        if self.uv:
            self._run(
                [self.uv, "venv", "--quiet", "--no-project", "--python", self.interpreter, self.folder],
                "uv venv",
            )
            return [self.uv, "pip"]
        if importlib.util.find_spec("pip") is not None:
            # The worker's pip installs into it: installing pip there would take seconds.
            self._run([self.interpreter, "-I", "-m", "venv", "--without-pip", self.folder], "venv")
            return [sys.executable, "-I", "-m", "pip", "--python", self.python]
        self._run([self.interpreter, "-I", "-m", "venv", self.folder], "venv")
        return [self.python, "-I", "-m", "pip"]

    def _check_python(self) -> None:
        """Check `requires-python` of the project; installers check only that of its packages."""
        if not self.wanted.python:
            return
        [version] = self._run([self.python, "-I", "-c", _VERSION], "the environment's Python", quiet=True)
        if not suits(tuple(map(int, version.split("."))), self.wanted.python):
            raise RunyardError(
                f"the environment of {self.wanted.file} cannot be created: it requires Python "
                f"{self.wanted.python}, and {self.interpreter} is {version}; set the job variable python to "
                "another interpreter"
            )

    def _install(self, pip: list[str]) -> None:
        extras = f"[{','.join(_extras())}]" if _extras() else ""
        wheel = Path(self.installation.write_wheel(self.files)).as_uri()
        own = self._write("runyard.txt", [f"{NAME}{extras} @ {wheel}"])
        project = self._project()
        if not self.wanted.hashed:
            self._pip(pip, "-r", project, "-r", own)
            return
        # If one requirement has a hash, all need one. So Runyard is installed second; the rest stays.
        self._pip(pip, "-r", project)
        command = [*pip, "list", "--format", "freeze", *self._target()]
        there = self._run(command, "the list of packages", quiet=True)
        fixed = self._write(
            "fixed.txt", [line for line in there if re.fullmatch(r"[A-Za-z0-9._-]+==\S+", line)]
        )
        self._pip(pip, "-r", own, "-c", fixed)

    def _project(self) -> str:
        """The path of the project's requirements file, or of a copy for the installer."""
        if self.wanted.requirements is not None:
            return self._write("project.txt", self.wanted.requirements)
        if os.path.basename(self.wanted.path) != LOCK:
            return self.wanted.path
        exported = os.path.join(self.files, "lock.txt")
        options = ["--frozen", "--no-dev", "--no-emit-project", "--format", "requirements-txt"]
        command = [self.uv or "uv", "export", "--quiet", *options, "--output-file", exported]
        self._run(command, "uv export")
        return exported

    def _pip(self, pip: list[str], *arguments: str) -> None:
        # A run compiles the modules that it imports, once; compiling all takes longer than installing them.
        options = self._target() if self.uv else ["--no-compile"]
        self._run([*pip, "install", *options, *arguments], "uv pip install" if self.uv else "pip install")

    def _target(self) -> list[str]:
        return ["--python", self.python] if self.uv else []

    def _write(self, name: str, lines: Sequence[str]) -> str:
        path = os.path.join(self.files, name)
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
        return path

    def _run(self, command: list[str], name: str, quiet: bool = False) -> list[str]:
        """Run a program in the project's folder, print its output without passwords, return the last lines.

        The program is in the run's process group, so that it ends with the run.
        """
        tail: collections.deque[str] = collections.deque(maxlen=None if quiet else _TAIL_LINES)
        with subprocess.Popen(
            command,
            cwd=self.folder_of_project,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        ) as process:
            for line in process.stdout or ():
                line = redaction.redact(hidden(self._shortened(line.rstrip())))
                if line:
                    tail.append(line)
                    if not quiet:
                        self.say(line)
        if process.returncode:
            code = process.returncode
            how = f"exit code {code}" if code > 0 else f"signal {-code}"
            reason = _reason(list(tail))
            raise RunyardError(
                f"the environment of {self.wanted.file} could not be created: {name} ended with {how}"
                + (f": {reason}" if reason else "")
            )
        return list(tail)

    def _shortened(self, line: str) -> str:
        """Remove the path of the folder of temporary files from a line."""
        for prefix in (f"{Path(self.files).as_uri()}/", f"{self.files}{os.sep}"):
            line = line.replace(prefix, "")
        return line


def _secrets(wanted: Wanted) -> list[str]:
    """The secrets of an installer: variables that the requirements use, and passwords of package indexes."""
    found = [os.environ.get(name, "") for name in wanted.variables]
    for name, value in os.environ.items():
        if not name.startswith(("PIP_", "UV_")):
            continue
        if re.search("PASSWORD|TOKEN", name):
            found.append(value)
        # pip accepts several URLs, separated by spaces.
        for word in value.split():
            try:
                password = urlsplit(word).password
            except ValueError:
                continue
            found += [password, unquote(password)] if password else []
    return found


def _reason(tail: list[str]) -> str:
    """Join the last lines of an installer into one, beginning at the first line with an error."""
    # pip's last lines only say that the index has no such package.
    network = "an index did not answer: " if any(map(_NO_ANSWER.match, tail)) else ""
    lines = [line for line in tail if not line.startswith(("[notice]", "WARNING:"))]
    first = next((at for at, line in enumerate(lines) if _ERROR.match(line)), max(len(lines) - 3, 0))
    text = " ".join(visible(line).strip(" \t│╰─▶×") for line in lines[first:])
    return bounded(f"{network}{text}", _MOST_REASON)


def find_uv() -> str | None:
    """Find the program uv: on PATH, beside this interpreter, or where its installer puts it."""
    beside = os.path.dirname(sys.executable)
    places = [
        os.environ.get("PATH") or os.defpath,
        beside,
        *map(os.path.expanduser, ("~/.local/bin", "~/.cargo/bin")),
    ]
    return shutil.which("uv", path=os.pathsep.join(places))
