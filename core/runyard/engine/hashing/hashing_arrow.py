"""Encodings of arrow's arrays and tables and of polars' frames, independent of their chunks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from runyard.engine.hashing.encodings import frame
from runyard.engine.hashing.hashing_arrays import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from runyard.engine.hashing.encodings import Encodes


def writer_of(kind: type) -> Callable[[Encodes, Any], bytes] | None:
    """The function that encodes values of a pyarrow or polars class; None: by their pickled parts."""
    if kind.__module__.partition(".")[0] == "polars":
        return _writer_of_polars(kind)
    import pyarrow as pa

    if issubclass(kind, pa.Array):
        return write_arrow
    if issubclass(kind, pa.ChunkedArray):
        return _write_chunked
    if issubclass(kind, (pa.Table, pa.RecordBatch)):
        return _write_table
    if issubclass(kind, pa.Schema):
        return _write_schema
    if issubclass(kind, pa.DataType):
        return lambda encoder, value: frame(b"arrow type", [encoder.encode(_type(value))])
    return None


def _write_table(encoder: Encodes, table: Any) -> bytes:
    parts = [type(table).__name__.encode(), encoder.encode(table.schema), str(table.num_rows).encode()]
    return frame(b"arrow table", [*parts, *map(encoder.encode, table.columns)])


def _write_schema(encoder: Encodes, schema: Any) -> bytes:
    fields = [_field(one) for one in schema]
    return frame(b"arrow schema", [encoder.encode(fields), encoder.encode(schema.metadata)])


def _field(one: Any) -> tuple[Any, ...]:
    return one.name, _type(one.type), one.nullable, one.metadata


def _type(kind: Any) -> Any:
    """A type with its inner fields: the type's text does not include their metadata."""
    inner = [_field(kind.field(at)) for at in range(kind.num_fields)]
    return (str(kind), inner) if inner else str(kind)


def _write_chunked(encoder: Encodes, chunked: Any) -> bytes:
    import pyarrow as pa

    array = chunked.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # too long for one array
        return frame(b"arrow chunks", map(encoder.encode, array.chunks))
    return frame(b"arrow chunked", [write_arrow(encoder, array)])


def write_arrow(encoder: Encodes, array: Any) -> bytes:
    """Encode an arrow array: its type, which elements are null, and the other elements."""
    kind = array.type
    parts = [encoder.encode(_type(kind)), str(len(array)).encode()]
    if array.null_count:
        parts.append(encoder.encode(array.is_valid().to_numpy(zero_copy_only=False)))
    else:
        parts.append(b"")
    try:
        written = _contents(encoder, array, kind)
    except (ImportError, *_arrow_errors()):
        written = None
    if written is None:
        written = [encoder.items(b"l", array.to_pylist())]
    return frame(b"arrow", parts + written)


def _arrow_errors() -> Any:
    import pyarrow as pa

    return (pa.ArrowNotImplementedError, pa.ArrowInvalid)


def _contents(encoder: Encodes, array: Any, kind: Any) -> list[bytes] | None:
    """Encode the elements as buffers; None if they must be encoded one by one."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_null(kind):
        return []
    if isinstance(kind, pa.BaseExtensionType):
        return [write_arrow(encoder, array.storage)]
    if types.is_dictionary(kind):
        return [write_arrow(encoder, array.indices), write_arrow(encoder, array.dictionary)]
    if types.is_struct(kind):
        return [write_arrow(encoder, child) for child in array.flatten()]
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        import pyarrow.compute as pc

        lengths = pc.list_value_length(array).fill_null(0)
        return [write_arrow(encoder, lengths), write_arrow(encoder, array.flatten())]
    name = str(kind)
    if name in ("string_view", "binary_view"):
        return _texts(encoder, array.cast(pa.large_string() if name == "string_view" else pa.large_binary()))
    if name in ("string", "large_string", "binary", "large_binary"):
        return _texts(encoder, array)
    if types.is_boolean(kind):
        return [encoder.encode(array.fill_null(False).to_numpy(zero_copy_only=False))]
    if types.is_primitive(kind) or types.is_decimal(kind):
        return _numbers(array, kind)
    return None


def _texts(encoder: Encodes, array: Any) -> list[bytes]:
    """Encode texts or bytes: their lengths, and their concatenation."""
    import numpy as np
    import pyarrow as pa

    if array.null_count:
        array = array.fill_null(pa.scalar(b"" if "binary" in str(array.type) else "", array.type))
    _nulls, offsets, data = array.buffers()
    if not len(array) or offsets is None:
        return [b""]
    wide = np.int64 if str(array.type).startswith("large") else np.int32
    ends = np.frombuffer(offsets, wide)[array.offset : array.offset + len(array) + 1]
    lengths = np.diff(ends).astype(np.int64)
    own = np.frombuffer(data or b"", np.uint8)[int(ends[0]) : int(ends[-1])]
    return [encoder.encode(lengths), encoder.encode(own)]


def _numbers(array: Any, kind: Any) -> list[bytes] | None:
    """Encode elements of a fixed size; None if nulls of this size cannot be filled easily."""
    import numpy as np
    from pyarrow import types

    width = kind.bit_width // 8
    if array.null_count:
        if width > 8 and not types.is_decimal(kind):
            return None
        # The bytes under a null may be anything.
        array = (array if types.is_decimal(kind) else array.view(f"int{8 * width}")).fill_null(0)
    start, end = array.offset * width, (array.offset + len(array)) * width
    floats = {2: np.float16, 4: np.float32, 8: np.float64}
    element = floats[width] if types.is_floating(kind) else np.uint8
    return [digest_of(np.frombuffer(array.buffers()[1] or b"", np.uint8)[start:end].view(element))]


def _writer_of_polars(kind: type) -> Callable[[Encodes, Any], bytes] | None:
    import polars as pl

    if issubclass(kind, pl.DataFrame):
        return _write_frame
    if issubclass(kind, pl.Series):
        return _write_series
    return None


def _write_frame(encoder: Encodes, value: Any) -> bytes:
    parts = [type(value).__name__.encode(), str(value.shape).encode()]
    return frame(b"polars", [*parts, *(_write_series(encoder, column) for column in value.get_columns())])


def _write_series(encoder: Encodes, series: Any) -> bytes:
    import polars as pl

    own = b"" if type(series) is pl.Series else encoder.encode(type(series))
    parts = [own, encoder.encode(series.name), repr(series.dtype).encode()]
    if series.dtype == pl.Object:
        return frame(b"polars column", [*parts, encoder.items(b"l", series.to_list())])
    plain = _without_categories(series.dtype)
    if plain != series.dtype:
        series = series.cast(plain)  # the category numbers depend on the process
    if "pyarrow" not in sys.modules and not _has_arrow():
        # As an IPC file of this column: equal columns with nulls may differ; different columns always do.
        import io

        file = io.BytesIO()
        series.rechunk().to_frame("_").write_ipc(file, compression="uncompressed")
        return frame(b"polars column", [*parts, file.getvalue()])
    return frame(b"polars column", [*parts, write_arrow(encoder, series.to_arrow())])


def _without_categories(dtype: Any) -> Any:
    """A polars type with categories replaced by strings, also inside lists and structs."""
    import polars as pl

    if dtype in (pl.Categorical, pl.Enum):
        return pl.String()
    if isinstance(dtype, pl.List):
        return pl.List(_without_categories(dtype.inner))
    if isinstance(dtype, pl.Array):
        return pl.Array(_without_categories(dtype.inner), dtype.size)
    if isinstance(dtype, pl.Struct):
        return pl.Struct([pl.Field(one.name, _without_categories(one.dtype)) for one in dtype.fields])
    return dtype


def _has_arrow() -> bool:
    from importlib.util import find_spec

    return find_spec("pyarrow") is not None
