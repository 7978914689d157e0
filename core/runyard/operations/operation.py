"""What an operation is: a function over a transaction, with the route it has on the API."""

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
    """What `prepare` of an operation returns where nothing is to be written: the operation's result."""

    def __init__(self, result: Any) -> None:
        self.result = result


class Answer(Generic[R]):
    """A result with the HTTP status that it answers with: what a function returns that has several.

    Who calls the operation gets the result alone.
    """

    def __init__(self, result: R, status: int) -> None:
        self.result = result
        self.status = status


class Operation(Generic[P, R]):
    """A declared operation; calling it runs its function in the given transaction.

    Its function takes `tx`, then a string per `{placeholder}` of the path, then `body` when it has
    one; every further argument is a query parameter and has a default.
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
        self.name = function.__name__
        self.module = function.__module__
        self.__doc__ = function.__doc__
        self.placeholders = tuple(_PLACEHOLDER.findall(path))

    def __call__(self, tx: Transaction, *args: Any, **kwargs: Any) -> R:
        return self.answer(tx, *args, **kwargs).result

    def answer(self, tx: Transaction, *args: Any, **kwargs: Any) -> Answer[R]:
        """Run the function; its result, and the HTTP status."""
        result = self.function(tx, *args, **kwargs)
        return result if isinstance(result, Answer) else Answer(result, self.status)

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments by name, without `tx`; those not given are left out."""
        code = self.function.__code__
        names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
        return {**dict(zip(names, args, strict=False)), **kwargs}

    def __repr__(self) -> str:
        return f"<operation {self.method} {self.path}>"


class Declare(Protocol):
    """What makes an operation of a function, whether it returns its result or an answer with it."""

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
) -> Declare:
    """Declare a function as an operation.

    Args:
        method: the HTTP method.
        path: the route below `/api`, with `{placeholders}` for arguments.
        status: the HTTP status of success; a function that has several returns an `Answer`.
        write: whether it changes anything; by default a GET, and a POST to a route that only
            searches (`filter`, `count`), does not.
        text: the API answers with the text itself that it returns, not with JSON.
        durable: whether what it wrote survives a power cut from its return on; if not, a process that
            is killed loses nothing all the same, and the next durable write makes it last.
        prepare: called before with a transaction that only reads, and the same arguments, for what takes
            long and must not hold up writers; `tx.prepared` is what it returned. The function has to
            check that what it was based on still holds. Where it returns `Settled`, that is the result, and
            the function is not called: many who look for something to do, and find nothing, then do not
            wait for each other.
        single: it reads, by one statement, and so often that the time of a transaction counts.
    """
    if write is None:
        tail = path.rstrip("/").rpartition("/")[2]
        write = method != "GET" and tail not in ("filter", "count", "paginate")

    def declare(function: Callable[..., Any]) -> Operation[..., Any]:
        return Operation(function, method, path, status, write, text, durable, prepare, single)

    return declare
