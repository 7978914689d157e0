"""What a flow asks of its task runner, and what a submitted task is to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Self

    from runyard.engine.futures import FutureList, TaskFuture


class TaskRunner:
    """Where submitted tasks run; each flow run uses a copy of its own.

    A runner of your own says in `start` how it runs `work`, a `runyard.engine.submission.Submission`: called,
    it runs the task in the calling thread and resolves the future; `runyard.engine.remote` makes of it what
    another process can run. Or it overrides `submit(task, parameters, wait_for, dependencies)`, as for
    Prefect, and returns a future, such as the one of another runner.
    """

    def __class_getitem__(cls, _parameters: Any) -> type[Self]:
        """`TaskRunner[PrefectFuture]` in annotations, as written for Prefect, stands for the class."""
        return cls

    def duplicate(self) -> Self:
        """A fresh one with the same options."""
        raise TypeError(f"{type(self).__name__} does not say how to copy itself")

    def start(self, work: Callable[[], Any], future: TaskFuture) -> None:
        """Run `work()` sometime soon; it resolves `future`."""
        raise TypeError(f"{type(self).__name__} does not say how to run tasks")

    def submit(
        self,
        task: Any,
        parameters: Any = None,
        wait_for: Iterable[Any] | None = None,
        dependencies: Any = None,
    ) -> Any:
        """Start a run of a task here.

        Args:
            task: the task.
            parameters: its arguments by name; futures among them are waited for.
            wait_for: futures that must be done before.
            dependencies: accepted for compatibility; what the arguments come from is seen.

        Returns:
            The run's future.

        Raises:
            ParameterError: the arguments do not fit the signature.
        """
        # 6 ms that who writes a runner need not pay.
        from runyard.engine.submission import Submission

        if isinstance(task, Submission):
            return self.start(task, parameters)
        return task.submit_to(self, dict(parameters or {}), wait_for)

    def map(self, task: Any, parameters: dict[str, Any], wait_for: Iterable[Any] | None = None) -> FutureList:
        """Start a run for each item of the iterable arguments, as `task.map(...)` does."""
        found: FutureList = task.map_on(self, parameters, wait_for)
        return found

    def close(self, cancel: bool = False) -> None:
        """Wait for everything submitted; with `cancel`, give up what has not started."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(cancel=error is not None)
