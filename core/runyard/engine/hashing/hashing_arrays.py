"""Encodings of numpy's arrays and scalars, independent of their memory layout."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from runyard.engine.hashing.encodings import frame

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from runyard.engine.hashing.encodings import Encodes

# The chunk size in bytes for copying an array whose memory cannot be read directly.
_CHUNK = 1 << 20


def writer_of(kind: type) -> Callable[[Encodes, Any], bytes] | None:
    """The function that encodes values of a numpy class; None: by their pickled parts."""
    import numpy as np

    if kind is type(np.ma.masked):
        return None
    if issubclass(kind, np.ma.MaskedArray):
        return _write_masked
    if kind in (np.ndarray, np.memmap, np.recarray, np.matrix):
        return write_array
    if issubclass(kind, np.generic):
        return _write_scalar
    return None


def write_array(encoder: Encodes, array: Any) -> bytes:
    """Encode an array by its dtype, its shape and its elements."""
    import numpy as np

    kind = type(array)
    # A memory-mapped array counts as a plain array.
    own = b"" if kind in (np.ndarray, np.memmap) else encoder.encode(kind)
    plain = array.view(np.ndarray)
    shape = ",".join(map(str, array.shape))
    return frame(b"array", [own, dtype_name(plain.dtype), shape.encode(), *_elements(encoder, plain)])


def dtype_name(dtype: Any) -> bytes:
    """The name of a dtype without fields, including its byte order."""
    if dtype.kind in "OVT":
        return str(dtype.kind if dtype.names else dtype).encode()
    return str(dtype.str).encode()


def _elements(encoder: Encodes, array: np.ndarray[Any, Any]) -> list[bytes]:
    dtype = array.dtype
    if dtype.names is not None:
        # Field by field: the padding between fields may contain anything.
        names = encoder.encode([(name, *dtype.fields[name][2:]) for name in dtype.names])  # with titles
        return [names, *(write_array(encoder, array[name]) for name in dtype.names)]
    if dtype.kind in "OT":
        return [encoder.items(b"l", array.ravel().tolist())]
    if dtype.char in "gG":
        return [encoder.items(b"l", map(repr, array.ravel()))]  # each element has unused bytes
    return [digest_of(array)]


def digest_of(array: Any) -> bytes:
    """A digest of the elements of an array in order; they must have a fixed size and not be objects."""
    hasher = hashlib.sha256()
    _feed(hasher, array)
    return hasher.digest()


def _feed(hasher: Any, array: Any) -> None:
    import numpy as np

    if array.flags.c_contiguous:
        step = max(1, _CHUNK // max(1, array.dtype.itemsize))
        flat = array.reshape(-1)
        if array.dtype.kind not in "fc":
            hasher.update(flat.view(np.uint8))
            return
        for start in range(0, len(flat), step):
            _feed_floats(hasher, flat[start : start + step])
        return
    bytes_each = array.nbytes // max(1, len(array))
    if bytes_each > _CHUNK and array.ndim > 1:
        for part in array:
            _feed(hasher, part)
        return
    step = max(1, _CHUNK // max(1, bytes_each))
    for start in range(0, len(array), step):
        _feed(hasher, np.ascontiguousarray(array[start : start + step]))


def _feed_floats(hasher: Any, part: Any) -> None:
    """Feed numbers with all NaNs replaced by one: processors create NaNs with either sign."""
    import numpy as np

    if part.dtype.kind == "c":
        part = part.view(part.real.dtype)
    is_nan = np.isnan(part)
    if is_nan.any():
        part = part.copy()
        part[is_nan] = np.nan
    hasher.update(part.view(np.uint8))


def _write_scalar(encoder: Encodes, value: Any) -> bytes:
    import numpy as np

    array = np.empty((), value.dtype)
    array[()] = value
    return frame(b"scalar", [write_array(encoder, array)])


def _write_masked(encoder: Encodes, value: Any) -> bytes:
    """Encode a masked array; the values under the mask are ignored."""
    import numpy as np

    if value.dtype.names is not None:
        return encoder.reduced(value)
    mask = np.ma.getmaskarray(value)
    data = value.data
    if mask.any():
        data = data.copy()
        data[mask] = np.zeros((), data.dtype)[()]
    parts = (type(value), data, mask, value.fill_value, bool(value.hardmask))
    return frame(b"masked", map(encoder.encode, parts))
