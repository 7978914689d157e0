"""The environments of this machine: found by key, made by one process at a time, removed when old.

In the folder `environments` of the home, KEY is a link to the environment's folder KEY-RANDOM. The link is
made when the folder is ready, so that no process sees a part of one. Two files beside it belong to its
making: KEY.lock and KEY.failed. A run holds a shared lock on the file `used` of its environment's folder as
long as its process lives; the time of that file is that of the latest start.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from runyard import settings
from runyard.base import private_files

_USED, _FACTS, _TRASH = "used", "runyard.json", "trash-"
_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Held:
    """An environment in use: its folder, and the open file whose lock keeps it."""

    folder: str
    lock: int

    @property
    def python(self) -> str:
        """Its interpreter."""
        return python_of(self.folder)


@dataclass(frozen=True)
class Found:
    """An environment as `environment ls` shows it.

    Args:
        key: its name.
        folder: where it is.
        facts: what was written down when it was made: `file`, `folder`, `installer`, `made`.
        used: when a run last started in it, in seconds since 1970.
        in_use: a run has it now.
    """

    key: str
    folder: str
    facts: dict[str, Any]
    used: float
    in_use: bool


def python_of(folder: str) -> str:
    """The interpreter of an environment."""
    return os.path.join(folder, "bin", "python")


def home() -> str:
    """The folder of all environments."""
    return os.path.join(settings.home(), "environments")


def take(key: str) -> Held | None:
    """Use an environment: it is not removed before the lock's file is closed. None: there is none.

    Raises:
        OSError: it cannot be read.
    """
    link = os.path.join(home(), key)
    while True:
        try:
            folder = os.path.join(home(), os.readlink(link))
            lock = os.open(os.path.join(folder, _USED), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        fcntl.flock(lock, fcntl.LOCK_SH)
        if _is(lock, os.path.join(folder, _USED)) and os.path.exists(python_of(folder)):
            os.utime(lock)
            return Held(folder, lock)
        # It was removed meanwhile, or the interpreter that it was made of is gone.
        os.close(lock)
        _unlink_if(link, os.path.basename(folder))


@contextmanager
def making(key: str, wait: Any) -> Iterator[str]:
    """Be the only process that makes this environment; gives a new name for its folder.

    What earlier makers left, who were killed, is removed. The lock goes with this process, however it ends.

    Args:
        key: of the environment.
        wait: called when another process makes it now.

    Raises:
        OSError: the home cannot be written.
    """
    private_files.make_folder(home())
    lock = _lock(key, wait)
    try:
        _clear(key)
        yield os.path.join(home(), f"{key}-{os.urandom(4).hex()}")
    finally:
        os.close(lock)


def publish(key: str, folder: str, facts: dict[str, Any]) -> None:
    """Let others use an environment that is ready. To be called by its maker.

    Raises:
        OSError: it cannot be written.
    """
    for name, text in ((_FACTS, json.dumps(facts)), (_USED, "")):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    # A link that outlives a power cut must not lead to files that did not.
    os.sync()
    link = os.path.join(home(), key)
    partial = f"{folder}.link"
    os.symlink(os.path.basename(folder), partial)
    os.rename(partial, link)
    _remove_file(f"{link}.failed")


def discard(folder: str) -> None:
    """Remove a folder that did not become an environment."""
    shutil.rmtree(folder, ignore_errors=True)


def note_failure(key: str, reason: str) -> None:
    """Tell those who wait for this environment why it could not be made."""
    path = os.path.join(home(), f"{key}.failed")
    try:
        os.rename(private_files.write_beside(path, reason), path)
    except OSError:
        pass  # the disk is full, it may be: they find out for themselves


def failure_since(key: str, moment: float) -> str | None:
    """Why the environment could not be made by another process after a moment, in seconds since 1970."""
    try:
        with open(os.path.join(home(), f"{key}.failed"), encoding="utf-8") as file:
            return file.read() if os.fstat(file.fileno()).st_mtime >= moment else None
    except FileNotFoundError:
        return None


def listed() -> list[Found]:
    """All environments, those used last first."""
    found = []
    for key in _keys():
        folder = os.path.join(home(), _target(key) or "")
        try:
            lock = os.open(os.path.join(folder, _USED), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            used = os.fstat(lock).st_mtime
            found.append(Found(key, folder, _facts(folder), used, not _exclusive(lock)))
        finally:
            os.close(lock)
    return sorted(found, key=lambda each: -each.used)


def remove(key: str) -> bool:
    """Remove an environment; False when a run has it, or it is not there."""
    return _evict(key, lambda used: True)


def evict_old() -> list[str]:
    """Remove the environments that no run has used for `environments_keep_days`, and what killed makers left.

    Returns:
        The keys of those that were removed.
    """
    if not os.path.isdir(home()):
        return []
    days: float = settings.get("environments_keep_days")
    oldest = time.time() - days * _DAY_SECONDS
    gone = [key for key in _keys() if days and _evict(key, lambda used: used < oldest)]
    _sweep()
    return gone


def _evict(key: str, is_old: Any) -> bool:
    link, target = os.path.join(home(), key), _target(key)
    if target is None:
        return False
    folder = os.path.join(home(), target)
    try:
        lock = os.open(os.path.join(folder, _USED), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        _unlink_if(link, target)
        return False
    try:
        if not _exclusive(lock) or not is_old(os.fstat(lock).st_mtime):
            return False
        # Whoever opened the file before sees that it is gone once we let go of it.
        trash = os.path.join(home(), f"{_TRASH}{os.path.basename(folder)}")
        _unlink_if(link, target)
        try:
            os.rename(folder, trash)
        except FileNotFoundError:
            return False
    finally:
        os.close(lock)
    discard(trash)
    return True


def _sweep() -> None:
    """Remove what is no environment: of makers and removers who were killed."""
    linked = {_target(key) for key in _keys()}
    for name in _names():
        path = os.path.join(home(), name)
        if name.startswith(_TRASH):
            discard(path)
            continue
        key = name.partition(".")[0].partition("-")[0]
        if name == key or name in linked:
            continue
        # Its maker holds the lock; where none does, what is left is of no use but the lock's own file.
        lock = _lock(key, None)
        if lock is not None:
            if name.endswith((".lock", ".failed")):
                _remove_file(path)
            else:
                _clear(key)
            os.close(lock)


def _clear(key: str) -> None:
    """Remove the folders of a key that are not ready; by the holder of its lock."""
    target = _target(key)
    for name in _names():
        path = os.path.join(home(), name)
        if name.startswith(f"{key}-") and name != target:
            _remove_file(path) if os.path.islink(path) else _discard_unused(path)
        elif name.startswith(f"{key}.failed."):
            _remove_file(path)


def _discard_unused(folder: str) -> None:
    """Remove a folder that no link leads to, unless a run still has it."""
    try:
        lock = os.open(os.path.join(folder, _USED), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        discard(folder)
        return
    if _exclusive(lock):
        discard(folder)
    os.close(lock)


def _lock(key: str, wait: Any) -> Any:
    """The open and locked file of a key; with no `wait`, None when another process has it."""
    path = os.path.join(home(), f"{key}.lock")
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, private_files.FILE_MODE)
        if not _exclusive(lock):
            if wait is None:
                os.close(lock)
                return None
            wait()
            fcntl.flock(lock, fcntl.LOCK_EX)
        if _is(lock, path):
            return lock
        os.close(lock)  # it was swept away: the next one counts


def _exclusive(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is(lock: int, path: str) -> bool:
    """Whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(lock), os.stat(path))
    except FileNotFoundError:
        return False


def _names() -> list[str]:
    try:
        return sorted(os.listdir(home()))
    except FileNotFoundError:
        return []


def _keys() -> list[str]:
    return [name for name in _names() if "." not in name and os.path.islink(os.path.join(home(), name))]


def _target(key: str) -> str | None:
    try:
        return os.readlink(os.path.join(home(), key))
    except OSError:
        return None


def _facts(folder: str) -> dict[str, Any]:
    try:
        with open(os.path.join(folder, _FACTS), encoding="utf-8") as file:
            facts: dict[str, Any] = json.load(file)
            return facts
    except (OSError, ValueError):
        return {}


def _unlink_if(link: str, target: str) -> None:
    """Remove a link that still leads there."""
    try:
        if os.readlink(link) == target:
            os.unlink(link)
    except OSError:
        pass  # another process removed it


def _remove_file(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
