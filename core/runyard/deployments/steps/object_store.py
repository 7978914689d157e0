"""The steps that copy code to an object store, and from there to a run."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runyard.base.errors import InvalidInput, RunyardError
from runyard.base.texts import counted
from runyard.deployments.steps.credentials import plain

if TYPE_CHECKING:
    # Only these steps need pydantic models of file systems (100 ms); the same below.
    from runyard.blocks.filesystems import RemoteFileSystem

IGNORE_FILE = ".prefectignore"
# The names of options: in credentials, and in obstore.
_AWS = {
    "aws_access_key_id": "access_key_id", "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token", "region_name": "region", "endpoint_url": "endpoint",
}  # fmt: skip
_AZURE = {
    "account_name": "account_name", "account_key": "account_key", "account_url": "endpoint",
    "tenant_id": "tenant_id", "client_id": "client_id", "client_secret": "client_secret",
    "sas_token": "sas_key",
}  # fmt: skip


def push_to_s3(
    bucket: str,
    folder: str = "",
    credentials: Mapping[str, Any] | None = None,
    client_parameters: Mapping[str, Any] | None = None,
    ignore_file: str | None = IGNORE_FILE,
) -> dict[str, str]:
    """Copy the current directory into a bucket of S3.

    Args:
        bucket: its name.
        folder: the key prefix.
        credentials: aws_access_key_id, aws_secret_access_key, aws_session_token, region_name; missing values
            come from the environment.
        client_parameters: endpoint_url, region_name.
        ignore_file: a file with patterns to leave out, in the syntax of .gitignore; it may not exist.

    Returns:
        bucket and folder.

    Raises:
        MissingExtra: runyard[aws] is not installed.
        RunyardError: the bucket cannot be written.
    """
    _push(_s3(bucket, credentials, client_parameters), folder, ignore_file)
    return {"bucket": bucket, "folder": folder}


def pull_from_s3(
    bucket: str,
    folder: str = "",
    credentials: Mapping[str, Any] | None = None,
    client_parameters: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Copy a folder of an S3 bucket into the current directory; for the arguments see `push_to_s3`.

    Returns:
        bucket, folder and directory, the current one.
    """
    directory = _pull(_s3(bucket, credentials, client_parameters), folder)
    return {"bucket": bucket, "folder": folder, "directory": directory}


def push_to_gcs(
    bucket: str,
    folder: str = "",
    project: str | None = None,
    credentials: Mapping[str, Any] | None = None,
    ignore_file: str | None = IGNORE_FILE,
) -> dict[str, str]:
    """Copy the current directory into a bucket of Google Cloud Storage.

    Args:
        bucket: its name.
        folder: the key prefix.
        project: accepted; the bucket's own project is used.
        credentials: service_account_info or service_account_file; default: from the environment.
        ignore_file: a file with patterns to leave out, in the syntax of .gitignore; it may not exist.

    Returns:
        bucket and folder.

    Raises:
        MissingExtra: runyard[gcp] is not installed.
        RunyardError: the bucket cannot be written.
    """
    _push(_gcs(bucket, credentials), folder, ignore_file)
    return {"bucket": bucket, "folder": folder}


def pull_from_gcs(
    bucket: str,
    folder: str = "",
    project: str | None = None,
    credentials: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Copy a folder of a Google Cloud Storage bucket into the current directory.

    Returns:
        bucket, folder and directory, the current one.
    """
    return {"bucket": bucket, "folder": folder, "directory": _pull(_gcs(bucket, credentials), folder)}


def push_to_azure_blob_storage(
    container: str,
    folder: str = "",
    credentials: Mapping[str, Any] | None = None,
    ignore_file: str | None = IGNORE_FILE,
) -> dict[str, str]:
    """Copy the current directory into a container of Azure Blob Storage.

    Args:
        container: its name.
        folder: the key prefix.
        credentials: connection_string, or account_url (or account_name) with account_key, sas_token, or
            tenant_id, client_id and client_secret; default: from the environment.
        ignore_file: a file with patterns to leave out, in the syntax of .gitignore; it may not exist.

    Returns:
        container and folder.

    Raises:
        MissingExtra: runyard[azure] is not installed.
        RunyardError: the container cannot be written.
    """
    _push(_azure(container, credentials), folder, ignore_file)
    return {"container": container, "folder": folder}


def pull_from_azure_blob_storage(
    container: str, folder: str = "", credentials: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """Copy a folder of an Azure Blob Storage container into the current directory.

    Returns:
        container, folder and directory, the current one.
    """
    return {
        "container": container,
        "folder": folder,
        "directory": _pull(_azure(container, credentials), folder),
    }


def pull_from_remote_storage(url: str, **settings: Any) -> dict[str, str]:
    """Copy all files below a URL into a new directory.

    Args:
        url: such as `s3://bucket/folder`.
        settings: options of the store by their names in obstore, such as `region`.

    Returns:
        directory: below the current one.

    Raises:
        InvalidInput: unknown kind of store.
    """
    from runyard.blocks.filesystems import RemoteFileSystem

    directory = re.sub(r"[^A-Za-z0-9._-]+", "-", url.partition("://")[2]).strip("-.") or "storage"
    fetch(RemoteFileSystem(basepath=url, settings=settings), "", directory, url)
    return {"directory": directory}


def pull_with_block(block_document_name: str, block_type_slug: str) -> dict[str, str]:
    """Copy the files of a saved filesystem block into a new directory.

    Args:
        block_document_name: the block's name.
        block_type_slug: its type, such as `s3` or `local-file-system`.

    Returns:
        directory: below the current one.

    Raises:
        NotFound: the block does not exist.
        InvalidInput: it contains no files.
    """
    from runyard.blocks.core import Block

    block: Any = Block.load(f"{block_type_slug}/{block_document_name}")
    if not hasattr(block, "get_directory"):
        raise InvalidInput(f"a block of type {block_type_slug} contains no files to pull")
    directory = f"{block_type_slug}-{block_document_name}"
    fetch(block, "", directory, f"{block_type_slug}/{block_document_name}")
    return {"directory": directory}


def _s3(
    bucket: str, credentials: Mapping[str, Any] | None, client_parameters: Mapping[str, Any] | None
) -> RemoteFileSystem:
    from runyard.blocks.filesystems import RemoteFileSystem

    given = dict(credentials or {})
    nested = given.pop("aws_client_parameters", None) or {}
    said = {**given, **dict(nested), **dict(client_parameters or {})}
    return RemoteFileSystem(basepath=f"s3://{bucket}", settings=_renamed(said, _AWS))


def _gcs(bucket: str, credentials: Mapping[str, Any] | None) -> RemoteFileSystem:
    import json

    from runyard.blocks.filesystems import RemoteFileSystem

    said = credentials or {}
    settings: dict[str, Any] = {}
    info = plain(said.get("service_account_info"))
    if info:
        settings["service_account_key"] = info if isinstance(info, str) else json.dumps(info)
    elif said.get("service_account_file"):
        settings["service_account"] = str(said["service_account_file"])
    return RemoteFileSystem(basepath=f"gs://{bucket}", settings=settings)


def _azure(container: str, credentials: Mapping[str, Any] | None) -> RemoteFileSystem:
    from runyard.blocks.filesystems import RemoteFileSystem

    said = dict(credentials or {})
    text = plain(said.pop("connection_string", None))
    settings = _renamed(said, _AZURE)
    if text:
        parts = dict(part.split("=", 1) for part in str(text).split(";") if "=" in part)
        known = {"AccountName": "account_name", "AccountKey": "account_key", "BlobEndpoint": "endpoint"}
        settings.update({known[name]: value for name, value in parts.items() if name in known})
    return RemoteFileSystem(basepath=f"az://{container}", settings=settings)


def _renamed(said: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names[key]: plain(value) for key, value in said.items() if key in names and value is not None}


def _push(store: Any, folder: str, ignore_file: str | None) -> None:
    ignored = ignore_file if ignore_file and os.path.isfile(ignore_file) else None
    try:
        count = store.put_directory(os.getcwd(), folder, ignore_file=ignored)
    except (OSError, ValueError) as error:
        raise RunyardError(f"{store.basepath}/{folder} cannot be written: {_first_line(error)}") from error
    print(f"Pushed {counted(count, 'file')} to {store.basepath}/{folder}", flush=True)


def _pull(store: Any, folder: str) -> str:
    fetch(store, folder, os.getcwd(), f"{store.basepath}/{folder}")
    return os.getcwd()


def fetch(store: Any, folder: str, directory: str, what: str) -> None:
    """Copy a folder of a filesystem into a directory.

    Args:
        store: a block with `get_directory`.
        folder: the folder, below the filesystem's base.
        directory: the target; created if missing.
        what: its name for messages.

    Raises:
        RunyardError: it cannot be read, or contains no files.
    """
    try:
        count = store.get_directory(folder, directory)
    except (OSError, ValueError) as error:
        raise RunyardError(f"{what} cannot be read: {_first_line(error)}") from error
    if not count:
        raise RunyardError(f"{what} contains no files; was it pushed?")
    print(f"Pulled {counted(count, 'file')} from {what}", flush=True)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
