"""Filesystems: folders and object stores for results and code; paths cannot leave the base."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from runyard import settings
from runyard.base.errors import InvalidInput
from runyard.base.paths import inside, is_left_out, object_key, patterns_of, write_whole
from runyard.base.syncing import async_twin, sync_compatible
from runyard.base.url_passwords import hidden
from runyard.blocks import fsspec_files
from runyard.blocks.core import Block
from runyard.blocks.object_files import ObjectFiles, is_object_url

if TYPE_CHECKING:
    from collections.abc import Iterator


class FileSystem(Block):
    """The base class of filesystems: `read`, `write`, `remove` and `walk` with paths below its base."""

    _block_schema_capabilities: ClassVar[list[str] | None] = [
        "read-path",
        "write-path",
        "get-directory",
        "put-directory",
    ]

    def read(self, path: str) -> bytes:
        """The content of a file.

        Raises:
            FileNotFoundError: the file does not exist.
            InvalidInput: the path leaves the base.
        """
        raise TypeError(f"{type(self).__name__} does not implement read")

    def write(self, path: str, content: bytes) -> str:
        """Write a file atomically; returns its location."""
        raise TypeError(f"{type(self).__name__} does not implement write")

    def remove(self, path: str) -> None:
        """Delete a file, if it exists."""
        raise TypeError(f"{type(self).__name__} does not implement remove")

    def walk(self, path: str) -> Iterator[str]:
        """The paths of all files below a folder, relative to the base."""
        raise TypeError(f"{type(self).__name__} does not implement walk")

    @sync_compatible
    def read_path(self, path: str) -> bytes:
        """The content of a file; see `read`."""
        return self.read(str(path))

    @sync_compatible
    def write_path(self, path: str, content: bytes | str) -> str:
        """Write a file; see `write`."""
        return self.write(str(path), content.encode() if isinstance(content, str) else content)

    @sync_compatible
    def delete_path(self, path: str) -> None:
        """Delete a file; see `remove`."""
        self.remove(str(path))

    @sync_compatible
    def get_directory(self, from_path: str | None = None, local_path: str | None = None) -> int:
        """Copy a folder of this filesystem into a local folder; the default is the current one.

        Returns:
            The number of copied files.
        """
        base = (from_path or "").strip("/")
        target = os.path.abspath(os.path.expanduser(local_path or "."))
        copied = 0
        for path in list(self.walk(base)):
            below = path[len(base) :].lstrip("/") if base else path
            file = inside(target, below)
            os.makedirs(os.path.dirname(file), exist_ok=True)
            write_whole(file, self.read(path))
            copied += 1
        return copied

    @sync_compatible
    def put_directory(
        self, local_path: str | None = None, to_path: str | None = None, ignore_file: str | None = None
    ) -> int:
        """Copy a local folder into a folder of this filesystem; the default is the current folder.

        Args:
            ignore_file: a file with patterns of files to skip, such as `.prefectignore`.

        Returns:
            The number of copied files.
        """
        source = os.path.abspath(os.path.expanduser(local_path or "."))
        patterns = patterns_of(ignore_file)
        copied = 0
        for folder, _folders, names in os.walk(source):
            for name in sorted(names):
                file = os.path.join(folder, name)
                path = os.path.relpath(file, source).replace(os.sep, "/")
                if is_left_out(path, patterns):
                    continue
                with open(file, "rb") as opened:
                    self.write(
                        "/".join(part for part in ((to_path or "").strip("/"), path) if part), opened.read()
                    )
                copied += 1
        return copied

    aread_path = async_twin(read_path)
    awrite_path = async_twin(write_path)
    adelete_path = async_twin(delete_path)
    aget_directory = async_twin(get_directory)
    aput_directory = async_twin(put_directory)


# Prefect's names of the interfaces.
ReadableFileSystem = WritableFileSystem = ReadableDeploymentStorage = WritableDeploymentStorage = FileSystem


class LocalFileSystem(FileSystem):
    """A folder of this machine.

    Args:
        basepath: the folder; the default is the current one. The first write creates it.
    """

    _block_type_name: ClassVar[str | None] = "Local File System"
    _block_type_slug: ClassVar[str | None] = "local-file-system"

    basepath: str | None = None

    def __init__(self, basepath: Any = None, **fields: Any) -> None:
        super().__init__(**{"basepath": None if basepath is None else str(basepath), **fields})

    def _path(self, path: str) -> str:
        return inside(os.path.abspath(os.path.expanduser(self.basepath or ".")), path)

    def read(self, path: str) -> bytes:
        """The content of a file."""
        with open(self._path(path), "rb") as file:
            return file.read()

    def write(self, path: str, content: bytes) -> str:
        """Write a file atomically: concurrent readers see the old or the new content."""
        file = self._path(path)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        write_whole(file, content)
        return file

    def remove(self, path: str) -> None:
        """Delete a file."""
        try:
            os.remove(self._path(path))
        except FileNotFoundError:
            pass

    def walk(self, path: str) -> Iterator[str]:
        """The paths of all files below a folder."""
        base = self._path("")
        for folder, _folders, names in os.walk(self._path(path)):
            for name in sorted(names):
                yield os.path.relpath(os.path.join(folder, name), base).replace(os.sep, "/")


class NullFileSystem(FileSystem):
    """Stores nothing: for results that are never read."""

    _block_type_slug: ClassVar[str | None] = "null-file-system"

    def read(self, path: str) -> bytes:
        """Always raise FileNotFoundError."""
        raise FileNotFoundError(path)

    def write(self, path: str, content: bytes) -> str:
        """Do nothing."""
        return path

    def remove(self, path: str) -> None:
        """Do nothing."""

    def walk(self, path: str) -> Iterator[str]:
        """No files."""
        return iter(())


class RemoteFileSystem(FileSystem):
    """A location in an object store, or in any storage that fsspec supports, by its URL.

    Args:
        basepath: `s3://bucket/folder`, `gs://...`, `az://...`; `sftp://host/folder`, `memory://...`.
        settings: options of obstore, such as `region`; the usual environment variables are the defaults.
            For storages other than object stores, options of fsspec.
    """

    _block_type_name: ClassVar[str | None] = "Remote File System"
    _block_type_slug: ClassVar[str | None] = "remote-file-system"

    basepath: str
    settings: dict[str, Any] = Field(default_factory=dict)

    def _options(self) -> dict[str, Any]:
        return {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value
            for name, value in self.settings.items()
            if value is not None
        }

    def _url(self) -> str:
        return self.basepath.rstrip("/")

    def _store(self) -> Any:
        """The object that reads and writes the files; opened once."""
        kept = self.__dict__.get("_opened")
        if kept is None:
            url = self._url()
            kind: Any = ObjectFiles if is_object_url(url) else fsspec_files.FsspecFiles
            kept = self.__dict__["_opened"] = kind(url, self._options())
        return kept

    def read(self, path: str) -> bytes:
        """The content of an object."""
        content: bytes = self._store().read(path)
        return content

    def write(self, path: str, content: bytes) -> str:
        """Write an object."""
        self._store().write(path, content)
        return f"{self._url()}/{object_key(path)}"

    def remove(self, path: str) -> None:
        """Delete an object."""
        self._store().remove(path)

    def walk(self, path: str) -> Iterator[str]:
        """The keys of all objects below a prefix."""
        return iter(self._store().walk(path))


class S3(RemoteFileSystem):
    """A bucket of Amazon S3, or of a compatible service.

    Args:
        bucket_path: `bucket/folder`.
        aws_access_key_id, aws_secret_access_key: the default is the environment.
        endpoint_url, region: the default is the environment.
    """

    _block_type_name: ClassVar[str | None] = "S3"
    _block_type_slug: ClassVar[str | None] = "s3"

    basepath: str = ""
    bucket_path: str
    aws_access_key_id: SecretStr | None = None
    aws_secret_access_key: SecretStr | None = None
    endpoint_url: str | None = None
    region: str | None = None

    def _url(self) -> str:
        return f"s3://{self.bucket_path.removeprefix('s3://').strip('/')}"

    def _options(self) -> dict[str, Any]:
        return {
            **super()._options(),
            **_given(
                access_key_id=self.aws_access_key_id,
                secret_access_key=self.aws_secret_access_key,
                endpoint=self.endpoint_url,
                region=self.region,
            ),
        }


class GCS(RemoteFileSystem):
    """A bucket of Google Cloud Storage.

    Args:
        bucket_path: `bucket/folder`.
        service_account_info: the JSON of a service account; the default is the environment.
    """

    _block_type_name: ClassVar[str | None] = "GCS"
    _block_type_slug: ClassVar[str | None] = "gcs"

    basepath: str = ""
    bucket_path: str
    service_account_info: SecretStr | None = None
    project: str | None = None

    def _url(self) -> str:
        return f"gs://{self.bucket_path.removeprefix('gs://').strip('/')}"

    def _options(self) -> dict[str, Any]:
        return {**super()._options(), **_given(service_account_key=self.service_account_info)}


class Azure(RemoteFileSystem):
    """A container of Azure Blob Storage.

    Args:
        bucket_path: `container/folder`.
        azure_storage_account_name, azure_storage_account_key: the default is the environment.
    """

    _block_type_name: ClassVar[str | None] = "Azure"
    _block_type_slug: ClassVar[str | None] = "azure"

    basepath: str = ""
    bucket_path: str
    azure_storage_account_name: SecretStr | None = None
    azure_storage_account_key: SecretStr | None = None
    azure_storage_sas_token: SecretStr | None = None

    def _url(self) -> str:
        return f"az://{self.bucket_path.removeprefix('az://').strip('/')}"

    def _options(self) -> dict[str, Any]:
        return {
            **super()._options(),
            **_given(
                account_name=self.azure_storage_account_name,
                account_key=self.azure_storage_account_key,
                sas_key=self.azure_storage_sas_token,
            ),
        }


def storage_of(value: Any = None) -> Any:
    """The filesystem of an option.

    Args:
        value: a filesystem, a path, a URL (`file://`, `s3://`, `gs://`, `az://`, or one of fsspec,
            such as `sftp://`), `type/name` of a saved filesystem, or None for the setting
            `results_local_storage_path`.

    Raises:
        InvalidInput: the value is not a storage.
    """
    if value is None:
        folder = settings.get("results_local_storage_path") or os.path.join(settings.home(), "storage")
        return LocalFileSystem(basepath=folder)
    if hasattr(value, "read_path") and hasattr(value, "write_path"):
        return value
    if not isinstance(value, (str, os.PathLike)):
        raise InvalidInput(f"invalid storage {value!r}; give a path, a URL or a filesystem")
    text = os.fspath(value)
    scheme = urlsplit(text).scheme
    if scheme == "file":
        return LocalFileSystem(basepath=urlsplit(text).path)
    if is_object_url(text):
        return RemoteFileSystem(basepath=text)
    if scheme and len(scheme) > 1 and "://" in text:
        fsspec_files.check(text)
        return RemoteFileSystem(basepath=text)
    saved = _saved(text) if isinstance(value, str) else None
    return saved if saved is not None else LocalFileSystem(basepath=text)


def _saved(reference: str) -> Any:
    """The saved filesystem of a reference such as `s3/results`; None if the reference is a path."""
    slug, _, name = reference.partition("/")
    kinds = {"local-file-system", "remote-file-system", "s3", "gcs", "azure", "s3-bucket", "gcs-bucket"}
    if slug not in kinds or not name or "/" in name or os.path.exists(reference):
        return None
    return Block.load(reference, _sync=True)


def describe_storage(storage: Any) -> str | None:
    """The path or URL of a filesystem, without secrets; None if it has neither."""
    if isinstance(storage, LocalFileSystem):
        return os.path.abspath(os.path.expanduser(storage.basepath or "."))
    if isinstance(storage, RemoteFileSystem):
        return hidden(storage._url())
    return None


def _given(**options: Any) -> dict[str, Any]:
    return {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in options.items()
        if value is not None
    }
