"""Files and folders that only their owner may read, whatever the umask of the process says."""

from __future__ import annotations

import os

FOLDER_MODE = 0o700
FILE_MODE = 0o600


def make_folder(path: str) -> None:
    """Make a folder that only its owner can enter; one that exists keeps its mode.

    Missing folders above it are made in the same way.

    Raises:
        OSError: it cannot be made.
    """
    if os.path.isdir(path):
        return
    above = os.path.dirname(path)
    if above and above != path:
        make_folder(above)
    try:
        os.mkdir(path, FOLDER_MODE)
    except FileExistsError:
        if not os.path.isdir(path):
            raise
        return
    # The umask may have taken rights from the owner as well.
    os.chmod(path, FOLDER_MODE)


def make_file(path: str) -> int:
    """Make a new file that only its owner can read; its descriptor, open for writing.

    Raises:
        FileExistsError: it is there already.
        OSError: it cannot be made.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    os.fchmod(handle, FILE_MODE)
    return handle


def write_beside(path: str, text: str) -> str:
    """Write a text into a new private file in the folder of `path`, to be moved there; its name.

    Raises:
        OSError: it cannot be written.
    """
    make_folder(os.path.dirname(path))
    partial = f"{path}.{os.getpid()}.{os.urandom(4).hex()}"
    with os.fdopen(make_file(partial), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return partial


def write_once(path: str, text: str) -> bool:
    """Write a private file unless it exists; another process never sees a part of it.

    Returns:
        Whether it was written: False where the file existed.

    Raises:
        OSError: it cannot be written.
    """
    partial = write_beside(path, text)
    try:
        os.link(partial, path)
    except FileExistsError:
        return False
    finally:
        os.unlink(partial)
    return True
