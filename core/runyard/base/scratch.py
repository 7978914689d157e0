"""Temporary folders.

Each folder is locked by the processes that use it. The next worker that cleans up removes the folders
without a lock, which killed processes left behind.
"""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import tempfile
import threading

_PREFIX = "runyard-scratch-"


class Scratch:
    """Create a folder that exists until it is removed or its users have ended."""

    def __init__(self) -> None:
        file = None
        while file is None:  # a cleanup may have run before the lock
            self.path = tempfile.mkdtemp(prefix=_PREFIX)
            file = hold(self.path)
        self._file = file
        self._process = os.getpid()

    def remove(self) -> None:
        """Remove the folder and its content; in a forked copy of the process, do nothing."""
        if self._process == os.getpid():
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._file)

    def remove_soon(self) -> None:
        """Remove the folder; if it is not empty, in a separate process, because a clone may take long."""
        try:
            os.rmdir(self.path)
        except OSError:
            threading.Thread(target=self.remove, name="runyard-scratch").start()
        else:
            os.close(self._file)


def hold(path: str) -> int | None:
    """Lock a folder while a file is open, here or in a process that inherits it.

    Returns:
        The file; None if the folder is gone or about to be removed.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    except OSError:
        return file  # no locks on this system: then nothing is cleaned up either
    try:
        if os.path.samestat(os.fstat(file), os.stat(path)):
            return file
    except OSError:
        pass
    os.close(file)
    return None


def sweep() -> None:
    """Remove the folders of this user that no process uses."""
    for path in glob.glob(os.path.join(glob.escape(tempfile.gettempdir()), f"{_PREFIX}*")):
        try:
            file = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            if os.fstat(file).st_uid == os.geteuid():
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
        except OSError:
            pass  # a process uses it
        finally:
            os.close(file)
