"""Finds out which pandas values keep their cache key when they are used, written and read."""

from __future__ import annotations

from typing import Any

# Kinds of objects, by `pandas.api.types.infer_dtype`, whose key is the same after reading.
_STEADY = (
    "string",
    "bytes",
    "integer",
    "floating",
    "boolean",
    "decimal",
    "date",
    "datetime",
    "time",
    "empty",
)


def is_steady(value: Any) -> bool:
    """Whether a frame, series, index or array keeps its key when it is used, pickled and read.

    False if it contains objects of other classes, or if it is a subclass.
    """
    import pandas as pd

    if isinstance(value, (pd.DataFrame, pd.Series)) and value.attrs:
        return False
    if type(value) is pd.DataFrame:
        kinds = value.dtypes.tolist()
        columns = (value.iloc[:, at] for at, kind in enumerate(kinds) if not _is_number(kind))
        return is_steady(value.columns) and is_steady(value.index) and all(map(_holds_steady, columns))
    if type(value) is pd.Series:
        return is_steady(value.index) and _holds_steady(value)
    if isinstance(value, pd.MultiIndex):
        return all(map(is_steady, value.levels))
    return isinstance(value, (pd.Index, pd.api.extensions.ExtensionArray)) and _holds_steady(value)


def _holds_steady(values: Any) -> bool:
    """Whether the elements of a series, an index or an array keep their key."""
    import pandas as pd

    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return is_steady(dtype.categories)
    if _is_numpy(dtype):
        return not dtype.hasobject or pd.api.types.infer_dtype(values, skipna=True) in _STEADY
    if isinstance(dtype, pd.StringDtype):
        return True
    return type(dtype).__module__.partition(".")[0] == "pandas" and dtype.kind != "O"


def _is_number(dtype: Any) -> bool:
    return _is_numpy(dtype) and not dtype.hasobject


def _is_numpy(dtype: Any) -> bool:
    import numpy as np

    return isinstance(dtype, np.dtype)
