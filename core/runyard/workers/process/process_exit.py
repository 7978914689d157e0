"""The end of a run's process: the interpreter's exit work, without destroying all modules and objects.

Destroying them would take longer than many runs take.
"""

from __future__ import annotations

import gc
import io
import sys
import threading
from contextlib import suppress
from typing import Any

# The time limit, as a thread that does not end may hold the lock of a file.
_FILES_SECONDS = 10.0
# The types of files with unwritten data. `io.BufferedIOBase` is an abstract class: `isinstance` with it
# takes a microsecond or more; with its base class, a tenth of that.
_FILES: tuple[type, ...] = (io.TextIOWrapper, io.BufferedReader.__mro__[1])


def wind_up() -> int:
    """Wait for threads, run exit functions, and write the buffers of open files."""
    import atexit

    threading._shutdown()  # type: ignore[attr-defined]  # a forked multiprocessing process calls it too
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
    """Files that are still open. Those from before the fork belong to the launcher and are frozen."""
    streams = [stream for stream in (sys.stdin, sys.stdout, sys.stderr) if stream is not None]
    flushed = {id(each) for stream in streams for each in (stream, getattr(stream, "buffer", None))}
    return [each for each in gc.get_objects() if isinstance(each, _FILES) and id(each) not in flushed]


def _write_out(left: list[Any]) -> None:
    # A text file writes into its buffer, and the buffer into the file.
    texts = [file for file in left if isinstance(file, io.TextIOWrapper)]
    buffers = [file for file in left if not isinstance(file, io.TextIOWrapper)]
    system = [file for file in buffers if isinstance(file, (io.BufferedWriter, io.BufferedRandom))]
    # For example a file that compresses: it writes its last bytes when it is closed.
    others = [file for file in buffers if type(file).__module__ not in ("_io", "io")]
    for write in (
        *(file.flush for file in texts),
        *(file.close for file in others),
        *(file.flush for file in system),
    ):
        with suppress(Exception):
            write()
