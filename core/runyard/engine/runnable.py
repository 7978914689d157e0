"""What flows and tasks have in common: they wrap a function and look like it. Loaded at start-up."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self

# Flags of a code object, as in `inspect`, which is too slow to import for three numbers.
_GENERATOR = 0x20
_COROUTINE = 0x80
_ASYNC_GENERATOR = 0x200


class Runnable:
    """A function with options; subclasses say what calling it does.

    Args:
        fn: the function.
        name: what runs of it are called; by default the function's name, with hyphens for a flow.
        options: everything the decorator was given, for `with_options`.
    """

    def __init__(self, fn: Callable[..., Any], name: str, options: dict[str, Any]) -> None:
        if not callable(fn):
            raise TypeError(f"{fn!r} is not callable; the decorator stands above a function")
        self.fn = fn
        self.name = name
        self._options = options
        self.__module__ = getattr(fn, "__module__", None) or type(fn).__module__
        self.__name__ = function_name(fn)
        self.__qualname__ = getattr(fn, "__qualname__", None) or self.__name__
        self.__doc__ = getattr(fn, "__doc__", None)
        self.__wrapped__ = fn
        code = getattr(fn, "__code__", None) or getattr(type(fn).__call__, "__code__", None)
        flags = code.co_flags if code is not None else 0
        self.isasync = bool(flags & (_COROUTINE | _ASYNC_GENERATOR))
        self.isgenerator = bool(flags & (_GENERATOR | _ASYNC_GENERATOR))
        # What the engine works out on the first run and keeps: the signature, the validator.
        self._kept: dict[str, Any] = {}

    def __class_getitem__(cls, _parameters: Any) -> type[Self]:
        """`Flow[[int], str]` in annotations, as written for Prefect, stands for the class."""
        return cls

    def __reduce__(self) -> Any:
        """Pickled by its name where it can be imported by it, and otherwise as what it is made of."""
        import sys

        found: Any = sys.modules.get(self.__module__)
        if self.__module__ != "__main__" and not self.__module__.startswith("_runyard_"):
            for name in self.__qualname__.split("."):
                found = getattr(found, name, None)
            if found is self:
                return self.__qualname__
        import copyreg

        return copyreg.__newobj__, (type(self),), {**self.__dict__, "_kept": {}}  # type: ignore[attr-defined]  # undocumented

    def __get__(self, instance: Any, owner: type | None = None) -> Self:
        """The same with the function bound, so that the decorator works on methods."""
        if instance is None:
            return self
        return type(self)(self.fn.__get__(instance, owner), **self._options)


def function_name(fn: Callable[..., Any]) -> str:
    """A name for a callable that was given none."""
    return getattr(fn, "__name__", None) or type(fn).__name__


def checked_retries(retries: int | None) -> int | None:
    """`retries`, if it can be one."""
    if retries is not None and retries < 0:
        raise ValueError(f"retries={retries} is negative")
    return retries


def checked_hooks(name: str, hooks: Any) -> list[Any]:
    """A list of hooks, each callable."""
    found = list(hooks or ())
    for hook in found:
        if not callable(hook):
            raise TypeError(f"{name} takes a list of functions, not {hook!r}")
    return found
