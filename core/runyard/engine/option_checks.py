"""Validates the options of `@flow` and `@task` in the decorator; the error names the option.

The decorators import this module, so it avoids slow imports.
"""

from __future__ import annotations

from runyard.base import ids, texts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

# The longest wait in seconds that a run's timestamps can represent: a thousand years.
_LONGEST = 1000 * 365 * 86_400.0
# As in Prefect: more delays than these are treated as an error.
_MOST_DELAYS = 50


def _said(value: object) -> str:
    return texts.shortened(texts.told(value, repr), 200)


def _wrong(option: str, value: object, wanted: str) -> TypeError:
    return TypeError(f"{option}={_said(value)} is of type {type(value).__name__}; give {wanted}")


def text(option: str, value: Any) -> str | None:
    """A string option, or None.

    Raises:
        TypeError: it is not a string.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise _wrong(option, value, "a text")
    return texts.storable(value)


def flow_name(name: Any) -> str:
    """The name of a flow; it must be usable in `flow/deployment`.

    Raises:
        TypeError: it is not a string.
        InvalidNameError: it is empty, too long, or contains one of / % & > <.
    """
    if not isinstance(name, str):
        raise _wrong("name", name, "a text")
    name = texts.storable(name)
    if not name or len(name) > texts.NAME or any(each in name for each in ids.FORBIDDEN):
        # 11 ms that every import of a decorator would pay.
        from runyard.base.exceptions import InvalidNameError

        raise InvalidNameError(
            f"invalid flow name {_said(name)}: use 1 to {texts.NAME} characters, without / % & > <"
        )
    return name


def task_name(name: Any) -> str:
    """The name of a task; a long name is shortened, so that the names of its runs stay within the limit.

    Raises:
        TypeError: it is not a string.
    """
    if not isinstance(name, str):
        raise _wrong("name", name, "a text")
    return texts.storable(texts.shortened(name, texts.NAME - 15))


def run_name(option: str, value: Any) -> Any:
    """A template of run names, a function that returns a name, or None.

    Raises:
        TypeError: it has another type.
    """
    if value is not None and not isinstance(value, str) and not callable(value):
        raise _wrong(option, value, "a text or a function that gives one")
    return value


def version(value: Any) -> str | None:
    """A version as a string; a number is accepted."""
    return None if value is None else texts.name(value)


def tags(value: Any) -> frozenset[str]:
    """Tags as strings; numbers and other values are converted.

    Raises:
        TypeError: it is not a collection.
    """
    if value is None:
        return frozenset()
    if isinstance(value, str):
        value = (value,)
    try:
        return frozenset([texts.name(tag) for tag in value])
    except TypeError:
        raise _wrong("tags", value, "a list of texts") from None


def retries(value: Any) -> int | None:
    """`retries`, or None.

    Raises:
        TypeError, ValueError: it is not an integer of 0 or more.
    """
    if value is None:
        return None
    number = _number("retries", value, "a whole number")
    if not 0 <= number < 2**31 or number != int(number):
        raise ValueError(f"invalid retries={_said(value)}; give an integer of 0 or more")
    return int(number)


def delays(value: Any) -> float | list[float] | None:
    """`retry_delay_seconds`, or None: one delay, or a list of delays.

    Raises:
        TypeError, ValueError: the type is wrong, a delay is negative, or the list has more than 50 items.
    """
    if value is None:
        return None
    if isinstance(value, (list, tuple)):
        if len(value) > _MOST_DELAYS:
            raise ValueError(f"retry_delay_seconds has {len(value)} waits; at most {_MOST_DELAYS}")
        return [_seconds("retry_delay_seconds", item, "numbers of seconds") for item in value]
    return _seconds("retry_delay_seconds", value, f"{_ONE}, or a list of them")


_ONE = "a number of seconds"


def _number(option: str, value: Any, wanted: str) -> float:
    """The value if it is a number; a scalar of another library is converted to float."""
    if type(value) in (int, float):
        return value
    if isinstance(value, str) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        raise _wrong(option, value, wanted)
    return float(value)


def _seconds(option: str, value: Any, wanted: str) -> float:
    if hasattr(value, "total_seconds"):
        value = value.total_seconds()
    number = _number(option, value, wanted)
    if not 0 <= number <= _LONGEST:  # False for NaN too
        raise ValueError(f"{option}={_said(value)} is out of range; give 0 or more seconds")
    return number


def timeout(value: Any) -> float | None:
    """`timeout_seconds`; None, 0 and infinity mean no limit.

    Raises:
        TypeError, ValueError: it is not a number of seconds.
    """
    if value is None:
        return None
    if isinstance(value, str):
        # Prefect accepts strings.
        try:
            value = float(value)
        except ValueError:
            raise _wrong("timeout_seconds", value, _ONE) from None
    if value == float("inf"):
        return None
    return float(_seconds("timeout_seconds", value, _ONE)) or None


def jitter(value: Any) -> float | None:
    """`retry_jitter_factor`, or None.

    Raises:
        TypeError, ValueError: it is not a number of 0 or more.
    """
    if value is None:
        return None
    number = _number("retry_jitter_factor", value, "a number from 0")
    if not 0 <= number < float("inf"):
        raise ValueError(f"invalid retry_jitter_factor={_said(value)}; give a number of 0 or more")
    return number


def expiration(value: Any) -> Any:
    """`cache_expiration`, or None.

    Raises:
        TypeError: it is not a timedelta.
    """
    if value is not None and not hasattr(value, "total_seconds"):
        raise _wrong("cache_expiration", value, "a datetime.timedelta")
    return value


def function(option: str, value: Any) -> Any:
    """A function, or None.

    Raises:
        TypeError: it is not callable.
    """
    if value is not None and not callable(value):
        raise _wrong(option, value, "a function")
    return value


def flag(option: str, value: Any) -> Any:
    """True, False or None.

    Raises:
        TypeError: it is a string or a collection, which Python would treat as true.
    """
    if hasattr(value, "__len__"):
        raise _wrong(option, value, "True or False")
    return value


def policy(value: Any) -> Any:
    """`cache_policy`, or None.

    Raises:
        TypeError: it is neither a cache policy nor callable.
    """
    if value is not None and not callable(value) and not hasattr(value, "compute_key"):
        raise _wrong("cache_policy", value, "a cache policy, such as INPUTS, or a function")
    return value


def serializer(value: Any) -> Any:
    """`result_serializer`, or None.

    Raises:
        TypeError: it is not a serializer, a name of one, or a dict of its options.
    """
    if value is not None and not isinstance(value, (str, dict)) and not hasattr(value, "dumps"):
        raise _wrong("result_serializer", value, 'a serializer, or the name of one, such as "json"')
    return value


def storage(value: Any) -> Any:
    """`result_storage`, or None.

    Raises:
        TypeError: it is not a storage, a path or a URL.
    """
    named = isinstance(value, str) or hasattr(value, "__fspath__")
    if value is not None and not named and not (hasattr(value, "read_path") and hasattr(value, "write_path")):
        raise _wrong("result_storage", value, "a path, a URL or a filesystem")
    return value


def runner(value: Any) -> Any:
    """A task runner, its class, or None.

    Raises:
        TypeError: it is not a task runner.
    """
    if value is not None and not hasattr(value, "submit"):
        raise _wrong("task_runner", value, "a task runner, such as ThreadPoolTaskRunner()")
    return value


def hooks(name: str, value: Iterable[Any] | None) -> list[Any]:
    """A list of hooks, each callable.

    Raises:
        TypeError: it is not a list, or an item is not callable.
    """
    if value is not None and (isinstance(value, str) or not hasattr(value, "__iter__")):
        raise TypeError(f"{name} takes a list of functions: {name}=[{getattr(value, '__name__', value)}]")
    found = list(value or ())
    for hook in found:
        if not callable(hook):
            raise TypeError(f"{name} takes a list of functions, not {_said(hook)}")
    return found
