"""The end of a run's process: what an interpreter does for the program, without taking itself apart.

That would take longer than many a run: every module and every object is given back before the memory is.
"""

from __future__ import annotations

import gc
import io
import sys
import threading
from contextlib import suppress
from typing import Any

# A thread of the program that does not end may hold the lock of a file.
_FILES_SECONDS = 10.0
# What files with contents in memory are. `io.BufferedIOBase` itself is an abstract class: to ask whether an
# object is one takes a microsecond and more, of its base a tenth of it.
_FILES: tuple[type, ...] = (io.TextIOWrapper, io.BufferedReader.__mro__[1])


def wind_up() -> int:
    """Wait for threads, run what was registered for the exit, and write out what open files still hold."""
    import atexit

    threading._shutdown()  # type: ignore[attr-defined]  # what a forked multiprocessing process calls too
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    left = _open_files()
    if left:
        files = threading.Thread(target=_write_out, args=(left,), daemon=True)
        files.start()
        files.join(_FILES_SECONDS)
    return 0


def _open_files() -> list[Any]:
    """That were opened and never closed; those from before a fork are the launcher's, and frozen."""
    streams = [stream for stream in (sys.stdin, sys.stdout, sys.stderr) if stream is not None]
    flushed = {id(each) for stream in streams for each in (stream, getattr(stream, "buffer", None))}
    return [each for each in gc.get_objects() if isinstance(each, _FILES) and id(each) not in flushed]


def _write_out(left: list[Any]) -> None:
    # What is in a text is written into what is below it, and that into the file.
    texts = [file for file in left if isinstance(file, io.TextIOWrapper)]
    buffers = [file for file in left if not isinstance(file, io.TextIOWrapper)]
    system = [file for file in buffers if isinstance(file, (io.BufferedWriter, io.BufferedRandom))]
    # Such as one that compresses: its last bytes are written when it is closed.
    others = [file for file in buffers if type(file).__module__ not in ("_io", "io")]
    for write in (
        *(file.flush for file in texts),
        *(file.close for file in others),
        *(file.flush for file in system),
    ):
        with suppress(Exception):
            write()
