"""The end of a run's process: what an interpreter does for the program, without taking itself apart.

That would take longer than many a run: every module and every object is given back before the memory is.
"""

from __future__ import annotations

import gc
import io
import sys
import threading
from contextlib import suppress

# A thread of the program that does not end may hold the lock of a file.
_FILES_SECONDS = 10.0


def wind_up() -> int:
    """Wait for threads, run what was registered for the exit, and write out what open files still hold."""
    import atexit

    threading._shutdown()  # type: ignore[attr-defined]  # what a forked multiprocessing process calls too
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    files = threading.Thread(target=_write_out, daemon=True)
    files.start()
    files.join(_FILES_SECONDS)
    return 0


def _write_out() -> None:
    """Of files that were opened and never closed; those from before a fork are the launcher's, and frozen."""
    left = [each for each in gc.get_objects() if isinstance(each, io.IOBase)]
    # What is in a text is written into what is below it, and that into the file.
    texts = [file for file in left if isinstance(file, io.TextIOWrapper)]
    buffers = [file for file in left if isinstance(file, io.BufferedIOBase)]
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
