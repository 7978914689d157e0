"""What a flow asks of its task runner, and what a submitted task is to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from runyard.futures import TaskFuture


class TaskRunner:
    """Where submitted tasks run; each flow run uses a copy of its own.

    `work` is a `runyard.engine.submit.Submission`: called, it runs the task in the calling thread and
    resolves the future; `runyard.engine.remote` makes of it what another process can run.
    """

    def __class_getitem__(cls, _parameters: Any) -> type[Self]:
        """`TaskRunner[PrefectFuture]` in annotations, as written for Prefect, stands for the class."""
        return cls

    def duplicate(self) -> Self:
        """A fresh one with the same options."""
        raise TypeError(f"{type(self).__name__} does not say how to copy itself")

    def submit(self, work: Callable[[], Any], future: TaskFuture) -> None:
        """Run `work()` sometime soon; it resolves `future`."""
        raise TypeError(f"{type(self).__name__} does not say how to run tasks")

    def close(self, cancel: bool = False) -> None:
        """Wait for everything submitted; with `cancel`, give up what has not started."""
