"""Back up the SQLite database with the key of its secrets and its large results.

A backup FILE is a complete SQLite database. Beside it are `FILE.key`, the encryption key, if the database has
secrets and the key is a file, and `FILE.results.tar`, the large results, on request.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tarfile
from contextlib import closing
from typing import NamedTuple

from runyard import settings
from runyard.base import private_files
from runyard.base.errors import DatabaseReadOnly, InvalidInput, SettingError
from runyard.base.quoting import PATH, quoted
from runyard.base.url_passwords import hidden
from runyard.settings import encryption
from runyard.store import backup_files
from runyard.store.sqlite import SQLiteDriver


class Backup(NamedTuple):
    """A backup that was made.

    Args:
        database: the file of the copy.
        size_bytes: its size.
        secrets: the number of saved blocks in it, which are encrypted.
        readable: whether the key of this installation decrypts them.
        key: the file with their key; None if it was not saved.
        key_place: where the key of this installation is; None if the database has no secrets.
        results: the file with the large results; None if they were not saved.
        result_files: the number of large results that the database refers to.
        result_bytes: their size.
        results_folder: the folder where they are.
    """

    database: str
    size_bytes: int
    secrets: int
    readable: bool
    key: str | None
    key_place: str | None
    results: str | None
    result_files: int
    result_bytes: int
    results_folder: str


def backup(target: str, overwrite: bool = False, with_key: bool = True, with_results: bool = False) -> Backup:
    """Copy the database into a file, while others may use it.

    Args:
        target: the file to write; it appears only when the copy is complete.
        overwrite: whether existing files may be replaced.
        with_key: whether the key file is copied to `TARGET.key`, if the database has secrets.
        with_results: whether large results are copied to `TARGET.results.tar`.

    Raises:
        Conflict: a file exists.
        InvalidInput: this kind of database cannot be copied, or `target` is a file that Runyard needs,
            or exists and is not a regular file.
        StoreError: the database cannot be read, or the copy cannot be written.
    """
    url = backup_files.own_url()
    if not url.startswith("sqlite"):
        raise InvalidInput(
            f"cannot back up a PostgreSQL database from here; run: pg_dump --format=custom "
            f"--file {quoted(target, PATH)} {quoted(hidden(url), PATH)}; keep the key of its secrets too: "
            f"{backup_files.key_place()}"
        )
    driver = SQLiteDriver(url)
    target = os.path.abspath(os.path.expanduser(target))
    places = [target, backup_files.key_beside(target), backup_files.results_beside(target)]
    for place in places:
        backup_files.check_target(place, driver.path, overwrite)
    partial = f"{target}.{os.getpid()}.partial"
    try:
        with (
            closing(backup_files.open_readonly(driver.path)) as source,
            closing(backup_files.create(partial)) as copy,
        ):
            source.backup(copy)
            tokens = backup_files.tokens(copy)
            results = backup_files.result_files(copy)
        known = _key_for(tokens)
        key = "\n".join(known) if known and with_key and not settings.get("encryption_key") else None
        if with_results and results:
            _pack(results, places[2])
        else:
            backup_files.remove(places[2])  # of the backup that is replaced
        if key is not None:
            os.replace(private_files.write_beside(places[1], key + "\n"), places[1])
        backup_files.check_target(target, driver.path, overwrite)
        os.replace(partial, target)
    except sqlite3.Error as error:
        raise driver.translate(error) from error
    except OSError as error:
        raise DatabaseReadOnly(f"cannot write {target}: {error.strerror}") from error
    finally:
        backup_files.remove(partial)
    return Backup(
        database=target,
        size_bytes=os.path.getsize(target),
        secrets=len(tokens),
        readable=bool(known) or not tokens,
        key=places[1] if key is not None else None,
        key_place=backup_files.key_place() if tokens else None,
        results=places[2] if with_results and results else None,
        result_files=len(results),
        result_bytes=sum(map(os.path.getsize, filter(os.path.exists, results))),
        results_folder=backup_files.results_folder(),
    )


def _key_for(tokens: list[str]) -> list[str]:
    """The keys that decrypt these tokens; empty if there are none, or they do not, or cannot be read."""
    if not tokens:
        return []
    try:
        found = encryption.present_keys()
    except SettingError:  # the data is worth a backup all the same
        return []
    return found if encryption.opens(found, tokens) else []


def _pack(files: list[str], target: str) -> None:
    """Write the files into one private tar file, which appears only when it is complete."""
    partial = f"{target}.{os.getpid()}.partial"
    try:
        with os.fdopen(private_files.make_file(partial), "wb") as file, tarfile.open(None, "w", file) as tar:
            for path in files:
                # A result may be deleted meanwhile.
                with contextlib.suppress(FileNotFoundError):
                    tar.add(path, arcname=os.path.basename(path), recursive=False)
        os.replace(partial, target)
    finally:
        backup_files.remove(partial)
