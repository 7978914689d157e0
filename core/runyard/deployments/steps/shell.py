"""The steps that work on this machine: set_working_directory, run_shell_script, pip_install_requirements."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import IO, Any

from runyard.base.errors import InvalidInput, RunyardError


def set_working_directory(directory: str) -> dict[str, str]:
    """Change the current directory.

    Args:
        directory: relative to the current one.

    Returns:
        directory: its absolute path.

    Raises:
        InvalidInput: the directory does not exist.
    """
    path = os.path.abspath(os.path.expanduser(directory))
    if not os.path.isdir(path):
        raise InvalidInput(f"directory {path} not found")
    os.chdir(path)
    return {"directory": path}


def run_shell_script(
    script: str,
    directory: str | None = None,
    env: Mapping[str, Any] | None = None,
    stream_output: bool = True,
    expand_env_vars: bool = False,
    shell: bool = False,
) -> dict[str, str]:
    """Run commands, one per line, until one fails.

    Args:
        script: the commands; empty lines and lines starting with # are skipped.
        directory: where they run; default: the current one.
        env: more environment variables.
        stream_output: show the output while they run.
        expand_env_vars: replace $NAME in the commands.
        shell: pass the whole script to the shell, with its pipes, loops and &&.

    Returns:
        stdout and stderr: the output, without surrounding whitespace.

    Raises:
        RunyardError: a command was not found, or its exit code was not 0.
    """
    environment = {**os.environ, **{name: str(value) for name, value in (env or {}).items()}}
    if expand_env_vars:
        script = _expand(script, environment)
    commands: list[str | list[str]]
    if shell:
        commands = [script]
    else:
        lines = (line.strip() for line in script.splitlines())
        commands = [shlex.split(line) for line in lines if line and not line.startswith("#")]
    printed: tuple[list[str], list[str]] = ([], [])
    for command in commands:
        _run(command, directory, environment, stream_output, printed)
    return {"stdout": "".join(printed[0]).strip(), "stderr": "".join(printed[1]).strip()}


def pip_install_requirements(
    directory: str | None = None,
    requirements_file: str = "requirements.txt",
    stream_output: bool = True,
) -> dict[str, str]:
    """Install a requirements file into this interpreter's environment.

    Args:
        directory: the folder of the file; default: the current one.
        requirements_file: its name.
        stream_output: show pip's output while it runs.

    Returns:
        stdout and stderr of pip.

    Raises:
        InvalidInput: the file does not exist.
        RunyardError: pip failed.
    """
    file = os.path.join(directory or os.getcwd(), requirements_file)
    if not os.path.isfile(file):
        raise InvalidInput(f"file {file} not found")
    command = [sys.executable, "-m", "pip", "install", "-r", requirements_file]
    return run_shell_script(shlex.join(command), directory=directory, stream_output=stream_output)


def _expand(script: str, environment: Mapping[str, str]) -> str:
    from string import Template

    return Template(script).safe_substitute(environment)


def _run(
    command: str | list[str],
    directory: str | None,
    environment: dict[str, str],
    stream_output: bool,
    printed: tuple[list[str], list[str]],
) -> None:
    shown = command if isinstance(command, str) else shlex.join(command)
    try:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            shell=isinstance(command, str),  # as `shell: true` requests
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise RunyardError(f"{shown!r} cannot run: {error.strerror}: {error.filename}") from error
    with process:
        readers = [
            threading.Thread(target=_copy, args=(pipe, lines, sink if stream_output else None))
            for pipe, lines, sink in zip(
                (process.stdout, process.stderr), printed, (sys.stdout, sys.stderr), strict=True
            )
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    if process.returncode:
        last = "".join(printed[1]).strip().splitlines()[-1:]
        detail = f": {last[0]}" if last else ""
        raise RunyardError(f"{shown!r} ended with exit code {process.returncode}{detail}")


def _copy(pipe: IO[str], lines: list[str], sink: IO[str] | None) -> None:
    for line in pipe:
        lines.append(line)
        if sink is not None:
            sink.write(line)
            sink.flush()
