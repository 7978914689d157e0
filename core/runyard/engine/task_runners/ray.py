"""The Ray task runner: submitted tasks run on a Ray cluster."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import TYPE_CHECKING, Any

from runyard.base.errors import extra_missing
from runyard.engine.task_runners.remote_runners import RemoteTaskRunner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from runyard.engine.submission import Submission

_around: ContextVar[dict[str, Any] | None] = ContextVar("runyard_ray_options", default=None)


@contextmanager
def remote_options(**options: Any) -> Iterator[None]:
    """A block that sets options of `ray.remote`, such as `num_cpus=4`, for submitted tasks."""
    token = _around.set({**(_around.get() or {}), **options})
    try:
        yield
    finally:
        _around.reset(token)


class RayTaskRunner(RemoteTaskRunner):
    """Runs submitted tasks on Ray; needs the extra `ray`.

    Without an address, if Ray is not initialized, the flow run starts an instance on this machine and stops
    it at its end. Workers on other machines need Runyard, and access to the database or the API.

    Args:
        address: the address of a running Ray instance, such as `ray://10.0.0.5:10001`.
        init_kwargs: arguments of `ray.init`.
    """

    def __init__(self, address: str | None = None, init_kwargs: dict[str, Any] | None = None) -> None:
        super().__init__()
        self._address = address
        self._init = init_kwargs
        self._lock = threading.Lock()
        self._ray: Any = None
        self._mine = False
        self._sent: set[Any] = set()

    def duplicate(self) -> Self:
        """A new runner for the same instance, or for a new instance with the same options."""
        return type(self)(self._address, self._init)

    def options(self) -> Any:
        """The `remote_options(...)` at the submission; connects on first use."""
        self._connected()
        return _around.get()

    def send(self, packet: bytes, work: Submission) -> None:
        """Submit the packet to Ray."""
        # 6 ms; not before a task is sent.
        from runyard.engine.remote import execute

        ray = self._connected()
        # A lost task may have had side effects: it becomes Crashed, and is not retried.
        options = {"name": work.run.name, "max_retries": 0, **(work.options or {})}
        reference = ray.remote(execute).options(**options).remote(packet)
        with self._lock:
            self._sent.add(reference)
        reference.future().add_done_callback(lambda ended: self._settle(reference, ended, work))

    def stop(self, cancel: bool) -> None:
        """Stop the instance if this run started it; on another instance, cancel the tasks."""
        with self._lock:
            ray, self._ray = self._ray, None
            sent, self._sent = self._sent, set()
        if ray is None:
            return
        if cancel and not self._mine:
            for reference in sent:
                ray.cancel(reference, force=True)
        if self._mine:
            ray.shutdown()

    def _connected(self) -> Any:
        with self._lock:
            if self._ray is None:
                try:
                    ray = import_module("ray")
                except ModuleNotFoundError as error:
                    if error.name != "ray":
                        raise
                    raise extra_missing("ray", "ray") from None
                if not ray.is_initialized():
                    given = {"log_to_driver": True, **(self._init or {})}
                    if self._address is not None:
                        given["address"] = self._address
                    ray.init(**given)
                    self._mine = True
                self._ray = ray
            return self._ray

    def _settle(self, reference: Any, ended: Any, work: Submission) -> None:
        with self._lock:
            self._sent.discard(reference)
        error = ended.exception()
        if error is None:
            work.finish(ended.result())
        elif not self._cancelled:
            work.lost(f"Ray gave it up: {type(error).__name__}: {str(error).strip().splitlines()[0]}")
