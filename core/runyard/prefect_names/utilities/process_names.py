"""The names of `prefect.utilities.processutils` that scripts use: commands that end with their block."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
from anyio.streams.text import TextReceiveStream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import Process

__all__ = [
    "command_from_string",
    "command_to_string",
    "consume_process_output",
    "get_sys_executable",
    "open_process",
    "run_process",
    "stream_text",
]


def get_sys_executable() -> str:
    """The current Python, quoted if a Windows shell needs it."""
    return f'"{sys.executable}"' if os.name == "nt" else sys.executable


def command_to_string(command: list[str]) -> str:
    """A command as one line."""
    return subprocess.list2cmdline(command) if os.name == "nt" else shlex.join(command)


def command_from_string(command: str) -> list[str]:
    """The words of a command line."""
    return shlex.split(command, posix=os.name != "nt")


@asynccontextmanager
async def open_process(command: list[str], **kwargs: Any) -> AsyncIterator[Process]:
    """Context manager: start a process; it is stopped if the block fails.

    Args:
        command: the program and its arguments.
        kwargs: options of `anyio.open_process`.

    Raises:
        TypeError: the command is a string.
    """
    if isinstance(command, str):
        raise TypeError(
            "the command must be a list of strings; `command_from_string` creates one from a line"
        )
    async with await anyio.open_process(command, **kwargs) as process:
        try:
            yield process
        except BaseException:
            if process.returncode is None:
                process.terminate()
            raise


async def run_process(
    command: list[str],
    *,
    stream_output: bool | tuple[Any, Any] = False,
    task_status: Any = None,
    task_status_handler: Any = None,
    **kwargs: Any,
) -> Process:
    """Run a command to its end; its `returncode` is set.

    Args:
        stream_output: whether its output is shown, or the files for its two streams.
        task_status: of a task group; receives the process when it starts.
        task_status_handler: converts the process for `task_status`.
        kwargs: options of `anyio.open_process`.
    """
    sinks = (sys.stdout, sys.stderr) if stream_output is True else stream_output or (None, None)
    async with open_process(command, **kwargs) as process:
        if task_status is not None:
            task_status.started(task_status_handler(process) if task_status_handler else process.pid)
        await consume_process_output(process, *sinks)
        await process.wait()
    return process


async def consume_process_output(process: Process, stdout_sink: Any = None, stderr_sink: Any = None) -> None:
    """Read both streams of a process to their end, into files or nowhere."""
    async with anyio.create_task_group() as group:
        for stream, sink in ((process.stdout, stdout_sink), (process.stderr, stderr_sink)):
            if stream is not None:
                group.start_soon(stream_text, TextReceiveStream(stream, errors="replace"), sink)


async def stream_text(source: TextReceiveStream, *sinks: Any) -> None:
    """Copy a text stream into files; also into those of anyio, and its streams."""
    async for item in source:
        for sink in sinks:
            if isinstance(sink, io.TextIOBase) or hasattr(sink, "flush"):
                written = sink.write(item)
                if hasattr(written, "__await__"):
                    await written
                flushed = sink.flush()
                if hasattr(flushed, "__await__"):
                    await flushed
            elif sink is not None:
                await sink.send(item)
