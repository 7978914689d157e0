"""Encodings of code: functions, classes, methods, modules, tasks.

An object that another process can import is identified by its name. Objects of the script itself, or created
at run time, are identified by their definition. So two classes with the same name are different, and one
class is the same in every process.
"""

from __future__ import annotations

import os
import sys
import types
import weakref
from functools import cache
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from runyard.engine.hashing.encodings import frame
from runyard.engine.importable import importable
from runyard.engine.runnable import Runnable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runyard.engine.hashing.encodings import Encodes

_HEAP_TYPE = 1 << 9
# Attributes of classes that do not define their behaviour, or that change at run time.
_PASSED_OVER = frozenset(("_abc_impl",))
# The definitions of classes of the script, cached at first use: later changes of class attributes, such as
# counters, do not change the identity of the class.
_definitions: WeakKeyDictionary[type, bytes] = WeakKeyDictionary()


def writer_of(kind: type) -> Callable[[Encodes, Any], bytes] | None:
    """The function that encodes such values; None: by their pickled parts."""
    if issubclass(kind, type):
        return write_class
    if issubclass(kind, Runnable):
        return _write_runnable
    return _WRITERS.get(kind)


def bound_values(fn: Any) -> Any:
    """The closure values of a function, to be encoded; values that cannot be encoded are skipped."""
    return _Bound(fn)


class Source:
    """Wraps a function to encode its source code."""

    def __init__(self, fn: Any, made: float) -> None:
        self.fn = fn
        self.made = made


class _Bound:
    """Wraps a function to encode its closure values."""

    def __init__(self, fn: Any) -> None:
        self.fn = fn


def _write_bound(encoder: Encodes, value: _Bound) -> bytes:
    fn = value.fn
    while not hasattr(fn, "__closure__") and (hasattr(fn, "__func__") or hasattr(fn, "func")):
        fn = getattr(fn, "__func__", None) or fn.func
    parts = []
    for cell in getattr(fn, "__closure__", None) or ():
        try:
            parts.append(_as_first_met(encoder, cell.cell_contents))
        except Exception:
            parts.append(b"")  # not assigned yet, or cannot be encoded
    return frame(b"bound", parts)


def _write_source(encoder: Encodes, value: Source) -> bytes:
    import functools

    fn = value.fn
    if isinstance(fn, types.MethodType):
        return _write_source(encoder, Source(fn.__func__, value.made))
    if isinstance(fn, functools.partial):
        held = fn.func.__self__ if isinstance(fn.func, types.MethodType) else None
        bound = (Source(fn.func, value.made), held, fn.args, fn.keywords)
        return frame(b"partial", map(encoder.encode, bound))
    text = _source_of(fn, value.made)
    if not isinstance(fn, types.FunctionType):
        return frame(b"callable", map(encoder.encode, (text, fn)))
    parts = [encoder.encode(text), *_cells(encoder, fn)]
    if text is None or fn.__name__ == "<lambda>":
        # One line may contain several lambdas.
        parts.append(encoder.encode(fn.__code__))
    return frame(b"source", parts)


def _source_of(fn: Any, made: float) -> str | None:
    import inspect

    tried: tuple[Any, Any] = (fn, type(fn).__call__)
    for what in tried:
        try:
            text, file = inspect.getsource(what), inspect.getsourcefile(what)
        except (OSError, TypeError, IndexError, SyntaxError):
            continue
        try:
            is_of_then = os.stat(file or "").st_mtime <= made
        except OSError:
            return text  # from a notebook's cell
        return text if is_of_then else None
    return None


def write_global(encoder: Encodes, value: Any, name: str) -> bytes:
    """Encode an object that pickle writes as a name. If other processes cannot import the name, include the
    wrapped object."""
    import pickle

    module = getattr(value, "__module__", None) or pickle.whichmodule(value, name)  # type: ignore[attr-defined]  # undocumented
    parts = [str(module).encode(), name.encode()]
    wrapped = getattr(value, "__wrapped__", None)
    if wrapped is not None and not _is_importable(module, name, value):
        parts.append(encoder.encode(wrapped))
    return frame(b"g", parts)


def _is_importable(module: Any, qualname: str, value: Any) -> bool:
    """Whether other processes can import the value by its name."""
    return isinstance(module, str) and _found(module, qualname) is value and not _is_of_script(module)


def _found(module: str, qualname: str) -> Any:
    found: Any = sys.modules.get(module)
    for name in qualname.split("."):
        found = getattr(found, name, None)
    return found


@cache
def _is_of_script(module: str) -> bool:
    """Whether a module is the script itself, or a file that may be run as a script.

    Such a file is `__main__` in one process, and has its own name in the process that resumes the run.
    """
    if module in sys.builtin_module_names:
        return False
    if module == "__mp_main__" or not importable(module):
        return True
    loaded = sys.modules.get(module)
    file = getattr(loaded, "__file__", None)
    if "." in module or file is None or hasattr(loaded, "__path__"):
        return False
    return not file.startswith(os.path.dirname(os.__file__)) and "-packages" not in file


def _write_function(encoder: Encodes, fn: Any) -> bytes:
    if _is_importable(fn.__module__, fn.__qualname__, fn):
        return frame(b"g", [fn.__module__.encode(), fn.__qualname__.encode()])
    used = {}
    if encoder.with_globals:
        for name in _globals_of(fn.__code__):
            if name in fn.__globals__:
                used[name] = _global(encoder, fn.__globals__[name])
    given = (fn.__code__, fn.__defaults__, fn.__kwdefaults__, used)
    return frame(b"f", [*map(encoder.encode, given), *_cells(encoder, fn)])


def _global(encoder: Encodes, value: Any) -> bytes:
    """Encode a value that a function uses; if that fails, as for a connection, use its class name."""
    try:
        return encoder.encode(value)
    except Exception:
        return b"-" + type(value).__qualname__.encode()


def _cells(encoder: Encodes, fn: Any) -> Iterator[bytes]:
    """Encode the closure values of a function."""
    for cell in fn.__closure__ or ():
        try:
            content = cell.cell_contents
        except ValueError:
            yield b""  # not assigned yet
        else:
            yield encoder.encode(content) if encoder.with_globals else _as_first_met(encoder, content)


# The first encodings of closure values, by their id: a task that appends to a list in its closure stays the
# same task. The number of objects is limited.
_first_met: dict[int, tuple[Any, bytes]] = {}
_MOST_MET = 256


def _as_first_met(encoder: Encodes, value: Any) -> bytes:
    known = _first_met.get(id(value))
    if known is not None:
        held = known[0]
        if (held() if isinstance(held, weakref.ref) else held) is value:
            return known[1]
    data, is_apart = encoder.encode_apart(value)
    if is_apart:
        if len(_first_met) >= _MOST_MET:
            _first_met.pop(next(iter(_first_met)), None)
        try:
            _first_met[id(value)] = (weakref.ref(value), data)
        except TypeError:
            _first_met[id(value)] = (value, data)
    return data


def _globals_of(code: types.CodeType) -> set[str]:
    import dis

    names = {one.argval for one in dis.get_instructions(code) if one.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _globals_of(constant)
    return names


def _write_code(encoder: Encodes, code: types.CodeType) -> bytes:
    """Encode what the code does, not its file and line."""
    shape = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return frame(
        b"c", map(encoder.encode, (code.co_code, code.co_exceptiontable, code.co_consts, names, shape))
    )


def _write_method(encoder: Encodes, method: Any) -> bytes:
    return frame(b"b", map(encoder.encode, (method.__func__, method.__self__)))


def _write_module(encoder: Encodes, module: types.ModuleType) -> bytes:
    return frame(b"i", [module.__name__.encode()])


def _write_runnable(encoder: Encodes, value: Runnable) -> bytes:
    """Encode a task or a flow by its function, not by its options."""
    name = value.__qualname__
    if _is_importable(value.__module__, name, value):
        return frame(b"g", [value.__module__.encode(), name.encode()])
    return frame(b"t", [type(value).__name__.encode(), value.name.encode(), encoder.encode(value.fn)])


def write_class(encoder: Encodes, cls: type) -> bytes:
    """Encode a class by its name or by its definition."""
    known = _definitions.get(cls)
    if known is not None:
        return known
    module, name = cls.__module__, cls.__qualname__
    if not cls.__flags__ & _HEAP_TYPE or _is_importable(module, name, cls):
        return frame(b"g", [str(module).encode(), name.encode()])
    # A process of a pool receives such a class by its definition, and cannot import it by its name.
    is_of_module = "<locals>" not in name
    parts = [name.encode(), *map(encoder.encode, cls.__bases__)]
    for attribute, value in sorted(vars(cls).items()):
        if attribute in _PASSED_OVER:
            continue
        written = _attribute(encoder, attribute, value, is_of_module)
        if written is not None:
            parts += [attribute.encode(), written]
    definition = frame(b"k", parts)
    if is_of_module and encoder.is_closed():
        _definitions[cls] = definition
    return definition


def _attribute(encoder: Encodes, name: str, value: Any, is_of_module: bool) -> bytes | None:
    """Encode an attribute of a class without an importable name; None if the attribute is skipped.

    For a class of the script, functions and plain values are enough. A class that was created in a function
    may have variants that differ in any attribute.
    """
    functions = list(_functions_in(value))
    if functions:
        written = []
        for fn in functions:
            written.append(encoder.encode(fn.__code__))
            bound = [fn.__defaults__, fn.__kwdefaults__]
            bound += [cell.cell_contents for cell in fn.__closure__ or () if not _is_empty(cell)]
            written += [_global(encoder, each) if is_of_module else encoder.encode(each) for each in bound]
        return frame(type(value).__name__.encode() + b"[", written)
    if name.startswith("__") and name.endswith("__"):
        return None
    if isinstance(value, (types.MemberDescriptorType, types.GetSetDescriptorType)):
        return None
    if is_of_module and not _is_plain(value):
        return None
    return encoder.encode(value)


def _is_empty(cell: types.CellType) -> bool:
    return cell == types.CellType()


def _functions_in(value: Any) -> Iterator[Any]:
    """The functions in an attribute of a class, unwrapped."""
    import functools

    if isinstance(value, types.FunctionType):
        yield value
    elif isinstance(value, Runnable):
        yield from _functions_in(value.fn)
    elif isinstance(value, (staticmethod, classmethod)):
        yield from _functions_in(value.__func__)
    elif isinstance(value, property):
        for fn in (value.fget, value.fset, value.fdel):
            yield from _functions_in(fn)
    elif isinstance(
        value, (functools.cached_property, functools.partialmethod, functools.singledispatchmethod)
    ):
        yield from _functions_in(value.func)
    elif isinstance(getattr(value, "__wrapped__", None), types.FunctionType):
        yield value.__wrapped__


_SCALARS = frozenset((str, bytes, int, float, complex, bool, type(None)))


def _is_plain(value: Any) -> bool:
    """Whether the value and all values in it are of builtin types."""
    kind = type(value)
    if kind is dict:
        return _is_plain(list(value)) and _is_plain(list(value.values()))
    if kind in (list, tuple, set, frozenset):
        return all(map(_is_plain, value))
    return kind in _SCALARS


def _write_wrapper(encoder: Encodes, value: Any) -> bytes:
    return frame(b"w", [type(value).__name__.encode(), encoder.encode(value.__func__)])


def _write_property(encoder: Encodes, value: property) -> bytes:
    return frame(b"w", map(encoder.encode, (value.fget, value.fset, value.fdel)))


_WRITERS: dict[type, Callable[[Encodes, Any], bytes]] = {
    Source: _write_source,
    _Bound: _write_bound,
    types.FunctionType: _write_function,
    types.CodeType: _write_code,
    types.MethodType: _write_method,
    types.ModuleType: _write_module,
    types.MappingProxyType: lambda encoder, value: encoder.mapping(dict(value)),
    types.CellType: lambda encoder, value: encoder.encode(value.cell_contents),
    memoryview: lambda encoder, value: encoder.items(
        b"memory", (value.format, *value.shape, value.tobytes())
    ),
    staticmethod: _write_wrapper,
    classmethod: _write_wrapper,
    property: _write_property,
}
