"""The base class of task runners, which is also the interface for a user's own runner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Self

    from runyard.engine.futures import FutureList, TaskFuture


class TaskRunner:
    """Runs submitted tasks; each flow run uses its own copy.

    A custom runner implements `start`, which runs `work`, a `runyard.engine.submission.Submission`. Calling
    `work` runs the task in the calling thread and resolves the future; `work.package(...)` serializes it for
    another process. Alternatively the runner overrides `submit(task, parameters, wait_for, dependencies)`,
    as in Prefect, and returns a future, such as the one of another runner.
    """

    def __class_getitem__(cls, _parameters: Any) -> type[Self]:
        """The class itself: Prefect's annotations use `TaskRunner[PrefectFuture]`."""
        return cls

    def duplicate(self) -> Self:
        """A new runner with the same options."""
        raise TypeError(f"{type(self).__name__} does not implement duplicate")

    def start(self, work: Callable[[], Any], future: TaskFuture) -> None:
        """Run `work()` now or later; it resolves `future`."""
        raise TypeError(f"{type(self).__name__} does not implement start")

    def submit(
        self,
        task: Any,
        parameters: Any = None,
        wait_for: Iterable[Any] | None = None,
        dependencies: Any = None,
    ) -> Any:
        """Start a run of a task on this runner.

        Args:
            task: the task.
            parameters: its arguments by name; the run waits for futures among them.
            wait_for: futures that must be done before the run starts.
            dependencies: accepted for compatibility; dependencies are found in the arguments.

        Returns:
            The run's future.

        Raises:
            ParameterError: the arguments do not match the signature.
        """
        # Imported here: it takes 6 ms, which a module that only defines a runner need not pay.
        from runyard.engine.submission import Submission

        if isinstance(task, Submission):
            return self.start(task, parameters)
        return task.submit_to(self, dict(parameters or {}), wait_for)

    def map(self, task: Any, parameters: dict[str, Any], wait_for: Iterable[Any] | None = None) -> FutureList:
        """Start a run for each item of the iterable arguments, as `task.map(...)` does."""
        found: FutureList = task.map_on(self, parameters, wait_for)
        return found

    def close(self, cancel: bool = False) -> None:
        """Wait for all submitted runs; with `cancel`, drop the runs that have not started."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(cancel=error is not None)
