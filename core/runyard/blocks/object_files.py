"""Files in an object store, by keys below a URL: S3, Google Cloud Storage, Azure."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from runyard.base.errors import MissingExtra
from runyard.base.paths import object_key

if TYPE_CHECKING:
    from collections.abc import Iterator

# The extra that each scheme needs; all of them install obstore.
_EXTRAS = {
    "s3": "aws",
    "s3a": "aws",
    "gs": "gcp",
    "gcs": "gcp",
    "az": "azure",
    "abfs": "azure",
    "adl": "azure",
}


def is_object_url(address: str) -> bool:
    """Whether an address is the URL of an object store, such as `s3://bucket/folder`."""
    return urlsplit(address).scheme in _EXTRAS


class ObjectFiles:
    """The objects below a URL.

    Args:
        url: such as `s3://bucket/folder`.
        options: options of obstore.

    Raises:
        MissingExtra: obstore is not installed.
    """

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        self._store = _open_store(url, options)

    def read(self, path: str) -> bytes:
        """The content of an object.

        Raises:
            FileNotFoundError: the object does not exist.
        """
        import obstore

        return bytes(obstore.get(self._store, object_key(path)).bytes())

    def write(self, path: str, content: bytes) -> None:
        """Write an object atomically."""
        import obstore

        obstore.put(self._store, object_key(path), content)

    def remove(self, path: str) -> None:
        """Delete an object, if it exists."""
        import obstore

        try:
            obstore.delete(self._store, object_key(path))
        except FileNotFoundError:
            pass

    def walk(self, path: str) -> Iterator[str]:
        """The keys of all objects below a prefix."""
        import obstore

        for group in obstore.list(self._store, prefix=object_key(path) or None):
            for found in group:
                yield found["path"]


def _open_store(url: str, options: dict[str, Any]) -> Any:
    scheme = urlsplit(url).scheme
    try:
        from obstore import store
    except ImportError:
        extra = _EXTRAS.get(scheme, "aws")
        raise MissingExtra(f'{url} needs the extra {extra}: pip install "runyard[{extra}]"') from None
    endpoint = options.get("endpoint") or os.environ.get("AWS_ENDPOINT_URL") or ""
    client: dict[str, Any] = {"allow_http": True} if endpoint.startswith("http://") else {}
    if scheme in ("s3", "s3a") and "region" not in options and not _environment_has("AWS_REGION"):
        options = {**options, "region": "us-east-1"}
    if endpoint and scheme in ("s3", "s3a"):
        options = {**options, "endpoint": endpoint}
    opened: Any = store
    return opened.from_url(url, client_options=client, **options)


def _environment_has(name: str) -> bool:
    return name in os.environ or name.replace("AWS_", "AWS_DEFAULT_") in os.environ
