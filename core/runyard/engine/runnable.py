"""The base class of flows and tasks, which wrap a function. Loaded at start-up, so it avoids imports."""

from __future__ import annotations

from time import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Generic, ParamSpec, Protocol, Self, TypeVar

    class RunsTasks(Protocol):
        """The interface of task runners, see `runyard.engine.task_runners.runner_protocol.TaskRunner`."""

        def duplicate(self) -> Self:
            """A new runner with the same options."""

        def submit(self, *args: Any, **kwargs: Any) -> Any:
            """Start a run of a task; returns its future."""

        def close(self, cancel: bool = False) -> None:
            """Wait for all submitted runs; with `cancel`, drop the runs that have not started."""

        def __enter__(self) -> Self: ...

        def __exit__(self, *error: Any) -> None: ...

    P = ParamSpec("P")
    R = TypeVar("R", covariant=True)
else:
    from runyard.base.subscripts import Generic

    P = R = None

# Arguments of every call of a flow or a task; a function with such an argument would never receive it.
_RESERVED = ("return_state", "wait_for")

# Flags of a code object, as in `inspect`, which is too slow to import for three numbers.
_GENERATOR = 0x20
_COROUTINE = 0x80
_ASYNC_GENERATOR = 0x200


class Runnable(Generic[P, R]):
    """A function with options; subclasses define its call.

    Args:
        fn: the function.
        name: the name of the flow or task; the default is the function's name, with hyphens for a flow.
        options: the arguments of the decorator, for `with_options`.
    """

    def __init__(self, fn: Callable[..., Any], name: str, options: dict[str, Any]) -> None:
        # `@flow` above `@staticmethod` or `@classmethod`: unwrap the function and remember the binding.
        self._binding = type(fn) if isinstance(fn, (staticmethod, classmethod)) else None
        if self._binding is not None:
            fn = fn.__func__  # type: ignore[attr-defined]  # both kinds have it
        if not callable(fn):
            raise TypeError(f"{fn!r} is not callable; the decorator stands above a function")
        self.fn: Callable[P, R] = fn
        self.name = name
        self._options = options
        self.__module__ = getattr(fn, "__module__", None) or type(fn).__module__
        self.__name__ = function_name(fn)
        self.__qualname__ = getattr(fn, "__qualname__", None) or self.__name__
        self.__doc__ = getattr(fn, "__doc__", None)
        self.__wrapped__ = fn
        if getattr(fn, "__isabstractmethod__", False):
            self.__isabstractmethod__ = True  # keeps its class abstract
        inner: Any = fn
        while not hasattr(inner, "__code__"):
            if isinstance(inner, Runnable):
                inner = inner.fn  # `@task` above `@flow`: a flow that is submitted
            elif hasattr(inner, "func"):
                inner = inner.func  # a functools.partial
            else:
                break
        code = getattr(inner, "__code__", None) or getattr(type(inner).__call__, "__code__", None)
        if code is not None:
            own = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            for argument in _RESERVED:
                if argument in own:
                    # 12 ms that every import of a decorator would pay.
                    from runyard.base.exceptions import ReservedArgumentError

                    raise ReservedArgumentError(
                        f"{self.__name__}: {argument!r} is an argument of every call; give the function's "
                        "own another name"
                    )
        flags = code.co_flags if code is not None else 0
        self.isasync = bool(flags & (_COROUTINE | _ASYNC_GENERATOR))
        self.isgenerator = bool(flags & (_GENERATOR | _ASYNC_GENERATOR))
        # The creation time: source code written later does not describe the function.
        self.made = time()
        # Values that the engine computes on the first run and caches: the signature, the validator.
        self._kept: dict[str, Any] = {}

    def __reduce__(self) -> Any:
        """Pickle by name if the object can be imported by its name, else by its content.

        `pickle` also pickles objects of the script itself by name, as it does functions: the processes of a
        pool have the script. cloudpickle and dill, which send code to other machines, pickle the content.
        """
        import sys

        # 2 ms that every import of a decorator would pay.
        from runyard.engine.importable import importable

        found: Any = sys.modules.get(self.__module__)
        for name in self.__qualname__.split("."):
            found = getattr(found, name, None)
        by_name = importable(self.__module__) or _goes_by_name(self.__module__, sys._getframe(1))
        if by_name and found is self:
            return self.__qualname__
        import copyreg

        # Computed before the values bound into the function have changed.
        kept = {name: self._kept[name] for name in ("source",) if name in self._kept}
        state = {**self.__dict__, "_kept": kept}
        if by_name and isinstance(found, Runnable) and found.fn is self.fn:
            # From `with_options`: only the decorated original can be imported by name.
            del state["fn"], state["__wrapped__"]
            return _twin_of, (found, type(self), state)
        return copyreg.__newobj__, (type(self),), state  # type: ignore[attr-defined]  # undocumented

    def __get__(self, instance: Any, owner: type | None = None) -> Self:
        """A copy with the function bound, so that the decorator works on methods."""
        if self._binding is staticmethod:
            return self
        if self._binding is classmethod:
            instance, owner = owner or type(instance), None
        bind = getattr(self.fn, "__get__", None)
        if instance is None or bind is None:
            return self
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.fn = twin.__wrapped__ = bind(instance, owner)
        twin._binding = None
        # The signature is the same for every instance.
        twin._kept = self._kept.setdefault("bound", {})
        return twin

    def with_options(self, **options: Any) -> Self:
        """A copy with the given options changed; hooks that were added later stay."""
        if options.get("name") is None:
            options["name"] = self.name
        given = {**self._options}
        for name in given:
            if name.startswith("on_"):
                given[name] = list(getattr(self, f"{name}_hooks"))
        twin = type(self)(self.fn, **{**given, **options})
        twin._binding = self._binding
        return twin


def _twin_of(original: Runnable[..., Any], kind: type[Runnable[..., Any]], state: dict[str, Any]) -> Any:
    """Restore the result of `original.with_options(...)` from a pickle."""
    twin = object.__new__(kind)
    twin.__dict__.update(state, fn=original.fn, __wrapped__=original.fn)
    return twin


def _goes_by_name(module: str, caller: Any) -> bool:
    """Whether the pickling frame `caller` pickles functions of the script by name, as `pickle` does."""
    by = caller.f_globals.get("__name__", "")
    by_value = by == "copy" or by.startswith("runyard.") or "cloudpickle" in by or "dill" in by
    return module == "__main__" and not by_value


def documentation(fn: Callable[..., Any]) -> str | None:
    """A function's docstring without the indentation of its source."""
    text = getattr(fn, "__doc__", None)
    if not text or "\n" not in text:
        return text.strip() if text else None
    import inspect

    return inspect.cleandoc(text)


def function_name(fn: Callable[..., Any]) -> str:
    """The default name of a callable."""
    return getattr(fn, "__name__", None) or type(fn).__name__
