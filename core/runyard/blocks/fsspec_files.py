"""Files in storages that fsspec supports (memory, SFTP, SMB, HDFS, ...), by paths below a URL."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from runyard.base import redaction
from runyard.base.errors import InvalidInput, MissingExtra, StorageAway
from runyard.base.paths import object_key
from runyard.base.tracebacks import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

R = TypeVar("R")
# Storages that rename a file atomically over an existing one.
_RENAMES = frozenset(("sftp", "ssh", "hdfs", "arrow_hdfs", "webhdfs"))


def check(url: str) -> None:
    """Check that fsspec supports the scheme of a URL, without connecting.

    Raises:
        MissingExtra: fsspec, or a library that it needs for this scheme, is not installed.
        InvalidInput: unknown scheme.
    """
    try:
        import fsspec
    except ImportError:
        raise MissingExtra(f'{url} needs the extra fsspec: pip install "runyard[fsspec]"') from None
    scheme = urlsplit(url).scheme
    try:
        fsspec.get_filesystem_class(scheme)
    except ValueError:
        raise InvalidInput(f"{url}: unknown storage scheme {scheme}://") from None
    except ImportError as error:
        raise MissingExtra(f"{url}: {error}") from None


# The delays before the retries in seconds, and the errors that are not retried.
_DELAYS = (0.2, 1.0, 3.0)
_FINAL = (
    FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError,
    InvalidInput, ImportError, TypeError, ValueError, NotImplementedError,
)  # fmt: skip


class FsspecFiles:
    """The files below a URL.

    Args:
        url: such as `sftp://host/folder`.
        options: options of fsspec's filesystem, such as `username`.

    Raises:
        MissingExtra: fsspec, or a library that it needs for this scheme, is not installed.
        InvalidInput: unknown scheme.
    """

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        check(url)
        parts = urlsplit(url)
        if parts.password:
            redaction.register([parts.password])
        self._url = url
        self._options = options
        self._renames = parts.scheme in _RENAMES
        self._files: Any = None
        self._base = ""

    def read(self, path: str) -> bytes:
        """The content of a file.

        Raises:
            FileNotFoundError: the file does not exist.
        """
        return self._tried(lambda files: bytes(files.cat_file(self._at(path))))

    def write(self, path: str, content: bytes) -> None:
        """Write a file; atomically if the storage supports atomic renames."""

        def put(files: Any) -> None:
            place = self._at(path)
            files.makedirs(place.rpartition("/")[0], exist_ok=True)
            written = f"{place}.{uuid.uuid4().hex[:8]}" if self._renames else place
            files.pipe_file(written, content)
            if self._renames:
                files.mv(written, place)

        self._tried(put)

    def remove(self, path: str) -> None:
        """Delete a file, if it exists."""
        try:
            self._tried(lambda files: files.rm_file(self._at(path)))
        except FileNotFoundError:
            pass

    def walk(self, path: str) -> Iterator[str]:
        """The paths of all files below a folder, relative to the base."""
        found = self._tried(lambda files: files.find(self._at(path) if path else self._base))
        # The filesystem's own form of paths may or may not have a leading slash.
        base = self._files._strip_protocol(self._base).strip("/")
        for each in found:
            yield str(each).strip("/").removeprefix(base).lstrip("/")

    def _tried(self, use: Callable[[Any], R]) -> R:
        """Call `use` with the filesystem and return its result; reconnect and retry a few times.

        Raises:
            StorageAway: the storage cannot be reached, or all retries failed.
        """
        for delay in (*_DELAYS, None):
            try:
                if self._files is None:
                    self._connect()
                return use(self._files)
            except _FINAL:
                raise
            except Exception as error:
                if self._files is not None:
                    type(self._files).clear_instance_cache()
                    self._files = None
                if delay is None:
                    raise StorageAway(
                        f"the storage {self._url} failed {len(_DELAYS) + 1} times: "
                        f"{describe(error)}; check that it can be reached from here"
                    ) from error
                time.sleep(delay)
        raise AssertionError("unreachable")

    def _connect(self) -> None:
        import fsspec

        self._files, base = fsspec.core.url_to_fs(self._url, **self._options)
        self._base = base.rstrip("/")

    def _at(self, path: str) -> str:
        return f"{self._base}/{object_key(path)}"
