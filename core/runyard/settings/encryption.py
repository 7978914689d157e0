"""Encryption at rest: Fernet with a key from a setting or from a private file in the home."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runyard import settings
from runyard.base import private_files
from runyard.base.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

KEY_FILE = "secret.key"
_OR_DELETE = (
    " (without a backup: delete the saved blocks with `runyard block delete --all`, then save them again)"
)
_NO_KEY = "is not a Fernet key: 32 bytes as URL-safe base64, 44 characters"
_made: tuple[str, Any] | None = None


def encrypt(text: str, beside: str | None) -> str:
    """Encrypt a text to a token.

    Args:
        beside: a token from the database, which must use the same keys. None: the database has no token,
            and a missing key is created.

    Raises:
        SettingError: the key is missing or invalid, or did not encrypt `beside`.
    """
    if beside is not None:
        decrypt(beside)
    elif not _text():
        _make_file(new_key())
    token: bytes = _fernet().encrypt(text.encode())
    return token.decode()


def decrypt(token: str) -> str:
    """Decrypt a token to a text.

    Raises:
        SettingError: the text was encrypted with another key, or the key is missing.
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
    """The path of the key file."""
    return os.path.join(settings.home(), KEY_FILE)


def new_key() -> str:
    """A new key."""
    from cryptography.fernet import Fernet

    return str(Fernet.generate_key().decode())


def keys() -> list[str]:
    """The current keys, the newest first: from the setting, else from the key file.

    Raises:
        SettingError: there is no key.
    """
    found = present_keys()
    if not found:
        raise SettingError(
            f"the encryption key {key_path()} of this database was not found; restore it from a backup, "
            f"or set RUNYARD_ENCRYPTION_KEY{_OR_DELETE}"
        )
    return found


def present_keys() -> list[str]:
    """The current keys as in `keys`; empty if there is no key."""
    return _split(_text())


def keys_in(path: str) -> list[str]:
    """The keys in a key file, the newest first; empty if the file does not exist.

    Raises:
        SettingError: the file cannot be read.
    """
    return _split(_read_file(path))


def opens(given: list[str], tokens: Iterable[str]) -> bool:
    """Whether these keys decrypt all tokens; False if there is no key, or one is invalid."""
    from cryptography.fernet import Fernet, InvalidToken, MultiFernet

    try:
        ring = MultiFernet([Fernet(key) for key in given])
        for token in tokens:
            ring.decrypt(token.encode())
    except (ValueError, InvalidToken):
        return False
    return True


def _split(text: str) -> list[str]:
    return [key.strip() for key in text.replace(",", "\n").split("\n") if key.strip()]


def _text() -> str:
    return settings.get("encryption_key") or _read_file(key_path())


@contextmanager
def changing_keys() -> Iterator[None]:
    """A lock for changing keys: only one process at a time holds it."""
    import fcntl

    private_files.make_folder(settings.home())
    handle = os.open(settings.home(), os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write_keys(given: list[str]) -> None:
    """Replace the keys in the file atomically.

    Raises:
        SettingError: the keys come from the setting, which Runyard does not change.
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


def _read_file(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        raise SettingError(f"{path} {_NO_KEY}") from None
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror}") from None


def _make_file(key: str) -> None:
    """Create the key file; if another process was faster, use its key."""
    try:
        private_files.write_once(key_path(), key + "\n")
    except OSError as error:
        raise _not_written(error) from None


def _not_written(error: OSError) -> SettingError:
    return SettingError(f"the key cannot be written to {settings.home()}: {error.strerror}")
