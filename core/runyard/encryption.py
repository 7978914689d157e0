"""Encryption at rest: Fernet with a key that is a setting, or a private file in the home."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runyard import settings
from runyard.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY_FILE = "secret.key"
_made: tuple[str, Any] | None = None


def encrypt(text: str) -> str:
    """A token of a text; the key is made when there is none.

    Raises:
        SettingError: the key is none.
    """
    token: bytes = _fernet().encrypt(text.encode())
    return token.decode()


def decrypt(token: str) -> str:
    """The text of a token.

    Raises:
        SettingError: another key encrypted it.
    """
    from cryptography.fernet import InvalidToken

    try:
        text: bytes = _fernet().decrypt(token.encode())
    except InvalidToken:
        raise SettingError(
            f"the secrets in this database were encrypted with another key; put it into {key_path()}, "
            "or set RUNYARD_ENCRYPTION_KEY"
        ) from None
    return text.decode()


def key_path() -> str:
    """Where the key file is."""
    return os.path.join(settings.home(), KEY_FILE)


def new_key() -> str:
    """A fresh key."""
    from cryptography.fernet import Fernet

    return str(Fernet.generate_key().decode())


def keys() -> list[str]:
    """The keys in use, the newest first: of the setting, else of the key file, which is made if missing."""
    given = settings.get("encryption_key")
    text = given or _read_file() or _make_file(new_key())
    return [key.strip() for key in text.replace(",", "\n").split("\n") if key.strip()]


@contextmanager
def changing_keys() -> Iterator[None]:
    """A block that one process at a time is in: two that change keys would take them from each other."""
    import fcntl

    keys()
    handle = os.open(settings.home(), os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write_keys(given: list[str]) -> None:
    """Replace the keys in the file, whole or not at all.

    Raises:
        SettingError: the keys come from the setting, which only its owner can change.
    """
    if settings.get("encryption_key"):
        raise SettingError(
            "the key is given by RUNYARD_ENCRYPTION_KEY; put a new one in front of it, separated by a "
            "comma, and rotate again"
        )
    partial = _write_private("\n".join(given) + "\n")
    os.replace(partial, key_path())


def _fernet() -> Any:
    global _made
    found = keys()
    text = "\n".join(found)
    if _made is None or _made[0] != text:
        from cryptography.fernet import Fernet, MultiFernet

        try:
            _made = (text, MultiFernet([Fernet(key) for key in found]))
        except ValueError:
            where = "RUNYARD_ENCRYPTION_KEY" if settings.get("encryption_key") else key_path()
            raise SettingError(
                f"{where} holds no Fernet key: 32 bytes as URL-safe base64, 44 characters"
            ) from None
    return _made[1]


def _read_file() -> str:
    try:
        with open(key_path(), encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise SettingError(f"{key_path()} cannot be read: {error.strerror}") from None


def _make_file(key: str) -> str:
    """Make the key file; if another process was quicker, its key counts."""
    partial = _write_private(key + "\n")
    try:
        os.link(partial, key_path())
    except FileExistsError:
        return _read_file()
    finally:
        os.unlink(partial)
    return key


def _write_private(text: str) -> str:
    """A file beside the key file that only its owner can read; its path."""
    try:
        os.makedirs(settings.home(), mode=0o700, exist_ok=True)
        partial = f"{key_path()}.{os.getpid()}.{os.urandom(4).hex()}"
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise SettingError(f"the key cannot be written to {settings.home()}: {error.strerror}") from None
    return partial
