"""The types of calls of flows and tasks, only for type checkers; at run time the definitions are used.

A call is checked against the function's own signature. An argument may also be a future, whose result the
call gets. A checker accepts a future as the first, second or third positional argument, and then does not
check the other arguments. Arguments of `map` are checked in these positions; keyword arguments accept any
type, because Python's types cannot express "an iterable of each".
"""

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Concatenate, Generic, Literal, ParamSpec, Protocol, Self, TypeAlias, TypeVar, overload

from runyard.base.markers import allow_failure, opaque, quote, unmapped
from runyard.domain.states import State
from runyard.engine.background.background_submit import BackgroundFuture
from runyard.engine.flow_definition import FlowDefinition
from runyard.engine.futures import FutureList, TaskFuture
from runyard.engine.runnable import Runnable
from runyard.engine.task_definition import TaskDefinition
from runyard.sdk.flows import Flow
from runyard.sdk.tasks import Task

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R", covariant=True)
T = TypeVar("T")
A = TypeVar("A")
Ac = TypeVar("Ac", contravariant=True)
Bc = TypeVar("Bc", contravariant=True)
Cc = TypeVar("Cc", contravariant=True)
B = TypeVar("B")
C = TypeVar("C")

# Types that a call accepts instead of a value.
Given: TypeAlias = (
    TaskFuture[Any] | list[TaskFuture[Any]] | State[Any] | allow_failure[Any] | quote[Any] | opaque[Any]
)

# An argument of `map`: an iterable of values, or one value for all calls.
Mapped: TypeAlias = Iterable[T | TaskFuture[Any] | State[Any]] | T | unmapped[Any] | Given

class Calls(Runnable[P, R]):
    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(
        self: Calls[..., Coroutine[Any, Any, T]], *args: Any, return_state: Literal[True], **kwargs: Any
    ) -> Coroutine[Any, Any, State[T]]: ...
    @overload
    def __call__(self, *args: Any, return_state: Literal[True], **kwargs: Any) -> State[R]: ...
    @overload
    def __call__(self, *args: Any, wait_for: Any, **kwargs: Any) -> R: ...
    @overload
    def __call__(self, first: Given, /, *args: Any, **kwargs: Any) -> R: ...
    @overload
    def __call__(self, first: Any, second: Given, /, *args: Any, **kwargs: Any) -> R: ...
    @overload
    def __call__(self, first: Any, second: Any, third: Given, /, *args: Any, **kwargs: Any) -> R: ...

class FlowCalls(Calls[P, R], FlowDefinition[P, R]):
    @overload
    def __get__(
        self: FlowCalls[Concatenate[A, Q], T], instance: None, owner: type | None = None
    ) -> FlowOfClass[A, Q, T]: ...
    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(
        self: FlowCalls[Concatenate[Any, Q], T], instance: object, owner: type | None = None
    ) -> Flow[Q, T]: ...

# Tasks with at least one, two and three parameters.
class Of1(Protocol[Ac, R]):
    @property
    def fn(self) -> Callable[Concatenate[Ac, ...], R]: ...

class Of2(Protocol[Ac, Bc, R]):
    @property
    def fn(self) -> Callable[Concatenate[Ac, Bc, ...], R]: ...

class Of3(Protocol[Ac, Bc, Cc, R]):
    @property
    def fn(self) -> Callable[Concatenate[Ac, Bc, Cc, ...], R]: ...

class Map:
    """`task.map`, typed by the first three parameters of the task's function.

    The function determines the types: mypy cannot derive them from the class of the task.
    """

    @overload
    def __get__(self, task: Of3[A, B, C, Coroutine[Any, Any, T]], owner: Any = None) -> Map3[A, B, C, T]: ...
    @overload
    def __get__(self, task: Of3[A, B, C, T], owner: Any = None) -> Map3[A, B, C, T]: ...
    @overload
    def __get__(self, task: Of2[A, B, Coroutine[Any, Any, T]], owner: Any = None) -> Map2[A, B, T]: ...
    @overload
    def __get__(self, task: Of2[A, B, T], owner: Any = None) -> Map2[A, B, T]: ...
    @overload
    def __get__(self, task: Of1[A, Coroutine[Any, Any, T]], owner: Any = None) -> Map1[A, T]: ...
    @overload
    def __get__(self, task: Of1[A, T], owner: Any = None) -> Map1[A, T]: ...
    @overload
    def __get__(self, task: TaskCalls[..., Coroutine[Any, Any, T]], owner: Any = None) -> Map0[T]: ...
    @overload
    def __get__(self, task: TaskCalls[..., T], owner: Any = None) -> Map0[T]: ...

class Map0(Generic[T]):
    @overload
    def __call__(self, *args: Any, return_state: Literal[True], **kwargs: Any) -> list[State[T]]: ...
    @overload
    def __call__(self, *args: Any, **kwargs: Any) -> FutureList[T]: ...

class Map1(Generic[A, T]):
    @overload
    def __call__(
        self, first: Mapped[A] = ..., /, *, return_state: Literal[True], **kwargs: Any
    ) -> list[State[T]]: ...
    @overload
    def __call__(self, first: Mapped[A] = ..., /, **kwargs: Any) -> FutureList[T]: ...

class Map2(Generic[A, B, T]):
    @overload
    def __call__(
        self,
        first: Mapped[A] = ...,
        second: Mapped[B] = ...,
        /,
        *,
        return_state: Literal[True],
        **kwargs: Any,
    ) -> list[State[T]]: ...
    @overload
    def __call__(
        self, first: Mapped[A] = ..., second: Mapped[B] = ..., /, **kwargs: Any
    ) -> FutureList[T]: ...

class Map3(Generic[A, B, C, T]):
    @overload
    def __call__(
        self,
        first: Mapped[A] = ...,
        second: Mapped[B] = ...,
        third: Mapped[C] = ...,
        /,
        *more: Any,
        return_state: Literal[True],
        **kwargs: Any,
    ) -> list[State[T]]: ...
    @overload
    def __call__(
        self,
        first: Mapped[A] = ...,
        second: Mapped[B] = ...,
        third: Mapped[C] = ...,
        /,
        *more: Any,
        **kwargs: Any,
    ) -> FutureList[T]: ...

class TaskCalls(Calls[P, R], TaskDefinition[P, R]):
    @overload
    def __get__(
        self: TaskCalls[Concatenate[A, Q], T], instance: None, owner: type | None = None
    ) -> TaskOfClass[A, Q, T]: ...
    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(
        self: TaskCalls[Concatenate[Any, Q], T], instance: object, owner: type | None = None
    ) -> Task[Q, T]: ...
    @overload
    def submit(  # type: ignore[overload-overlap]  # the state is asked for by a keyword of its own
        self: TaskCalls[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> TaskFuture[T]: ...
    @overload
    def submit(self, *args: P.args, **kwargs: P.kwargs) -> TaskFuture[R]: ...
    @overload
    def submit(
        self: TaskCalls[..., Coroutine[Any, Any, T]], *args: Any, return_state: Literal[True], **kwargs: Any
    ) -> State[T]: ...
    @overload
    def submit(self, *args: Any, return_state: Literal[True], **kwargs: Any) -> State[R]: ...
    @overload
    def submit(
        self: TaskCalls[..., Coroutine[Any, Any, T]], *args: Any, wait_for: Any, **kwargs: Any
    ) -> TaskFuture[T]: ...
    @overload
    def submit(self, *args: Any, wait_for: Any, **kwargs: Any) -> TaskFuture[R]: ...
    @overload
    def submit(
        self: TaskCalls[..., Coroutine[Any, Any, T]], first: Given, /, *args: Any, **kwargs: Any
    ) -> TaskFuture[T]: ...
    @overload
    def submit(self, first: Given, /, *args: Any, **kwargs: Any) -> TaskFuture[R]: ...
    @overload
    def submit(
        self: TaskCalls[..., Coroutine[Any, Any, T]], first: Any, second: Given, /, *args: Any, **kwargs: Any
    ) -> TaskFuture[T]: ...
    @overload
    def submit(self, first: Any, second: Given, /, *args: Any, **kwargs: Any) -> TaskFuture[R]: ...
    @overload
    def submit(
        self: TaskCalls[..., Coroutine[Any, Any, T]],
        first: Any,
        second: Any,
        third: Given,
        /,
        *args: Any,
        **kwargs: Any,
    ) -> TaskFuture[T]: ...
    @overload
    def submit(
        self, first: Any, second: Any, third: Given, /, *args: Any, **kwargs: Any
    ) -> TaskFuture[R]: ...
    map: Map
    @overload
    def delay(
        self: TaskCalls[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> BackgroundFuture[T]: ...
    @overload
    def delay(self, *args: P.args, **kwargs: P.kwargs) -> BackgroundFuture[R]: ...

# The type does not show whether `@classmethod` is applied: for access through a class, both match.
class FlowOfClass(Flow[Concatenate[A, Q], R], Generic[A, Q, R]):
    @overload  # type: ignore[override]  # it has more ways to be called
    def __call__(self, *args: Q.args, **kwargs: Q.kwargs) -> R: ...
    @overload
    def __call__(self, first: Any, /, *args: Q.args, **kwargs: Q.kwargs) -> R: ...
    @overload
    def __call__(self, *args: Any, return_state: Literal[True], **kwargs: Any) -> Any: ...

class TaskOfClass(Task[Concatenate[A, Q], R], Generic[A, Q, R]):
    @overload  # type: ignore[override]  # it has more ways to be called
    def __call__(self, *args: Q.args, **kwargs: Q.kwargs) -> R: ...
    @overload
    def __call__(self, first: Any, /, *args: Q.args, **kwargs: Q.kwargs) -> R: ...
    @overload
    def __call__(self, *args: Any, return_state: Literal[True], **kwargs: Any) -> Any: ...
    @overload  # type: ignore[override]  # likewise
    def submit(  # type: ignore[overload-overlap]  # the state is asked for by a keyword of its own
        self: TaskOfClass[A, Q, Coroutine[Any, Any, T]], *args: Q.args, **kwargs: Q.kwargs
    ) -> TaskFuture[T]: ...
    @overload
    def submit(self, *args: Q.args, **kwargs: Q.kwargs) -> TaskFuture[R]: ...
    @overload
    def submit(self, first: Any, /, *args: Q.args, **kwargs: Q.kwargs) -> TaskFuture[Any]: ...
    @overload
    def submit(self, *args: Any, return_state: Literal[True], **kwargs: Any) -> State[Any]: ...
