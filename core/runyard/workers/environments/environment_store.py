"""The environments of this machine: found by key, created by one process at a time, removed when old.

In the folder `environments` of the home, KEY is a symbolic link to the environment's folder KEY-RANDOM. The
link is created when the folder is complete, so that no process sees an incomplete one. Two files beside it
are used during creation: KEY.lock and KEY.failed. A run holds a shared lock on the file `used` in its
environment's folder as long as its process lives; the time of that file is the latest start of a run.
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
    """An environment in use: its folder, and the open file whose lock protects it from removal."""

    folder: str
    lock: int

    @property
    def python(self) -> str:
        """The path of its interpreter."""
        return python_of(self.folder)


@dataclass(frozen=True)
class Found:
    """An environment for `environment ls`.

    Args:
        key: its name.
        folder: its folder.
        facts: written when it was created: `file`, `folder`, `installer`, `python`, `made`.
        used: when a run last started in it, in seconds since 1970.
        in_use: a run uses it now.
    """

    key: str
    folder: str
    facts: dict[str, Any]
    used: float
    in_use: bool


def python_of(folder: str) -> str:
    """The path of an environment's interpreter."""
    return os.path.join(folder, "bin", "python")


def home() -> str:
    """The folder of all environments."""
    return os.path.join(settings.home(), "environments")


def take(key: str) -> Held | None:
    """Lock an environment against removal until the lock's file is closed; None: it does not exist.

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
        # Another process removed it, or its base interpreter no longer exists.
        os.close(lock)
        _unlink_if(link, os.path.basename(folder))


@contextmanager
def making(key: str, wait: Any) -> Iterator[str]:
    """Context manager: acquire the exclusive right to create an environment; returns a new folder name.

    Removes the remains of creators that were killed. The lock ends with this process at the latest.

    Args:
        key: the key of the environment.
        wait: called if another process is creating it now.

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
    """Make a complete environment available to others. Called by its creator.

    Raises:
        OSError: it cannot be written.
    """
    for name, text in ((_FACTS, json.dumps(facts)), (_USED, "")):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    # After a power cut the link must not point to files that were not written to disk.
    os.sync()
    link = os.path.join(home(), key)
    partial = f"{folder}.link"
    os.symlink(os.path.basename(folder), partial)
    os.rename(partial, link)
    _remove_file(f"{link}.failed")


def discard(folder: str) -> None:
    """Delete a folder that did not become an environment."""
    shutil.rmtree(folder, ignore_errors=True)


def note_failure(key: str, reason: str) -> None:
    """Record for waiting processes why the environment could not be created."""
    path = os.path.join(home(), f"{key}.failed")
    try:
        os.rename(private_files.write_beside(path, reason), path)
    except OSError:
        pass  # for example, the disk is full: the waiting processes try it themselves


def failure_since(key: str, moment: float) -> str | None:
    """Why another process failed to create the environment after `moment` (seconds since 1970), or None."""
    try:
        with open(os.path.join(home(), f"{key}.failed"), encoding="utf-8") as file:
            return file.read() if os.fstat(file.fileno()).st_mtime >= moment else None
    except FileNotFoundError:
        return None


def listed() -> list[Found]:
    """All environments, the most recently used first."""
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
    """Remove an environment; False if a run uses it or it does not exist."""
    return _evict(key, lambda used: True)


def evict_old() -> list[str]:
    """Remove environments that no run has used for `environments_keep_days`, and remains of killed creators.

    Returns:
        The keys of the removed environments.
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
        # A process that opened the file before sees after our unlock that the folder is gone.
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
    """Remove everything that is not an environment: remains of killed processes."""
    linked = {_target(key) for key in _keys()}
    for name in _names():
        path = os.path.join(home(), name)
        if name.startswith(_TRASH):
            discard(path)
            continue
        key = name.partition(".")[0].partition("-")[0]
        if name == key or name in linked:
            continue
        # A living creator holds the lock. If the lock is free, all remains are useless but the lock file.
        lock = _lock(key, None)
        if lock is not None:
            if name.endswith((".lock", ".failed")):
                _remove_file(path)
            else:
                _clear(key)
            os.close(lock)


def _clear(key: str) -> None:
    """Remove the incomplete folders of a key. Called by the holder of its lock."""
    target = _target(key)
    for name in _names():
        path = os.path.join(home(), name)
        if name.startswith(f"{key}-") and name != target:
            _remove_file(path) if os.path.islink(path) else _discard_unused(path)
        elif name.startswith(f"{key}.failed."):
            _remove_file(path)


def _discard_unused(folder: str) -> None:
    """Remove a folder without a link, unless a run still uses it."""
    try:
        lock = os.open(os.path.join(folder, _USED), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        discard(folder)
        return
    if _exclusive(lock):
        discard(folder)
    os.close(lock)


def _lock(key: str, wait: Any) -> Any:
    """Open and lock the lock file of a key; without `wait`, None if another process holds the lock."""
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
        os.close(lock)  # the file was removed meanwhile: lock the new one


def _exclusive(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is(lock: int, path: str) -> bool:
    """Whether an open file is still the file at a path."""
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
    """Remove a link if it still points to `target`."""
    try:
        if os.readlink(link) == target:
            os.unlink(link)
    except OSError:
        pass  # another process deleted it


def _remove_file(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
