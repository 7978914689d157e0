"""Encodings of pandas' frames, series and indexes by values and types, independent of their blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.engine.hashing.encodings import frame
from runyard.engine.hashing.hashing_arrays import digest_of, dtype_name, write_array

if TYPE_CHECKING:
    from collections.abc import Callable

    from runyard.engine.hashing.encodings import Encodes


def writer_of(kind: type) -> Callable[[Encodes, Any], bytes] | None:
    """The function that encodes values of a pandas class; None: by their pickled parts."""
    import pandas as pd

    if issubclass(kind, pd.DataFrame):
        return _write_frame
    if issubclass(kind, pd.Series):
        return _write_series
    if issubclass(kind, pd.Index):
        return _write_index
    if issubclass(kind, pd.api.extensions.ExtensionArray):
        return _write_array
    return None


def _write_frame(encoder: Encodes, value: Any) -> bytes:
    import pandas as pd

    parts = _surroundings(encoder, value, pd.DataFrame)
    parts += [encoder.encode(value.columns), encoder.encode(value.index)]
    dtypes = value.dtypes.tolist()
    for dtype in dict.fromkeys(dtypes):
        places = [at for at, one in enumerate(dtypes) if one is dtype or one == dtype]
        if not _is_numpy(dtype):
            columns = [_write_array(encoder, value.iloc[:, at].array) for at in places]
            parts.append(frame(b"columns", [b"", encoder.encode(places), *columns]))
            continue
        # All columns of a type at once: a frame may have thousands of columns.
        whole = value if len(places) == len(dtypes) else value.iloc[:, places]
        values = whole.to_numpy().T
        if values.dtype == dtype and not dtype.hasobject and dtype.char not in "gG":
            written = [digest_of(values)]
        else:
            written = [write_array(encoder, column) for column in values]
        parts.append(frame(b"columns", [dtype_name(dtype), encoder.encode(places), *written]))
    return frame(b"frame", parts)


def _is_numpy(dtype: Any) -> bool:
    import numpy as np

    return isinstance(dtype, np.dtype)


def _surroundings(encoder: Encodes, value: Any, plain: type) -> list[bytes]:
    """Encode the parts of a frame or series besides its values: class, metadata of a subclass, attributes."""
    kind = type(value)
    parts = [b"" if kind is plain else encoder.encode(kind)]
    own = [name for name in getattr(kind, "_metadata", ()) if name not in getattr(plain, "_metadata", ())]
    parts.append(encoder.encode({name: getattr(value, name, None) for name in own}))
    return [*parts, encoder.encode((value.attrs, value.flags.allows_duplicate_labels))]


def _write_series(encoder: Encodes, value: Any) -> bytes:
    import pandas as pd

    parts = _surroundings(encoder, value, pd.Series)
    parts += [encoder.encode(value.name), encoder.encode(value.index)]
    return frame(b"series", [*parts, _values(encoder, value)])


def _values(encoder: Encodes, value: Any) -> bytes:
    """Encode the values of a series or an index."""
    if _is_numpy(value.dtype):
        return write_array(encoder, value.to_numpy())
    return _write_array(encoder, value.array)


def _write_index(encoder: Encodes, value: Any) -> bytes:
    import pandas as pd

    own = b"" if type(value).__module__.partition(".")[0] == "pandas" else encoder.encode(type(value))
    parts = [own, encoder.encode(list(value.names))]
    if isinstance(value, pd.MultiIndex):
        for level, codes in zip(value.levels, value.codes, strict=True):
            parts += _level(encoder, level, codes)
        return frame(b"multi", parts)
    steps = _steps(value)
    if steps is not None:
        return frame(b"index", [*parts, encoder.encode(steps)])
    parts.append(encoder.encode(getattr(value, "freqstr", None)))
    return frame(b"index", [*parts, _values(encoder, value)])


def _level(encoder: Encodes, level: Any, codes: Any) -> list[bytes]:
    """Encode one level of a MultiIndex: its labels in order of occurrence, and the label of each row."""
    import numpy as np
    import pandas as pd

    places, labels = pd.factorize(np.asarray(codes))
    labels = np.asarray(labels)
    used = level.take(labels[labels >= 0])
    written = (used, places.astype(np.min_scalar_type(len(labels))), np.flatnonzero(labels < 0))
    return list(map(encoder.encode, written))


def _steps(index: Any) -> tuple[str, int, int, int] | None:
    """Start, step and length of an index of equally spaced numbers. Pandas stores such an index as a range or
    as an array, and treats both as equal."""
    import numpy as np
    import pandas as pd

    length = len(index)
    if isinstance(index, pd.RangeIndex):
        step = index.step if length > 1 else 1
        return ("range", int(index.start) if length else 0, int(step), length)
    if index.dtype != np.dtype("int64"):
        return None
    if not length:
        return ("range", 0, 1, 0)
    values = index.to_numpy()
    first, last = int(values[0]), int(values[-1])
    step = int(values[1]) - first if length > 1 else 1
    if step == 0 or last != first + step * (length - 1) or abs(last + step) >= 1 << 62:
        return None
    if not np.array_equal(values, np.arange(first, last + step, step)):
        return None
    return ("range", first, step, length)


# Attributes of an array that describe how it was created, not its values.
_OF_THE_VIEW = frozenset(("_readonly", "_freq"))


def _write_array(encoder: Encodes, array: Any) -> bytes:
    """Encode an array of an extension type."""
    import numpy as np
    import pandas as pd

    dtype, kind = array.dtype, type(array).__name__
    parts = [kind.encode(), repr(dtype).encode()]
    if isinstance(array, pd.Categorical):
        parts = [kind.encode(), str(array.ordered).encode()]
        return frame(
            b"extension", [*parts, *map(encoder.encode, (array.categories, np.asarray(array.codes)))]
        )
    if _is_numpy(dtype):
        return write_array(encoder, array.to_numpy())
    if isinstance(array, pd.arrays.SparseArray):
        parts.append(encoder.encode(dtype.fill_value))
        return frame(b"extension", [*parts, write_array(encoder, np.asarray(array))])
    if isinstance(array, (pd.arrays.IntegerArray, pd.arrays.FloatingArray, pd.arrays.BooleanArray)):
        return _masked(encoder, parts, array, dtype.numpy_dtype)
    if _is_of_arrow(dtype):
        return frame(b"extension", [*parts, encoder.encode(_arrow_of(array))])
    if isinstance(dtype, pd.StringDtype):
        is_missing = np.asarray(array.isna())
        texts = array.to_numpy(object, copy=True)
        texts[is_missing] = ""
        return frame(b"extension", [*parts, encoder.encode(is_missing), write_array(encoder, texts)])
    if isinstance(array, (pd.arrays.DatetimeArray, pd.arrays.TimedeltaArray, pd.arrays.PeriodArray)):
        zone = encoder.encode(getattr(dtype, "tz", None))
        return frame(b"extension", [*parts, zone, write_array(encoder, array.asi8)])
    if isinstance(array, pd.arrays.IntervalArray):
        return frame(
            b"extension", [*parts, *(_write_array(encoder, end.array) for end in (array.left, array.right))]
        )
    return encoder.reduced(array, _OF_THE_VIEW)


def _masked(encoder: Encodes, parts: list[bytes], array: Any, dtype: Any) -> bytes:
    """Encode numbers with missing values; the numbers under the mask are ignored."""
    import numpy as np

    is_missing = np.asarray(array.isna())
    numbers = array.to_numpy(dtype, na_value=dtype.type(0))
    return frame(b"extension", [*parts, encoder.encode(is_missing), write_array(encoder, numbers)])


def _is_of_arrow(dtype: Any) -> bool:
    import pandas as pd

    arrow = getattr(pd, "ArrowDtype", None)
    return (arrow is not None and isinstance(dtype, arrow)) or getattr(dtype, "storage", "").startswith(
        "pyarrow"
    )


def _arrow_of(array: Any) -> Any:
    import pyarrow as pa

    made = array.__arrow_array__()
    chunks = made.chunks if isinstance(made, pa.ChunkedArray) else [made]
    return pa.chunked_array(chunks, type=made.type)  # without chunks, the type must be given
