"""Declares an operation: a function over a transaction, with its route in the API."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable

    from runyard.store.database import Transaction

P = ParamSpec("P")
R = TypeVar("R")

_PLACEHOLDER = re.compile(r"{(\w+)}")


class Settled:
    """Returned by `prepare` if nothing needs to be written. It holds the result of the operation."""

    def __init__(self, result: Any) -> None:
        self.result = result


class Answer(Generic[R]):
    """A result with its HTTP status, for functions with several statuses.

    The caller of the operation gets only the result.
    """

    def __init__(self, result: R, status: int) -> None:
        self.result = result
        self.status = status


class Operation(Generic[P, R]):
    """A declared operation. Calling it runs its function in the given transaction.

    The function takes `tx`, a string for each `{placeholder}` of the path, and `body` if it has one. Each
    further argument is a query parameter with a default.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        method: str,
        path: str,
        status: int,
        write: bool,
        text: bool = False,
        durable: bool = True,
        prepare: Callable[..., Any] | None = None,
        single: bool = False,
        file: str = "",
    ) -> None:
        self.function = function
        self.method = method
        self.path = path
        self.status = status
        self.write = write
        self.text = text
        self.durable = durable
        self.prepare = prepare
        self.single = single
        self.file = file
        self.name = function.__name__
        self.module = function.__module__
        self.__doc__ = function.__doc__
        self.placeholders = tuple(_PLACEHOLDER.findall(path))

    def __call__(self, tx: Transaction, *args: Any, **kwargs: Any) -> R:
        return self.answer(tx, *args, **kwargs).result

    def answer(self, tx: Transaction, *args: Any, **kwargs: Any) -> Answer[R]:
        """Run the function, and return its result with the HTTP status."""
        result = self.function(tx, *args, **kwargs)
        return result if isinstance(result, Answer) else Answer(result, self.status)

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The given arguments by name, without `tx`."""
        code = self.function.__code__
        names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
        return {**dict(zip(names, args, strict=False)), **kwargs}

    def __repr__(self) -> str:
        return f"<operation {self.method} {self.path}>"


class Declare(Protocol):
    """The type of the decorator of `operation`, for functions that return a result or an `Answer`."""

    @overload
    def __call__(self, function: Callable[..., Answer[R]]) -> Operation[..., R]: ...

    @overload
    def __call__(self, function: Callable[..., R]) -> Operation[..., R]: ...


def operation(
    method: str,
    path: str,
    status: int = 200,
    write: bool | None = None,
    text: bool = False,
    durable: bool = True,
    prepare: Callable[..., Any] | None = None,
    single: bool = False,
    file: str = "",
) -> Declare:
    """Declare a function as an operation.

    Args:
        method: the HTTP method.
        path: the route below `/api`, with `{placeholders}` for arguments.
        status: the HTTP status of success. A function with several statuses returns an `Answer`.
        write: whether the operation writes. By default a GET does not, nor does a POST to a route that only
            searches (`filter`, `count`).
        text: the API returns the text itself, not JSON.
        durable: whether its writes survive a power cut as soon as it returns. If false, they still survive
            the kill of a process, and the next durable write makes them durable.
        prepare: called first, with a read-only transaction and the same arguments, for slow work that must
            not block writers. Its result is `tx.prepared`. The function must check that the result is still
            valid. If `prepare` returns `Settled`, the function is not called, so that many callers that find
            nothing to do do not wait for each other.
        single: the operation reads with one statement, so often that the cost of a transaction matters.
        file: the name of the CSV file as which a browser saves the text.
    """
    if write is None:
        tail = path.rstrip("/").rpartition("/")[2]
        write = method != "GET" and tail not in ("filter", "count", "paginate")

    def declare(function: Callable[..., Any]) -> Operation[..., Any]:
        return Operation(function, method, path, status, write, text, durable, prepare, single, file)

    return declare
