"""Records a run's parameters, and restores them when the run starts again.

The record has two parts. `parameters` shows each value as JSON for people and other clients: limited in
size, without secrets, with a placeholder such as `<generator>` for a value without a JSON form. If this JSON
does not restore the value, `context` holds the exact form, or the reason why the value is lost.

Recording has no side effects: it does not advance iterators, read files or call `repr`.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from runyard.base.errors import ParameterError
from runyard.base.redaction import STARS, redact, redact_json
from runyard.base.texts import storable
from runyard.domain.exact_parameters import KEY
from runyard.engine.parameters import model_of, signature_of

if TYPE_CHECKING:
    from collections.abc import Callable

# Imported inside functions: exact forms (9 ms), for parameters that their JSON form does not restore.


# The most characters of JSON for all parameters of a run; the shown and the exact form count separately.
LARGEST = 512 * 1024
# The same for the parameters of a run of a deployment.
_LARGEST_SENT = 8 * 2**20
_SCALARS = frozenset((bool, int, float, type(None)))
_WITH_SHAPES = frozenset(("numpy", "pandas", "polars", "pyarrow", "scipy", "xarray", "torch"))
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


_COLLECTIONS = (list, tuple, set, frozenset)


class _TooLarge(Exception):
    """A value is larger than the remaining budget."""


def recorded_parameters(flow: Any, parameters: dict[str, Any]) -> tuple[str, str]:
    """The parameters as a run's record stores them: two JSON texts, see `recorded`."""
    signature = signature_of(flow)

    def again(name: str, form: Any) -> Any:
        if not flow.should_validate_parameters or name not in signature.annotations:
            return tuple(form) if name == signature.var_args else form
        model, fields = model_of(flow, signature)
        field = next(field for field, each in fields.items() if each == name)
        checked = model.__pydantic_validator__.validate_assignment(model.model_construct(), field, form)
        return getattr(checked, field)

    return recorded(parameters, again, signature.defaults)


def recorded(
    parameters: dict[str, Any], again: Callable[[str, Any], Any], defaults: dict[str, Any]
) -> tuple[str, str]:
    """The parameters of a run for its record: the shown form, and the data that restores the values.

    Args:
        parameters: values by name.
        again: validates a parameter's JSON form (name and form) as the flow does; raises if it is invalid.
        defaults: the default values of the flow's function, by name.

    Returns:
        Two JSON objects as text: for `parameters` and for `context`.
    """
    if not parameters:
        return "{}", "{}"
    budget = _Budget(LARGEST)
    if all(budget.is_plain(value, 0) for value in parameters.values()):
        text = _encode(parameters)
        if redact_json(text) == text:
            return storable(text), "{}"
    room, exact_room = LARGEST, LARGEST
    shown, more = [], {}
    for name, value in parameters.items():
        text, form, why = _show(value, room)
        room -= len(text)
        shown.append(f"{json.dumps(redact(name), ensure_ascii=False)}:{text}")
        if why is None and _same(form, value, partial(again, name)):
            continue
        exact, reason = _exact(value, exact_room) if form is not _TooLarge else ("", why)
        exact_room -= len(exact)
        if not reason:
            more[name] = {"value": json.loads(exact)}
        elif name in defaults and defaults[name] is value:
            more[name] = {"default": True}
        else:
            more[name] = {"lost": why or reason}
    context = _encode({KEY: more}) if more else "{}"
    return storable("{" + ",".join(shown) + "}"), storable(context)


def restored(parameters: dict[str, Any], context: dict[str, Any], flow: Any) -> dict[str, Any]:
    """The original parameters of a recorded run.

    Args:
        parameters, context: of the run.
        flow: the flow; its module replaces the script that created the run.

    Raises:
        ParameterError: some values were not stored; a default must not replace them.
    """
    more = context.get(KEY)
    if not isinstance(more, dict):
        return parameters
    lost = [f"{name!r}: {how['lost']}" for name, how in more.items() if "lost" in how]
    if lost:
        raise ParameterError(
            f"the run cannot start again, because not all of its parameters were stored ({'; '.join(lost)}); "
            "call the flow with them again"
        )
    from runyard.engine.results import json_classes, json_objects

    found = {name: value for name, value in parameters.items() if "default" not in more.get(name, ())}
    token = json_classes.script.set(getattr(flow, "__module__", None))
    try:
        for name, how in more.items():
            if "value" in how:
                found[name] = json_objects.from_json(how["value"])
    except Exception as error:
        raise ParameterError(
            f"the run cannot start again, because its parameter {name!r} cannot be read: {error}"
        ) from error
    finally:
        json_classes.script.reset(token)
    return found


def as_json(parameters: dict[str, Any], whose: str) -> dict[str, Any]:
    """The parameters in the form in which a deployment's runs get them: as JSON.

    Args:
        parameters: values by name.
        whose: the deployment, for the message.

    Raises:
        ParameterError: a value has no JSON form, is a secret, or is too large.
    """
    found = {}
    for name, value in parameters.items():
        budget = _Budget(_LARGEST_SENT)
        why = None
        try:
            found[name] = _form(value, budget, 0)
            why = budget.opaque and f"{budget.opaque} has no JSON form"
        except _TooLarge:
            why = f"{_class_of(value)} is too deep or larger than {_LARGEST_SENT // 2**20} MiB"
        if why or budget.secret:
            why = why or "it is a secret, which would be stored as stars; load it inside the flow"
            raise ParameterError(f"parameter {name!r} cannot be sent to {whose}: {why}")
    return found


class _Budget:
    """The number of characters that are left for a value."""

    def __init__(self, characters: int) -> None:
        self.left = characters
        # The class of the first contained value without a JSON form.
        self.opaque: str | None = None
        # Whether a contained value is shown as stars.
        self.secret = False

    def placeholder(self, value: Any) -> str:
        """The text that replaces a value without a JSON form."""
        self.opaque = self.opaque or _class_of(value)
        text = describe(value)
        self.take(len(text))
        return text

    def take(self, characters: int) -> None:
        """Subtract characters from the budget.

        Raises:
            _TooLarge: fewer characters are left.
        """
        self.left -= characters
        if self.left < 0:
            raise _TooLarge

    def is_plain(self, value: Any, depth: int) -> bool:
        """Whether JSON represents the value exactly and within the remaining budget."""
        kind = type(value)
        if kind is str:
            self.left -= len(value)
            return self.left >= 0
        if kind in _SCALARS:
            self.left -= 8
            return self.left >= 0 and (kind is not float or value - value == 0) and _is_short(value)
        if depth > 100:
            return False
        self.left -= 2
        if kind is list:
            return all(self.is_plain(item, depth + 1) for item in value)
        return kind is dict and all(
            type(key) is str and self.is_plain(key, depth) and self.is_plain(item, depth + 1)
            for key, item in value.items()
        )


def _is_short(value: Any) -> bool:
    # Python refuses to write an integer of more than 4300 digits.
    return type(value) is not int or value.bit_length() < 10_000


def _show(value: Any, room: int) -> tuple[str, Any, str | None]:
    """A value as JSON text, its JSON form, and the reason if the form does not represent the value."""
    budget = _Budget(room)
    try:
        form = _form(value, budget, 0)
        text = _encode(form)
    except _TooLarge:
        return _quoted(describe(value)), _TooLarge, f"{_class_of(value)} is larger than {LARGEST // 1024} KiB"
    except Exception:
        # The user's code failed, such as a field serializer of a model, or JSON cannot encode a text.
        return _quoted(describe(value)), None, f"{_class_of(value)} has no JSON form"
    redacted = redact_json(text)
    why = budget.opaque and f"{budget.opaque} has no JSON form"
    return redacted, form, why if redacted == text else "it holds a secret"


def _quoted(text: Any) -> str:
    return json.dumps(redact(str(text)))


def _same(form: Any, value: Any, again: Callable[[Any], Any]) -> bool:
    """Whether the flow restores the value from its JSON form."""
    from runyard.engine.results.json_classes import same

    try:
        return same(again(form), value)
    except Exception:
        return False


def _exact(value: Any, room: int) -> tuple[str, str | None]:
    """The exact form of a value as JSON text, or an empty text and the reason."""
    from runyard.engine.results.json_objects import to_json

    try:
        _measure(value, _Budget(room), 0)
        form = to_json(value)
        text = _encode(form)
        if len(text) > room:
            raise _TooLarge
    except _TooLarge:
        return "", f"it is larger than {LARGEST // 1024} KiB"
    except Exception:
        return "", f"{_class_of(value)} has no exact JSON form"
    return ("", "it holds a secret") if _holds_secret(form) else (text, None)


def _measure(value: Any, budget: _Budget, depth: int) -> None:
    """Subtract the approximate size of a value of builtin types from the budget."""
    if isinstance(value, (str, bytes, bytearray)):
        budget.take(len(value))
        return
    budget.take(8)
    if isinstance(value, (list, tuple, set, frozenset, dict)) and depth < 100:
        parts = dict.values(value) if isinstance(value, dict) else value
        for item in parts:
            _measure(item, budget, depth + 1)


def _holds_secret(form: Any) -> bool:
    """Whether an exact form contains a secret, also in encoded bytes or texts."""
    if isinstance(form, str):
        return redact(form) != form
    if isinstance(form, list):
        return any(map(_holds_secret, form))
    if not isinstance(form, dict):
        return False
    from runyard.engine.results.json_objects import MARK, decode

    if form.get(MARK) in ("bytes", "bytearray", "text"):
        held = decode(form)
        return redact(held if isinstance(held, str) else held.decode("utf-8", "replace")) != (
            held if isinstance(held, str) else held.decode("utf-8", "replace")
        )
    return any(_holds_secret(key) or _holds_secret(item) for key, item in form.items())


def describe(value: Any) -> str:
    """A short text for a value that is not shown: its class, and its size if known."""
    name = _class_of(value)
    if isinstance(value, (str, bytes, bytearray)):
        return f"<{name} of {len(value)} {'characters' if isinstance(value, str) else 'bytes'}>"
    if isinstance(value, (list, tuple, set, frozenset, dict)):
        return f"<{name} of {len(value)} items>"
    shape = None
    if type(value).__module__.partition(".")[0] in _WITH_SHAPES:
        shape = getattr(value, "shape", None)
    return f"<{name}, shape {tuple(shape)}>" if isinstance(shape, tuple) else f"<{name}>"


def _class_of(value: Any) -> str:
    cls = type(value)
    name = cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    return name[:200]


def _form(value: Any, budget: _Budget, depth: int) -> Any:
    """The JSON form of a value: collections become lists and objects, times and special numbers become texts.

    A value without a JSON form becomes a placeholder, and `budget` records it.

    Raises:
        _TooLarge: the value is larger than the budget.
    """
    if depth > 50:
        raise _TooLarge
    kind = type(value)
    if kind is str or kind in _SCALARS:
        budget.take(len(value) if kind is str else 8)
        if kind is float and value - value != 0:
            return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
        if not _is_short(value):
            raise _TooLarge
        return value
    budget.take(2)
    if isinstance(value, dict):
        return {_name(key, budget): _form(item, budget, depth + 1) for key, item in dict.items(value)}
    if isinstance(value, _COLLECTIONS):
        return [_form(item, budget, depth + 1) for item in _items(value)]
    return _form_of_object(value, budget, depth)


def _items(value: Any) -> list[Any]:
    """The items of a builtin collection, also if a subclass overrides the iteration."""
    return list(next(base for base in _COLLECTIONS if isinstance(value, base)).__iter__(value))


def _name(key: Any, budget: _Budget) -> str:
    if type(key) is str:
        budget.take(len(key))
        return key
    form = _form(key, budget, 40)
    return form if isinstance(form, str) else _encode(form)


def _form_of_object(value: Any, budget: _Budget, depth: int) -> Any:
    """The JSON form of any other object; pydantic supports many types."""
    cls = type(value)
    library = cls.__module__.partition(".")[0]
    if library == "numpy" and getattr(value, "shape", None) == ():
        item = value.item()
        return budget.placeholder(value) if type(item) is cls else _form(item, budget, depth + 1)
    if library == "pandas":
        return value.isoformat() if hasattr(cls, "isoformat") else budget.placeholder(value)
    from runyard.engine.results.json_classes import holds_iterator

    if holds_iterator(value, budget.take):
        return budget.placeholder(value)
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    try:
        form = to_jsonable_python(value, by_alias=False, inf_nan_mode="strings")
    except (PydanticSerializationError, ValueError):
        return budget.placeholder(value)
    text = _encode(form)
    budget.take(len(text))
    budget.secret = budget.secret or STARS in text
    return form
