"""Serializers, which convert results to bytes and back."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from runyard import settings
from runyard.base.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

# Types that plain pickle writes as cloudpickle does, but many times faster.
_PLAIN = frozenset((str, int, float, bool, bytes, type(None)))
_COLLECTIONS = frozenset((list, tuple, dict, set, frozenset))
_DEPTH = 4
_ENCODER = "runyard.engine.results.json_objects.encode"
_DECODER = "runyard.engine.results.json_objects.decode"


class Serializer:
    """The base class of serializers; subclass it for a custom serializer, and set a `type`.

    Two serializers are equal if they have the same class and the same options.
    """

    type: str = ""

    def dumps(self, obj: Any) -> bytes:
        """Convert a value to bytes."""
        raise TypeError(f"{type(self).__name__} does not implement dumps")

    def loads(self, blob: bytes) -> Any:
        """Convert bytes to the value."""
        raise TypeError(f"{type(self).__name__} does not implement loads")

    def options(self) -> dict[str, Any]:
        """The constructor arguments that recreate the serializer, as JSON data."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if value is not None)
        return f"{type(self).__name__}({given})"


class PickleSerializer(Serializer):
    """Any value that pickle can write. Only read pickles from storages that you trust.

    Args:
        picklelib: the pickle module; the default is cloudpickle, which also writes objects of a script.
    """

    type = "pickle"

    def __init__(self, picklelib: str = "cloudpickle") -> None:
        self.picklelib = picklelib

    def dumps(self, obj: Any) -> bytes:
        """The pickled value."""
        import pickle

        if self.picklelib == "cloudpickle" and _is_plain(obj, _DEPTH):
            return pickle.dumps(obj, pickle.HIGHEST_PROTOCOL)
        written: bytes = _module(self.picklelib).dumps(obj)
        return written

    def loads(self, blob: bytes) -> Any:
        """The unpickled value."""
        return _module(self.picklelib).loads(blob)


def is_plain(value: Any) -> bool:
    """Whether a value is plain data: only builtin types, neither deeply nested nor long."""
    return _is_plain(value, _DEPTH)


def _is_plain(value: Any, depth: int) -> bool:
    kind = type(value)
    if kind in _PLAIN:
        return True
    if kind not in _COLLECTIONS or depth == 0 or len(value) > 1000:
        return False
    if kind is dict:
        return all(type(key) in _PLAIN and _is_plain(item, depth - 1) for key, item in value.items())
    return all(_is_plain(item, depth - 1) for item in value)


class JSONSerializer(Serializer):
    """JSON, readable by any program; a value is restored exactly, or refused.

    It supports tuples, sets, keys of any type, datetimes with their zones, decimals, bytes, paths, enums,
    models, dataclasses, scalars of numpy and pandas, and more.

    Args:
        object_encoder: `module.function` that converts values of other types to JSON data.
        object_decoder: `module.function` that converts such data back.
        dumps_kwargs, loads_kwargs: further options of `json.dumps` and `json.loads`.
    """

    type = "json"

    def __init__(
        self,
        jsonlib: str = "json",
        object_encoder: str | None = _ENCODER,
        object_decoder: str | None = _DECODER,
        dumps_kwargs: dict[str, Any] | None = None,
        loads_kwargs: dict[str, Any] | None = None,
    ) -> None:
        self.jsonlib = jsonlib
        self.object_encoder = object_encoder
        self.object_decoder = object_decoder
        self.dumps_kwargs = dumps_kwargs
        self.loads_kwargs = loads_kwargs

    def dumps(self, obj: Any) -> bytes:
        """The value as JSON, in UTF-8.

        Raises:
            TypeError: the value cannot be restored exactly.
        """
        options = dict(self.dumps_kwargs or {})
        if self.object_encoder == _ENCODER:
            # 9 ms; the default serializer is pickle.
            from runyard.engine.results.json_objects import to_json

            obj = to_json(obj)
        elif self.object_encoder:
            options["default"] = _function(self.object_encoder)
        text = _module(self.jsonlib).dumps(obj, **options)
        return text if isinstance(text, bytes) else text.encode()

    def loads(self, blob: bytes) -> Any:
        """The value from JSON."""
        options = dict(self.loads_kwargs or {})
        if self.object_decoder and self.object_decoder != _DECODER:
            options["object_hook"] = _function(self.object_decoder)
        value = _module(self.jsonlib).loads(blob.decode(), **options)
        if self.object_decoder == _DECODER:
            from runyard.engine.results.json_objects import from_json, may_be_marked

            if may_be_marked(blob):
                return from_json(value)
        return value


class CompressedSerializer(Serializer):
    """Compresses the output of another serializer.

    Args:
        serializer: the other serializer, or its name.
        compressionlib: a module with `compress` and `decompress`.
    """

    type = "compressed"

    def __init__(self, serializer: Any = "pickle", compressionlib: str = "lzma") -> None:
        self.serializer = resolve_serializer(serializer)
        self.compressionlib = compressionlib

    def dumps(self, obj: Any) -> bytes:
        """The compressed bytes."""
        written: bytes = _module(self.compressionlib).compress(self.serializer.dumps(obj))
        return written

    def loads(self, blob: bytes) -> Any:
        """The value from compressed bytes."""
        return self.serializer.loads(_module(self.compressionlib).decompress(blob))

    def options(self) -> dict[str, Any]:
        """As in the base class, with the description of the inner serializer."""
        return {"serializer": json.loads(describe(self.serializer)), "compressionlib": self.compressionlib}


class CompressedJSONSerializer(CompressedSerializer):
    """Compressed JSON."""

    type = "compressed/json"

    def __init__(self, serializer: Any = "json", compressionlib: str = "lzma") -> None:
        super().__init__(serializer, compressionlib)


class CompressedPickleSerializer(CompressedSerializer):
    """Compressed pickles."""

    type = "compressed/pickle"


_BY_NAME: dict[str, type[Serializer]] = {
    "json": JSONSerializer,
    "pickle": PickleSerializer,
    "compressed/json": CompressedJSONSerializer,
    "compressed/pickle": CompressedPickleSerializer,
}


def resolve_serializer(value: Any = None) -> Serializer:
    """The serializer of an option.

    Args:
        value: a serializer, its class, a name such as `compressed/json`, a description from `describe`,
            or None for the setting `results_default_serializer`.

    Raises:
        InvalidInput: unknown name, or not a serializer.
    """
    if value is None:
        value = settings.get("results_default_serializer")
    if isinstance(value, type):
        value = value()
    if isinstance(value, dict):
        return from_description(json.dumps(value))
    if isinstance(value, str):
        kind = _BY_NAME.get(value) or next(
            (own for own in _own_ones(Serializer) if own.type == value and value), None
        )
        if kind is None:
            raise InvalidInput(f"unknown serializer {value!r}; use one of: {', '.join(_BY_NAME)}")
        return kind()
    if not (hasattr(value, "dumps") and hasattr(value, "loads")):
        raise InvalidInput(f"invalid serializer {value!r}; give a name ({', '.join(_BY_NAME)}) or an object")
    found: Serializer = value
    return found


def _own_ones(kind: type[Serializer]) -> list[type[Serializer]]:
    return [each for child in kind.__subclasses__() for each in (child, *_own_ones(child))]


def describe(serializer: Serializer) -> str:
    """JSON text from which `from_description` recreates the serializer in any process."""
    kind = type(serializer)
    options = serializer.options() if isinstance(serializer, Serializer) else {}
    defaults = kind().options() if kind in _BY_NAME.values() else {}
    told = {name: value for name, value in options.items() if defaults.get(name) != value}
    found: dict[str, Any] = {"type": serializer.type}
    if kind not in _BY_NAME.values():
        found["class"] = f"{kind.__module__}.{kind.__qualname__}"
    return json.dumps({**found, **told}, sort_keys=True)


def from_description(text: str) -> Serializer:
    """The serializer of a description, created with the classes of this program.

    Raises:
        InvalidInput: its class is not loaded.
    """
    options = json.loads(text)
    name, place = options.pop("type", None), options.pop("class", None)
    kind = _loaded(name, place)
    if kind is None:
        raise InvalidInput(
            f"serializer {place or name!r} of this result not found; import the module that defines it"
        )
    made: Serializer = kind(**options)
    return made


def serializer_of_entry(text: str, reader: Serializer) -> Serializer:
    """The serializer of a stored result; another process or a caller of the API wrote the description.

    The description cannot import or call anything. It selects a class that this program has loaded, with
    options from a fixed list or those of the reader. Pickles can run code, so only a reader that writes
    pickles itself reads them.

    Args:
        text: the description, from `describe`.
        reader: the serializer of this store.

    Raises:
        InvalidInput: the description is not allowed for this reader.
    """
    _check_entry(json.loads(text), _parts(reader), reader)
    return from_description(text)


def _check_entry(told: Any, own: list[Any], reader: Serializer) -> None:
    told = told if isinstance(told, dict) else {"type": told}
    kind = _loaded(told.get("type"), told.get("class"))
    unpickles = any(isinstance(one, PickleSerializer) for one in own)
    runs_code = kind is not None and (issubclass(kind, PickleSerializer) or kind.__module__ != __name__)
    if runs_code and not unpickles and kind not in {type(one) for one in own}:
        raise InvalidInput(
            f"it was written by the serializer {kind.type!r}, which {reader.type!r} does not trust to read"
        )
    for option, allowed in _SAFE_OPTIONS.items():
        value = told.get(option)
        if value is not None and value not in (*allowed, *(getattr(one, option, None) for one in own)):
            raise InvalidInput(f"its serializer has {option}={value!r}, which this reader does not have")
    if "serializer" in told:
        _check_entry(told["serializer"], own, reader)
    elif kind is not None and issubclass(kind, CompressedSerializer):
        _check_entry(json.loads(describe(kind().serializer)), own, reader)


def _parts(serializer: Any) -> list[Any]:
    """The serializer and its inner serializers."""
    inner = getattr(serializer, "serializer", None)
    return [serializer, *([] if inner is None else _parts(inner))]


# Options of built-in serializers that name modules and functions, with the values allowed in stored entries.
_SAFE_OPTIONS: dict[str, tuple[str, ...]] = {
    "picklelib": ("cloudpickle", "pickle", "dill"),
    "jsonlib": ("json", "orjson", "ujson", "simplejson"),
    "object_encoder": (_ENCODER,),
    "object_decoder": (_DECODER,),
    "compressionlib": ("lzma", "bz2", "gzip", "zlib"),
}


def _loaded(name: Any, place: Any) -> Any:
    """The class of a serializer, if this program has loaded it; else None."""
    if place is None and name in _BY_NAME:
        return _BY_NAME[name]
    for own in _own_ones(Serializer):
        if place == f"{own.__module__}.{own.__qualname__}" or (place is None and name and own.type == name):
            return own
    # A class of `__main__` has another module's name when its file is loaded as a flow's code.
    return next((own for own in _own_ones(Serializer) if place and name and own.type == name), None)


def _module(name: str) -> Any:
    loaded = sys.modules.get(name)
    if loaded is not None:
        return loaded
    try:
        return import_module(name)
    except ImportError as error:
        raise InvalidInput(f"the module {name!r} of a serializer cannot be imported: {error}") from error


def _function(place: str) -> Callable[..., Any]:
    module, _, name = place.rpartition(".")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found


def __getattr__(name: str) -> Any:
    # Prefect's names of the default encoder and decoder of JSONSerializer.
    if name == "prefect_json_object_encoder":
        return _function(_ENCODER)
    if name == "prefect_json_object_decoder":
        return _function(_DECODER)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
