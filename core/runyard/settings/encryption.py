"""Encryption at rest: Fernet with a key that is a setting, or a private file in the home."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runyard import settings
from runyard.base import private_files
from runyard.base.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY_FILE = "secret.key"
_OR_DELETE = (
    " (without a backup: delete the saved blocks with `runyard block delete --all`, then save them again)"
)
_NO_KEY = "is not a Fernet key: 32 bytes as URL-safe base64, 44 characters"
_made: tuple[str, Any] | None = None


def encrypt(text: str, beside: str | None) -> str:
    """A token of a text.

    Args:
        beside: a token that the database holds already, which must be of the same keys. None: there is
            none, and the key is made if it is missing.

    Raises:
        SettingError: the key is gone, is none, or did not make `beside`.
    """
    if beside is not None:
        decrypt(beside)
    elif not _text():
        _make_file(new_key())
    token: bytes = _fernet().encrypt(text.encode())
    return token.decode()


def decrypt(token: str) -> str:
    """The text of a token.

    Raises:
        SettingError: another key encrypted it, or the key is gone.
    """
    from cryptography.fernet import InvalidToken

    try:
        text: bytes = _fernet().decrypt(token.encode())
    except InvalidToken:
        raise SettingError(
            f"the secrets in this database were encrypted with another key; restore that key as "
            f"{key_path()}, "
            f"or set RUNYARD_ENCRYPTION_KEY{_OR_DELETE}"
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
    """The keys in use, the newest first: of the setting, else of the key file.

    Raises:
        SettingError: there is none.
    """
    found = [key.strip() for key in _text().replace(",", "\n").split("\n") if key.strip()]
    if not found:
        raise SettingError(
            f"the encryption key {key_path()} of this database was not found; restore it from a backup, "
            f"or set RUNYARD_ENCRYPTION_KEY{_OR_DELETE}"
        )
    return found


def _text() -> str:
    return settings.get("encryption_key") or _read_file()


@contextmanager
def changing_keys() -> Iterator[None]:
    """A block that one process at a time is in: two that change keys would take them from each other."""
    import fcntl

    private_files.make_folder(settings.home())
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
            "RUNYARD_ENCRYPTION_KEY sets the key; put a new key in front of it, separated by a "
            "comma, and rotate again"
        )
    try:
        os.replace(private_files.write_beside(key_path(), "\n".join(given) + "\n"), key_path())
    except OSError as error:
        raise _not_written(error) from None


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
            raise SettingError(f"{where} {_NO_KEY}") from None
    return _made[1]


def _read_file() -> str:
    try:
        with open(key_path(), encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        raise SettingError(f"{key_path()} {_NO_KEY}") from None
    except OSError as error:
        raise SettingError(f"{key_path()} cannot be read: {error.strerror}") from None


def _make_file(key: str) -> None:
    """Make the key file; if another process was quicker, its key counts."""
    try:
        private_files.write_once(key_path(), key + "\n")
    except OSError as error:
        raise _not_written(error) from None


def _not_written(error: OSError) -> SettingError:
    return SettingError(f"the key cannot be written to {settings.home()}: {error.strerror}")
