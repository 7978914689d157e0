"""Files and folders that only their owner can read, regardless of the umask."""

from __future__ import annotations

import os

FOLDER_MODE = 0o700
FILE_MODE = 0o600


def make_folder(path: str) -> None:
    """Create a folder that only its owner can enter; an existing one keeps its mode.

    Missing parent folders are created in the same way.

    Raises:
        OSError: it cannot be created.
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
    # The umask may also have removed rights of the owner.
    os.chmod(path, FOLDER_MODE)


def make_file(path: str) -> int:
    """Create a file that only its owner can read, and return its descriptor, open for writing.

    Raises:
        FileExistsError: it exists.
        OSError: it cannot be created.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    os.fchmod(handle, FILE_MODE)
    return handle


def write_beside(path: str, text: str) -> str:
    """Write a text into a new private file beside `path`, to be moved there, and return its name.

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
    """Write a private file unless it exists; other processes never see a partial file.

    Returns:
        Whether it was written; False if the file existed.

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
