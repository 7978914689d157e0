"""Types of plain data that JSON does not support, with functions to write and read them."""

from __future__ import annotations

import base64
import collections
import datetime
import decimal
import importlib
import pathlib
import sys
import uuid
import zoneinfo
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """One type: its name in JSON, its class, and functions that convert to and from JSON data."""

    name: str
    cls: type
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def by_class(cls: type) -> Kind | None:
    """The kind of a class, including classes of numpy and pandas if the program has loaded them."""
    return _tables(_is_loaded("numpy"), _is_loaded("pandas"))[0].get(cls)


def by_name(name: str) -> Kind | None:
    """The kind of a name; imports numpy or pandas for their kinds."""
    library = name.partition(".")[0]
    if library in ("numpy", "pandas"):
        importlib.import_module(library)
    return _tables(_is_loaded("numpy"), _is_loaded("pandas"))[1].get(name)


def _is_loaded(library: str) -> bool:
    """Whether a library is loaded completely, not being imported by another thread."""
    module = sys.modules.get(library)
    return module is not None and not getattr(module.__spec__, "_initializing", False)


@cache
def _tables(with_numpy: bool, with_pandas: bool) -> tuple[dict[type, Kind], dict[str, Kind]]:
    kinds = [*_builtin(), *(_numpy() if with_numpy else ()), *(_pandas() if with_pandas else ())]
    return {kind.cls: kind for kind in kinds}, {kind.name: kind for kind in kinds}


def _builtin() -> list[Kind]:
    return [
        Kind("text", _Text, str, lambda text: text.encode("ascii").decode("unicode_escape")),
        Kind("float", _Float, repr, float),
        Kind("dict", _Dict, dict, dict),
        Kind("tuple", tuple, list, tuple),
        Kind("set", set, list, set),
        Kind("frozenset", frozenset, list, frozenset),
        Kind("bytes", bytes, _base64, base64.b64decode),
        Kind("bytearray", bytearray, _base64, lambda text: bytearray(base64.b64decode(text))),
        Kind("complex", complex, lambda value: [value.real, value.imag], lambda parts: complex(*parts)),
        Kind(
            "range", range, lambda value: [value.start, value.stop, value.step], lambda parts: range(*parts)
        ),
        Kind("deque", collections.deque, lambda value: [list(value), value.maxlen], _deque),
        Kind("ordered", collections.OrderedDict, _pairs, collections.OrderedDict),
        Kind("counter", collections.Counter, _pairs, lambda pairs: collections.Counter(dict(pairs))),
        Kind("datetime", datetime.datetime, _write_time, _reader(datetime.datetime)),
        Kind("time", datetime.time, _write_time, _reader(datetime.time)),
        Kind("date", datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
        Kind("timedelta", datetime.timedelta, _write_delta, lambda parts: datetime.timedelta(*parts)),
        Kind("timezone", datetime.timezone, _write_timezone, _read_timezone),
        Kind("zone", zoneinfo.ZoneInfo, _write_zone, zoneinfo.ZoneInfo),
        Kind("uuid", uuid.UUID, str, uuid.UUID),
        Kind("decimal", decimal.Decimal, str, decimal.Decimal),
        *(
            Kind(cls.__name__, cls, str, cls)
            for cls in (pathlib.PurePosixPath, pathlib.PureWindowsPath, type(pathlib.Path()))
        ),
    ]


# Marker classes for texts, floats and dicts that JSON cannot represent; no value has these classes.
class _Text(str): ...


class _Float(float): ...


class _Dict(dict[Any, Any]): ...


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _pairs(value: Any) -> list[list[Any]]:
    return [[key, item] for key, item in value.items()]


def _deque(parts: list[Any]) -> Any:
    return collections.deque(parts[0], parts[1])


def _write_delta(value: datetime.timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


def _write_timezone(zone: datetime.timezone) -> list[Any]:
    offset = zone.utcoffset(None)
    return [*_write_delta(offset), *([] if zone == datetime.UTC else [zone.tzname(None)])]


def _read_timezone(parts: list[Any]) -> datetime.timezone:
    offset = datetime.timedelta(*parts[:3])
    if len(parts) == 3:
        return datetime.UTC
    plain = datetime.timezone(offset)
    return plain if plain.tzname(None) == parts[3] else datetime.timezone(offset, parts[3])


def _write_zone(zone: zoneinfo.ZoneInfo) -> str:
    if zone.key is None:
        raise TypeError("JSON cannot hold a time zone without a name; use the serializer 'pickle'")
    return zone.key


def _write_time(value: Any) -> list[Any]:
    """A datetime or time as text without its zone, the zone, and its `fold`."""
    return [value.replace(tzinfo=None, fold=0).isoformat(), value.tzinfo, value.fold]


def _reader(cls: Any) -> Callable[[list[Any]], Any]:
    return lambda parts: cls.fromisoformat(parts[0]).replace(tzinfo=parts[1], fold=parts[2])


def _numpy() -> list[Kind]:
    """The scalars of numpy, except those whose size differs between machines."""
    numpy = importlib.import_module("numpy")

    numbers = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
    kinds = [Kind(f"numpy.{name}", getattr(numpy, name), int, getattr(numpy, name)) for name in numbers]
    kinds.append(Kind("numpy.bool", numpy.bool_, bool, numpy.bool_))
    kinds += [
        Kind(f"numpy.{name}", getattr(numpy, name), float, getattr(numpy, name))
        for name in ("float16", "float32", "float64")
    ]
    kinds += [
        Kind(f"numpy.{name}", getattr(numpy, name), complex, getattr(numpy, name))
        for name in ("complex64", "complex128")
    ]
    kinds.append(Kind("numpy.str", numpy.str_, str, numpy.str_))
    for name in ("datetime64", "timedelta64"):
        cls = getattr(numpy, name)
        kinds.append(Kind(f"numpy.{name}", cls, _write_numpy_time, _numpy_time_reader(cls)))
    return kinds


def _write_numpy_time(value: Any) -> list[Any]:
    numpy = importlib.import_module("numpy")

    return [int(value.astype("int64")), *numpy.datetime_data(value.dtype)]


def _numpy_time_reader(cls: Any) -> Callable[[list[Any]], Any]:
    def read(parts: list[Any]) -> Any:
        number, unit, step = parts
        if unit == "generic":
            return cls("NaT") if number == -(2**63) else cls(number)
        return cls(number, (unit, step))

    return read


def _pandas() -> list[Kind]:
    pandas = importlib.import_module("pandas")

    missing: Any = type(pandas.NA)
    return [
        Kind("pandas.Timestamp", pandas.Timestamp, _write_timestamp, _read_timestamp),
        Kind("pandas.Timedelta", pandas.Timedelta, _write_timedelta, _read_timedelta),
        Kind("pandas.NaT", type(pandas.NaT), lambda value: None, lambda nothing: pandas.NaT),
        Kind("pandas.NA", missing, lambda value: None, lambda nothing: pandas.NA),
    ]


def _write_timestamp(value: Any) -> list[Any]:
    """The time as a number of its unit since 1970 (in UTC if it has a zone), the unit, and the zone."""
    if value.tzinfo is None and value.fold:
        raise TypeError(
            "JSON cannot hold a pandas.Timestamp with fold=1 and no zone; use the serializer 'pickle'"
        )
    number = value if value.tzinfo is None else value.tz_convert("UTC").tz_localize(None)
    return [int(number.asm8.astype("int64")), value.unit, value.tzinfo]


def _read_timestamp(parts: list[Any]) -> Any:
    numpy, pandas = importlib.import_module("numpy"), importlib.import_module("pandas")

    number, unit, zone = parts
    found = pandas.Timestamp(numpy.datetime64(number, unit)).as_unit(unit)
    return found if zone is None else found.tz_localize("UTC").tz_convert(zone)


def _write_timedelta(value: Any) -> list[Any]:
    return [int(value.asm8.astype("int64")), value.unit]


def _read_timedelta(parts: list[Any]) -> Any:
    numpy, pandas = importlib.import_module("numpy"), importlib.import_module("pandas")

    return pandas.Timedelta(numpy.timedelta64(parts[0], parts[1])).as_unit(parts[1])
