"""Digests of values: the same for equal values, in every process."""

from __future__ import annotations

import hashlib
import json
from itertools import count
from typing import TYPE_CHECKING, Any

from runyard.engine import known_results
from runyard.exceptions import HashError

if TYPE_CHECKING:
    from runyard.context import FlowRunContext
    from runyard.flows import Flow


def join_keys(keys: list[str]) -> str:
    """One key of several, of 32 characters; their order counts."""
    return hashlib.sha256("\0".join(keys).encode("utf-8", "surrogatepass")).hexdigest()[:32]


# Made once: `json.dumps` with options makes an encoder for every call.
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def hash_objects(*values: Any) -> str:
    """A hexadecimal digest of some values together, of 32 characters.

    Plain values are digested as JSON with sorted keys, everything else as cloudpickle writes it.

    Raises:
        HashError: one of the values can be written by neither.
    """
    return hashlib.sha256(_bytes_of(values)).hexdigest()[:32]


def _bytes_of(values: tuple[Any, ...]) -> bytes:
    try:
        # A key of another type than str would be written as one, and 1 be taken for "1".
        return _plain(values).encode("utf-8", "surrogatepass")
    except (TypeError, ValueError, RecursionError):
        pass
    import cloudpickle

    # What is pickled now and after it was read again may differ: a kept result is known by what was kept.
    values = known_results.in_place_of(values)
    try:
        return bytes(cloudpickle.dumps(_stable(values)))
    except Exception as error:
        raise HashError(f"no key can be made of these values: {type(error).__name__}: {error}") from error


def _plain(value: Any) -> str:
    _check(value)
    return _encode(value)


def _check(value: Any) -> None:
    """Refuse what JSON would write like something else: a tuple like a list, 1 like "1" as a key."""
    kind = type(value)
    if kind in _SCALARS:
        return
    if kind is list or kind is tuple:
        for item in value:
            _check(item)
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise TypeError
            _check(item)
    else:
        raise TypeError


_SCALARS = frozenset((str, int, float, bool, type(None)))


def _stable(value: Any) -> Any:
    """Sets in an order of their own, which would otherwise change with the process."""
    kind = type(value)
    if kind is set or kind is frozenset:
        return (kind.__name__, sorted((_stable(item) for item in value), key=repr))
    if kind is list or kind is tuple:
        return kind(_stable(item) for item in value)
    if kind is dict:
        return {_stable(key): _stable(item) for key, item in value.items()}
    if kind.__module__.startswith("pandas.") and hasattr(value, "columns"):
        # Blocks of a frame are laid out by its history; its columns are the same.
        return [value[column] for column in sorted(value.columns)]
    return value


def scope_of_subflow(parent: FlowRunContext, flow: Flow, parameters: dict[str, Any]) -> str:
    """A digest of who calls, which flow and with what, and of how many calls alike came before."""
    try:
        given = hash_objects(parameters)
    except HashError:
        given = ""
    alike = parent.counters.setdefault(f"scope:{flow.name}:{given}", count())
    return hash_objects(parent.scope, flow.name, given, next(alike))
