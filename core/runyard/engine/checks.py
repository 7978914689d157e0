"""The options of `@flow` and `@task`, checked where they are written: a wrong one is said by its name.

Loaded with the decorators, so it imports nothing that costs time.
"""

from __future__ import annotations

from runyard.base import ids, texts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

# The longest wait, in seconds, that times of runs can hold: a thousand years.
_LONGEST = 1000 * 365 * 86_400.0
# As Prefect: more delays than these are taken for a mistake.
_MOST_DELAYS = 50


def _said(value: object) -> str:
    return texts.shortened(texts.told(value, repr), 200)


def _wrong(option: str, value: object, wanted: str) -> TypeError:
    return TypeError(f"{option}={_said(value)} is of type {type(value).__name__}; give {wanted}")


def text(option: str, value: Any) -> str | None:
    """A text option, or None.

    Raises:
        TypeError: it is no text.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise _wrong(option, value, "a text")
    return texts.storable(value)


def flow_name(name: Any) -> str:
    """The name of a flow, if it can stand in `flow/deployment`.

    Raises:
        TypeError: it is no text.
        InvalidNameError: it is empty, too long, or has one of / % & > <.
    """
    if not isinstance(name, str):
        raise _wrong("name", name, "a text")
    name = texts.storable(name)
    if not name or len(name) > texts.NAME or any(each in name for each in ids.FORBIDDEN):
        from runyard.base.exceptions import InvalidNameError

        raise InvalidNameError(
            f"{_said(name)} is no name of a flow: it has 1 to {texts.NAME} characters, without / % & > <"
        )
    return name


def task_name(name: Any) -> str:
    """The name of a task; a long one is shortened, so that the names of its runs are within bounds.

    Raises:
        TypeError: it is no text.
    """
    if not isinstance(name, str):
        raise _wrong("name", name, "a text")
    return texts.storable(texts.shortened(name, texts.NAME - 15))


def run_name(option: str, value: Any) -> Any:
    """A template of run names, a function that gives one, or None.

    Raises:
        TypeError: it is neither.
    """
    if value is not None and not isinstance(value, str) and not callable(value):
        raise _wrong(option, value, "a text or a function that gives one")
    return value


def version(value: Any) -> str | None:
    """A version; a number is one as well."""
    return None if value is None else texts.name(value)


def tags(value: Any) -> frozenset[str]:
    """Tags, of which a number or the like is one by its text.

    Raises:
        TypeError: it is no collection.
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
        TypeError, ValueError: it is no whole number from 0.
    """
    if value is None:
        return None
    number = _number("retries", value, "a whole number")
    if not 0 <= number < 2**31 or number != int(number):
        raise ValueError(f"retries={_said(value)} is no whole number from 0")
    return int(number)


def delays(value: Any) -> float | list[float] | None:
    """`retry_delay_seconds`, or None: one wait, or the list of them.

    Raises:
        TypeError, ValueError: it is neither, a wait is negative, or there are more than 50.
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
    """A number as it is, or one that a text or another library's scalar stands for."""
    if type(value) in (int, float):
        return value
    if isinstance(value, str) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        raise _wrong(option, value, wanted)
    return float(value)


def _seconds(option: str, value: Any, wanted: str) -> float:
    if hasattr(value, "total_seconds"):
        value = value.total_seconds()
    number = _number(option, value, wanted)
    if not 0 <= number <= _LONGEST:  # false of NaN as well
        raise ValueError(f"{option}={_said(value)} is out of range; give 0 or more seconds")
    return number


def timeout(value: Any) -> float | None:
    """`timeout_seconds`, or None for no limit, which 0 and infinity mean as well.

    Raises:
        TypeError, ValueError: it is no number of seconds.
    """
    if value is None:
        return None
    if isinstance(value, str):
        # Prefect takes these.
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
        TypeError, ValueError: it is no number from 0.
    """
    if value is None:
        return None
    number = _number("retry_jitter_factor", value, "a number from 0")
    if not 0 <= number < float("inf"):
        raise ValueError(f"retry_jitter_factor={_said(value)} is no number from 0")
    return number


def expiration(value: Any) -> Any:
    """`cache_expiration`, or None.

    Raises:
        TypeError: it is no span of time.
    """
    if value is not None and not hasattr(value, "total_seconds"):
        raise _wrong("cache_expiration", value, "a datetime.timedelta")
    return value


def function(option: str, value: Any) -> Any:
    """A function, or None.

    Raises:
        TypeError: it cannot be called.
    """
    if value is not None and not callable(value):
        raise _wrong(option, value, "a function")
    return value


def flag(option: str, value: Any) -> Any:
    """True, False or None.

    Raises:
        TypeError: it is a text or a collection, which would count as true.
    """
    if hasattr(value, "__len__"):
        raise _wrong(option, value, "True or False")
    return value


def policy(value: Any) -> Any:
    """`cache_policy`, or None.

    Raises:
        TypeError: it makes no keys.
    """
    if value is not None and not callable(value) and not hasattr(value, "compute_key"):
        raise _wrong("cache_policy", value, "a cache policy, such as INPUTS, or a function")
    return value


def serializer(value: Any) -> Any:
    """`result_serializer`, or None.

    Raises:
        TypeError: it is no serializer, and neither names nor describes one.
    """
    if value is not None and not isinstance(value, (str, dict)) and not hasattr(value, "dumps"):
        raise _wrong("result_serializer", value, 'a serializer, or the name of one, such as "json"')
    return value


def storage(value: Any) -> Any:
    """`result_storage`, or None.

    Raises:
        TypeError: it is no storage, and names none.
    """
    named = isinstance(value, str) or hasattr(value, "__fspath__")
    if value is not None and not named and not (hasattr(value, "read_path") and hasattr(value, "write_path")):
        raise _wrong("result_storage", value, "a path, a URL or a filesystem")
    return value


def runner(value: Any) -> Any:
    """A task runner, its class, or None.

    Raises:
        TypeError: it is none.
    """
    if value is not None and not hasattr(value, "submit"):
        raise _wrong("task_runner", value, "a task runner, such as ThreadPoolTaskRunner()")
    return value


def hooks(name: str, value: Iterable[Any] | None) -> list[Any]:
    """A list of hooks, each callable.

    Raises:
        TypeError: it is no list, or one of them cannot be called.
    """
    if value is not None and (isinstance(value, str) or not hasattr(value, "__iter__")):
        raise TypeError(f"{name} takes a list of functions: {name}=[{getattr(value, '__name__', value)}]")
    found = list(value or ())
    for hook in found:
        if not callable(hook):
            raise TypeError(f"{name} takes a list of functions, not {_said(hook)}")
    return found
