"""Files in what fsspec reaches (memory, SFTP, SMB, HDFS, ...), by paths below a URL."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from runyard import redaction
from runyard.engine.paths import object_key
from runyard.errors import InvalidInput, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator

# Where a file is renamed in one step, over the one that has its name.
_RENAMES = frozenset(("sftp", "ssh", "hdfs", "arrow_hdfs", "webhdfs"))


def check(url: str) -> None:
    """See that fsspec can reach the kind of place that a URL names; nothing is connected yet.

    Raises:
        MissingExtra: fsspec, or what it needs for this kind, is not installed.
        InvalidInput: fsspec knows no such kind.
    """
    try:
        import fsspec
    except ImportError:
        raise MissingExtra(f'{url} needs the extra fsspec: pip install "runyard[fsspec]"') from None
    scheme = urlsplit(url).scheme
    if scheme not in fsspec.available_protocols():
        raise InvalidInput(f"{url}: there is no storage for {scheme}://")
    try:
        fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        raise MissingExtra(f"{url}: {error}") from None


class FsspecFiles:
    """The files below a URL.

    Args:
        url: such as `sftp://host/folder`.
        options: what fsspec's filesystem of that kind takes, such as `username`.

    Raises:
        MissingExtra: fsspec, or what it needs for this kind, is not installed.
        InvalidInput: fsspec knows no such kind.
    """

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        check(url)
        import fsspec

        parts = urlsplit(url)
        if parts.password:
            redaction.register([parts.password])
        self._files, base = fsspec.core.url_to_fs(url, **options)
        self._base = base.rstrip("/")
        self._renames = parts.scheme in _RENAMES

    def read(self, path: str) -> bytes:
        """The content of a file.

        Raises:
            FileNotFoundError: there is none.
        """
        return bytes(self._files.cat_file(self._at(path)))

    def write(self, path: str, content: bytes) -> None:
        """Write a file; where files can be renamed over others, whole or not at all."""
        place = self._at(path)
        self._files.makedirs(place.rpartition("/")[0], exist_ok=True)
        written = f"{place}.{uuid.uuid4().hex[:8]}" if self._renames else place
        self._files.pipe_file(written, content)
        if self._renames:
            self._files.mv(written, place)

    def remove(self, path: str) -> None:
        """Delete a file; it is no error if there is none."""
        try:
            self._files.rm_file(self._at(path))
        except FileNotFoundError:
            pass

    def walk(self, path: str) -> Iterator[str]:
        """The paths of all files below a folder, from the base."""
        # As the filesystem itself writes paths, which may be with a leading slash or without.
        base = self._files._strip_protocol(self._base).strip("/")
        for found in self._files.find(self._at(path) if path else self._base):
            yield str(found).strip("/").removeprefix(base).lstrip("/")

    def _at(self, path: str) -> str:
        return f"{self._base}/{object_key(path)}"
